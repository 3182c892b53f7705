/* SPDX-License-Identifier: Apache-2.0 */
/* The one place where the fixture images differ: the build says -DAPP_BEHAVIOUR=APP_..., this table says what that
 * means. Only behaviour.c reads it. */
#ifndef BEHAVIOUR_H
#define BEHAVIOUR_H

#define APP_GOOD_A 1
#define APP_GOOD_B 2
#define APP_NO_CONFIRM 3
#define APP_HANG 4
#define APP_CRASH 5
#define APP_SELF_CONFIRM 6
#define APP_FAIL_HEALTH 7
#define APP_SLOW_START 8
#define APP_RAISE_COUNTER 9
#define APP_ERASE_SLOT 10

#ifndef APP_BEHAVIOUR
#define APP_BEHAVIOUR APP_GOOD_A
#endif

#if APP_BEHAVIOUR == APP_GOOD_A
#define TRAITS {.label = "good-a"}
#elif APP_BEHAVIOUR == APP_GOOD_B
#define TRAITS {.label = "good-b"}
#define BALLAST_SIZE 6000 /* more than a sector: A and B differ in size, so a swap has sectors that only one fills */
#elif APP_BEHAVIOUR == APP_NO_CONFIRM
#define TRAITS {.label = "no-confirm", .refuses_confirm = true}
#elif APP_BEHAVIOUR == APP_HANG
#define TRAITS {.label = "hang", .hangs_at_ms = 100, .watchdog_ms = 1000}
#elif APP_BEHAVIOUR == APP_CRASH
#define TRAITS {.label = "crash", .crashes_at_ms = 100}
#elif APP_BEHAVIOUR == APP_SELF_CONFIRM
#define TRAITS {.label = "self-confirm", .confirms_itself = true}
#elif APP_BEHAVIOUR == APP_FAIL_HEALTH
#define TRAITS {.label = "fail-health", .health = 1}
#elif APP_BEHAVIOUR == APP_SLOW_START
#define TRAITS {.label = "slow-start", .silent_ms = 3000}
#elif APP_BEHAVIOUR == APP_RAISE_COUNTER
#define TRAITS {.label = "raise-counter"}
#elif APP_BEHAVIOUR == APP_ERASE_SLOT
#define TRAITS {.label = "erase-slot"}
#else
#error "unknown APP_BEHAVIOUR"
#endif

#ifndef BALLAST_SIZE
#define BALLAST_SIZE 16
#endif

#endif
