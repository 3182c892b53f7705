/* SPDX-License-Identifier: Apache-2.0 */
#include "crc32.h"

uint32_t crc32(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *bytes = data;

	crc = ~crc;
	for (size_t i = 0; i < len; i++) {
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ ((crc & 1u) ? 0xedb88320u : 0u);
	}
	return ~crc;
}
