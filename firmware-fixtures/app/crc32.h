/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CRC32_H
#define CRC32_H
#include <stddef.h>
#include <stdint.h>

/* CRC-32 (IEEE 802.3). `crc` is 0 for the first piece, then what the piece before gave. */
uint32_t crc32(uint32_t crc, const void *data, size_t len);

#endif
