/* SPDX-License-Identifier: Apache-2.0 */
/* Walking the TLVs of an image whose areas have been found. For image.c, verify.c and update.c. */
#ifndef TLV_H
#define TLV_H
#include <stdbool.h>
#include <stdint.h>
#include "image.h"

#define TLV_INFO_SIZE 4u

struct tlv_walk {
	uint32_t slot_off, at, protected_end, end;
	/* the TLV found */
	uint16_t type, len;
	uint32_t value; /* offset of its value from the slot start */
	bool is_protected;
};

void tlv_begin(struct tlv_walk *w, uint32_t slot_off, const struct image_info *info);
/* 1 = found one; 0 = that was all; -1 = a TLV that does not fit into its area. */
int tlv_next(struct tlv_walk *w);
/* Reads the value of the TLV found. 0, or -1 if it is longer than `max` or cannot be read. */
int tlv_read(const struct tlv_walk *w, void *buf, uint32_t max);

/* Header rules alone: magic, sizes within the slot, flags this bootloader can honour. */
enum verify_reason header_check(const struct image_header *h);

#endif
