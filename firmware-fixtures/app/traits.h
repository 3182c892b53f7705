/* SPDX-License-Identifier: Apache-2.0 */
/* What an image does apart from being good. All zero: serves SMP, feeds its watchdog, waits to be confirmed. */
#ifndef TRAITS_H
#define TRAITS_H
#include <stdbool.h>
#include <stdint.h>

#define WATCHDOG_MS 2000u

struct traits {
	const char *label;
	bool refuses_confirm;   /* answers a confirm with an error and leaves the trailer alone */
	bool confirms_itself;   /* at start, before anybody could judge it */
	int health;             /* what `shell exec health` returns */
	uint32_t watchdog_ms;   /* 0 = WATCHDOG_MS */
	uint32_t hangs_at_ms;   /* after start; 0 = never */
	uint32_t crashes_at_ms; /* after start; 0 = never */
	uint32_t silent_ms;     /* deaf and dumb for so long after start */
};

extern const struct traits traits;

/* Bytes that are only there to be there; their sum, so that they stay in the image. */
uint32_t ballast_sum(void);

#endif
