/* SPDX-License-Identifier: Apache-2.0 */
/* Moving image bytes between slots: by swap (undoable) or by overwriting. */
#ifndef COPY_H
#define COPY_H
#include <stdbool.h>
#include <stdint.h>
#include "../port/provision.h"
#include "encrypt.h"
#include "image.h"
#include "trailer.h"

#define SWAP_ERR_NO_ROOM (-100)

/* A swap that the last boot began, as the trailers tell it. */
struct swap_status {
	bool begun;	     /* the trailer is complete and the swap is not */
	enum swap_type type; /* of the swap that was begun */
	uint32_t entries;    /* finished steps; 0 = no sector has moved yet */
	const struct area *noted; /* where that is written: the primary, or the scratch area */
};

void swap_status_read(const struct provision *p, unsigned image, struct swap_status *s);

/* Swaps the slots of an image, from where `s` left off. 0, or negative: no room (nothing was done), or a flash error. */
int swap_run(const struct provision *p, unsigned image, enum swap_type type, const struct swap_status *s);

/* Copies `size` bytes, or all of the slot, from the secondary over the primary and writes the primary's magic. Started
 * again from the beginning after a cut. 0, or an error of flash/flash.h. */
int overwrite_run(const struct provision *p, unsigned image, uint32_t size);

/* Copies flash to erased flash, in pieces of at most 1024 bytes. 0, or an error of flash/flash.h. */
int flash_copy(uint32_t from, uint32_t to, uint32_t len);

/* The same for a part of an image that begins at its byte `at`: what lies in the body is encrypted or decrypted on the
 * way, which is the same. */
int image_copy(uint32_t from, uint32_t to, uint32_t len, uint32_t at, const struct body_cipher *cipher);

/* --- what the ways to swap have in common --- */

#define KEY_FIELD_MAX 256u

struct swap_job {
	const struct provision *p;
	unsigned image;
	enum swap_type type;
	const struct area *primary, *secondary;
	const struct swap_status *status;
	uint32_t size;                 /* bytes that both slots move: the larger image */
	uint16_t tlv_size[2];          /* bytes of the unprotected TLVs, by the slot an image was in */
	struct body_cipher cipher[2];  /* by the slot an image was in when the swap began */
	uint8_t keys[2][KEY_FIELD_MAX]; /* as the trailer has them */
};

/* How a way to swap differs. */
struct swap_way {
	/* Reads the trailers. */
	void (*read)(const struct provision *p, unsigned image, struct swap_status *s);
	bool (*fits)(const struct swap_job *j);
	/* Where in flash the header lies of the image that was in `slot` when the swap began. */
	uint32_t (*header)(const struct swap_job *j, unsigned slot);
	int (*run)(struct swap_job *j);
};

extern const struct swap_way swap_by_move, swap_by_offset, swap_by_scratch;

/* The trailer of a swap that begins, magic last: until then nothing has begun. */
int swap_note(const struct swap_job *j, const struct area *a);

#endif
