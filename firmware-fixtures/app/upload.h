/* SPDX-License-Identifier: Apache-2.0 */
/* The upload of one image into the slot that takes it: a session that a client may leave and come back to. It lives in
 * RAM; a reset, an erase or a write error ends it. */
#ifndef UPLOAD_H
#define UPLOAD_H
#include <stdbool.h>
#include <stdint.h>

#include "../boot/image.h"
#include "../smp/cbor.h"

struct upload_start {
	unsigned image;
	uint32_t size;   /* of the whole file */
	struct span sha; /* SHA-256 of the whole file; empty when the client sent none */
};

/* Erases the trailer of the slot and begins anew. 0, or a negative error of flash/flash.h. */
int upload_begin(const struct upload_start *start);
/* The next bytes; upload_offset() + len <= upload_size(). After an error the session is over. */
int upload_append(const void *data, uint32_t len);
void upload_end(void);

bool upload_is_open(void);
bool upload_is(unsigned image, struct span sha); /* open, for this image, begun with this sha */
uint32_t upload_offset(void);    /* the byte wanted next; 0 when no session is open */
uint32_t upload_size(void);
/* All bytes have come. *match, if a sha was sent: the slot's content has it. */
bool upload_is_complete(bool *has_sha, bool *match);

/* The slot for uploads of `image` must not be touched: what it holds is to be installed, or is the way back from a trial.
 * A request for an image that is not there holds nothing. */
bool slot_is_held(unsigned image);

/* That slot begins, where an upload does, with `size` bytes of this SHA-256. */
bool slot_holds(unsigned image, uint32_t size, struct span sha);

#endif
