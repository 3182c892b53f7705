/* SPDX-License-Identifier: Apache-2.0 */
/* Flash as the application writes it: counted, and as a stream of bytes that need not care for sectors or write
 * units. A stream erases each sector just before its first byte arrives, so no single call takes long. */
#ifndef NOR_H
#define NOR_H
#include <stdbool.h>
#include <stdint.h>

#define NOR_UNIT_MAX 32u

struct nor_counts {
	uint32_t writes, erases, errors;
};
const struct nor_counts *nor_counts(void);

/* Offsets and lengths as in flash/flash.h; 0 or one of its errors. */
int nor_write(uint32_t off, const void *data, uint32_t len);
int nor_erase(uint32_t off, uint32_t len); /* sectors that are blank already are left alone */
bool nor_is_blank(uint32_t off, uint32_t len);

struct nor_stream {
	uint32_t base;   /* flash offset of byte 0 */
	uint32_t len;    /* bytes taken so far */
	uint32_t clean;  /* flash offset up to which sectors are known to be erased */
	uint8_t unit;    /* the board's write unit */
	uint8_t tail[NOR_UNIT_MAX]; /* bytes that do not fill a unit yet: len % unit of them */
};

/* `base`: multiple of the write unit; `clean`: see above, base if nothing is erased. */
void nor_open(struct nor_stream *s, uint32_t base, uint32_t clean, uint8_t unit);
int nor_append(struct nor_stream *s, const void *data, uint32_t len);
int nor_finish(struct nor_stream *s); /* writes the tail, padded with the erased value */
/* Bytes of the stream, also those still in the tail. off + len <= s->len. */
int nor_read(const struct nor_stream *s, uint32_t off, void *to, uint32_t len);

#endif
