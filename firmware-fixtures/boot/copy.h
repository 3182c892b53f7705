/* SPDX-License-Identifier: Apache-2.0 */
/* Moving image bytes between slots: by swap (undoable) or by overwriting. */
#ifndef COPY_H
#define COPY_H
#include <stdbool.h>
#include <stdint.h>
#include "../port/provision.h"
#include "trailer.h"

/* A swap that the last boot began, as the primary's trailer tells it. */
struct swap_status {
	bool begun;	     /* the trailer is complete and the swap is not */
	enum swap_type type; /* of the swap that was begun */
	uint32_t entries;    /* finished steps; 0 = no sector has moved yet */
};

void swap_status_read(const struct provision *p, unsigned image, struct swap_status *s);

/* Swaps the slots of an image, from where `s` left off. 0, or negative: no room (nothing was done), or a flash error. */
int swap_run(const struct provision *p, unsigned image, enum swap_type type, const struct swap_status *s);

/* Copies `size` bytes from the secondary over the primary and writes the primary's magic. Started again from the
 * beginning after a cut. 0, or an error of flash/flash.h. */
int overwrite_run(const struct provision *p, unsigned image, uint32_t size);

/* Copies flash to erased flash, in pieces of at most 1024 bytes. 0, or an error of flash/flash.h. */
int flash_copy(uint32_t from, uint32_t to, uint32_t len);

#endif
