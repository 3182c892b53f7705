/* SPDX-License-Identifier: Apache-2.0 */
/* Walking the TLVs of an image whose areas have been found. For image.c, verify.c and update.c. */
#ifndef TLV_H
#define TLV_H
#include <stdbool.h>
#include <stdint.h>
#include "image.h"

#define TLV_INFO_SIZE 4u /* in front of an area */
#define TLV_HEAD_SIZE 4u /* in front of a value */

struct tlv_walk {
	const struct image_source *from;
	uint32_t at, protected_end, end; /* from the image's start */
	/* the TLV found */
	uint16_t type, len;
	uint32_t value; /* offset of its value from the image's start */
	bool is_protected;
};

/* `from` must outlive the walk. */
void tlv_begin(struct tlv_walk *w, const struct image_source *from, const struct image_info *info);
/* 1 = found one; 0 = that was all; -1 = a TLV that does not fit into its area. */
int tlv_next(struct tlv_walk *w);
/* Reads the value of the TLV found. 0, or -1 if it is longer than `max` or cannot be read. */
int tlv_read(const struct tlv_walk *w, void *buf, uint32_t max);

/* Header rules alone: magic, sizes within the slot, flags this bootloader can honour. */
enum verify_reason header_check(const struct image_header *h, unsigned image, unsigned slot);

#endif
