/* Stand-in. */
#pragma once
#include <stdint.h>

static inline uint32_t sys_get_le32(const uint8_t src[4])
{
	return src[0] | (uint32_t)src[1] << 8 | (uint32_t)src[2] << 16 | (uint32_t)src[3] << 24;
}
