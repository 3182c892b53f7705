/* SPDX-License-Identifier: Apache-2.0 */
/* The filter for Thumb code (BCJ of the xz format), undone: absolute targets of BL become relative again. */
#ifndef ARM_THUMB_H
#define ARM_THUMB_H
#include <stdint.h>

/* Changes `code`, which begins at byte `at` of the body, in place. How many bytes are done; the rest, at most three, has
 * to be shown again with what follows it. */
uint32_t arm_thumb_undo(uint8_t *code, uint32_t len, uint32_t at);

#endif
