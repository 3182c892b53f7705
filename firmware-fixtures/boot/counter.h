/* SPDX-License-Identifier: Apache-2.0 */
/* Stored security counters, one per image, in two flash sectors of their own. A counter only ever rises:
 * a power cut in any operation leaves the old value or the new one, and a full sector is replaced by its twin
 * before it is erased. Only the bootloader can write: it locks the sectors before it starts an image. */
#ifndef COUNTER_H
#define COUNTER_H
#include <stdbool.h>
#include <stdint.h>

/* The stored counter; 0 if never advanced. Meaningless under POLICY_NO_COUNTER. */
uint32_t counter_read(unsigned image);

/* How often the stored counter can still be raised by one, as where each step is a fuse; COUNTER_ENDLESS where nothing
 * ends it. */
#define COUNTER_ENDLESS 0xffffffffu
uint32_t counter_steps_left(unsigned image);

/* Raises the stored counter to `value`. An equal value is no flash operation; a lower one is refused.
 * 0, or negative: lower value, more than there are steps for, image number out of range, or an error of flash/flash.h. */
int counter_advance(unsigned image, uint32_t value);

/* A revert of this image is under way. Kept here because only the bootloader can write here: a trailer that says so
 * might have come with an upload. 0, or an error of flash/flash.h; no operation when it is so already. */
bool revert_is_marked(unsigned image);
int revert_mark(unsigned image, bool set);

#endif
