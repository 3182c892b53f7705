/* SPDX-License-Identifier: Apache-2.0 */
#include "arm_thumb.h"

#include <stdbool.h>

/* BL is two halfwords: 11110 and 11111 with eleven bits of the distance each. */
static bool is_call(const uint8_t *code)
{
	return (code[1] & 0xf8u) == 0xf0u && (code[3] & 0xf8u) == 0xf8u;
}

uint32_t arm_thumb_undo(uint8_t *code, uint32_t len, uint32_t at)
{
	uint32_t done = 0;

	for (; len - done >= 4; done += 2) {
		uint8_t *c = code + done;
		uint32_t halfwords, target;

		if (!is_call(c))
			continue;
		halfwords = (c[1] & 7u) << 19 | (uint32_t)c[0] << 11 | (c[3] & 7u) << 8 | c[2];
		/* the processor counts from the instruction after the next */
		target = (2u * halfwords - (at + done + 4u)) >> 1;
		c[0] = (uint8_t)(target >> 11);
		c[1] = (uint8_t)(0xf0u | (target >> 19 & 7u));
		c[2] = (uint8_t)target;
		c[3] = (uint8_t)(0xf8u | (target >> 8 & 7u));
		done += 2;
	}
	return done;
}
