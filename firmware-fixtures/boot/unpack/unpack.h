/* SPDX-License-Identifier: Apache-2.0 */
/* Compressed images, in bootloaders built with DECOMPRESS: what lies in the secondary is read as the image that it
 * unpacks to. Rules of Nordic's MCUboot: overwrite only, one image, not encrypted, LZMA2 with or without the filter for
 * Thumb code. Format: MCUboot docs/compression_format.md. */
#ifndef UNPACK_H
#define UNPACK_H
#include <stdbool.h>
#include <stdint.h>
#include "../image.h"
#include "../tlv.h"

bool is_compressed(const struct image_header *h);

/* What a compressed image says of the plain one. */
struct plain_image {
	const struct image_source *from;
	const struct image_info *info;
	struct image_header header;
	uint32_t end;                    /* of its last TLV, from its start */
	struct tlv_walk hash, signature; /* protected TLVs of the compressed one; length 0: none */
};

/* VERIFY_OK; VERIFY_TLV: one is missing or has a wrong length; VERIFY_SIZE: it would not fit into the primary. */
enum verify_reason plain_image_of(const struct provision *p, const struct image_source *from, const struct image_info *info,
				  struct plain_image *plain);

/* Takes bytes in order. Not 0 ends it all. */
typedef int (*byte_sink)(void *to, const uint8_t *bytes, uint32_t len);

/* Hands on what the plain image's hash is over: header, body, protected TLVs. VERIFY_OK, or VERIFY_SIZE where the body
 * is not as large as stated, VERIFY_UNPACK where it is damaged, VERIFY_HASH where flash or sink fail. */
enum verify_reason unpack_hashed(const struct provision *p, const struct plain_image *plain, byte_sink sink, void *to);

/* Overwrites the primary with the plain image; the sectors are erased. 0, or an error of flash/flash.h. */
int unpack_to_primary(const struct provision *p, const struct plain_image *plain, unsigned image);

#endif
