/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a slot: swap status, keys, swap size, swap info, copy done, image ok, magic, at the board's alignment; what
 * they ask for; and how an update is requested or confirmed. Shared by bootloader, recovery and application.
 * Source: MCUboot bootutil_public.c, bootutil_area.c; numbers as in its logs and host APIs. */
#ifndef TRAILER_H
#define TRAILER_H
#include <stdbool.h>
#include <stdint.h>
#include "../port/geometry.h"
#include "../port/provision.h"

enum magic_state { MAGIC_GOOD = 1, MAGIC_BAD = 2, MAGIC_UNSET = 3 };
enum flag_state { FLAG_SET = 1, FLAG_BAD = 2, FLAG_UNSET = 3 };
enum swap_type { SWAP_NONE = 1, SWAP_TEST = 2, SWAP_PERM = 3, SWAP_REVERT = 4, SWAP_FAIL = 5, SWAP_PANIC = 0xff };

struct trailer {
	enum magic_state magic;
	enum flag_state image_ok, copy_done;
	enum swap_type swap_type; /* of the swap_info field; SWAP_NONE when erased or unknown */
	uint8_t image;            /* of the swap_info field */
};

/* set_next and its kin answer one of these (MCUboot's BOOT_E* numbers). */
enum { BOOT_OK = 0, BOOT_EFLASH = 1, BOOT_EBADIMAGE = 3, BOOT_EBADVECT = 4 };

void trailer_read(unsigned image, unsigned slot, struct trailer *t);

/* What the two trailers of an image ask the next boot to do: none, test, perm or revert. For modes that move images. */
enum swap_type swap_type_of(unsigned image);

/* Request that the secondary be installed at the next boot: once, or for good. The first request wins. */
int boot_set_pending(const struct provision *p, unsigned image, bool permanent);
/* Keep the image that runs from the primary. */
int boot_set_confirmed(const struct provision *p, unsigned image);
/* The general form behind both: `active` says that `slot` is the one that runs. */
int boot_set_next(const struct provision *p, unsigned image, unsigned slot, bool active, bool confirm);

/* The image in `slot`, which runs, counts as confirmed: no magic in its trailer, or image_ok set (Zephyr's rule). */
bool boot_is_confirmed(unsigned image, unsigned slot);

/* Largest file, header to last TLV, that this board accepts in a slot. */
uint32_t image_max_size(const struct provision *p);

/* First sector of a slot that holds a part of the trailer; counts from the slot start. */
uint32_t trailer_sectors_off(const struct provision *p, const struct area *a);

/* --- for the bootloader alone; offsets count from the start of the area, a slot or the scratch area --- */

void trailer_read_at(const struct area *a, struct trailer *t);
bool trailer_fits(const struct provision *p);  /* the slots have no more sectors than max_sectors, and room */
uint32_t trailer_status_off(const struct provision *p, const struct area *a); /* first status entry */
uint32_t trailer_size(const struct provision *p, const struct area *a);       /* status entries and fields */

/* Each is one flash write and returns what flash_write does. */
int trailer_write_magic(const struct area *a);
int trailer_write_image_ok(const struct provision *p, const struct area *a);
int trailer_write_copy_done(const struct provision *p, const struct area *a);
int trailer_write_swap_info(const struct provision *p, const struct area *a, unsigned image, enum swap_type type);
int trailer_write_swap_size(const struct provision *p, const struct area *a, uint32_t size);
uint32_t trailer_read_swap_size(const struct provision *p, const struct area *a);

/* Swap using offset: bytes of the unprotected TLVs of both images, which say how far each reaches. */
int trailer_write_tlv_sizes(const struct provision *p, const struct area *a, uint16_t primary, uint16_t secondary);
uint32_t trailer_read_tlv_sizes(const struct area *a); /* the primary's in the lower half */

/* The content key of an image, or its wrapped form; `of` is the slot that it came from. */
uint32_t trailer_key_size(const struct provision *p);
int trailer_write_key(const struct provision *p, const struct area *a, unsigned of, const uint8_t *key);
int trailer_read_key(const struct provision *p, const struct area *a, unsigned of, uint8_t *key);

/* Swap status: one entry per finished step. */
int trailer_write_status(const struct provision *p, const struct area *a, uint32_t entry, uint8_t state);
uint32_t trailer_status_entries(const struct provision *p, const struct area *a); /* the last one written, counted from 1 */

int trailer_erase(const struct provision *p, const struct area *a);
int trailer_clear(const struct provision *p, const struct area *a); /* the same, unless erased already */

#endif
