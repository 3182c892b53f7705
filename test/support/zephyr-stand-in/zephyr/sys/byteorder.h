/* Stand-in. */
#pragma once
#include <stdint.h>

static inline uint16_t sys_get_le16(const uint8_t src[2])
{
	return (uint16_t)(src[0] | src[1] << 8);
}

static inline uint32_t sys_get_le32(const uint8_t src[4])
{
	return src[0] | (uint32_t)src[1] << 8 | (uint32_t)src[2] << 16 | (uint32_t)src[3] << 24;
}
