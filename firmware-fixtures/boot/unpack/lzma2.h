/* SPDX-License-Identifier: Apache-2.0 */
/* A raw LZMA2 stream, unpacked piece by piece: chunks as in the xz format, the algorithm by the LZMA specification. What
 * it says is hostile: every distance is held against what has been unpacked, every read against the chunk's end. */
#ifndef LZMA2_H
#define LZMA2_H
#include <stdint.h>

#define LZMA2_DICTIONARY 0x20000u /* how far back a stream may refer, bytes: imgtool's setting */

enum { LZMA2_OK = 0, LZMA2_DAMAGED = -200 };

struct lzma2_io {
	/* The next bytes of the stream, at most `max`. How many, 0 at its end, or negative. */
	int (*read)(void *context, uint8_t *to, uint32_t max);
	/* Takes what was unpacked. Not 0 ends it all. */
	int (*write)(void *context, const uint8_t *bytes, uint32_t len);
	void *context;
};

/* LZMA2_OK at the end of the stream; LZMA2_DAMAGED; or what `read` or `write` answered. */
int lzma2_unpack(const struct lzma2_io *io);

#endif
