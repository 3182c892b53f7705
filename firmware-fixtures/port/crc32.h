/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32 (IEEE 802.3, as in zlib): tells a record that was cut in two from a whole one. */
#ifndef CRC32_H
#define CRC32_H
#include <stddef.h>
#include <stdint.h>

/* `crc` is 0 for the first piece, then what the piece before gave. */
uint32_t crc32(uint32_t crc, const void *data, size_t len);

#endif
