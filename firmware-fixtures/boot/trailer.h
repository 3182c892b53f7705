/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a slot: swap status, swap info, copy done, image ok, magic, for BOOT_MAX_ALIGN 8; what they ask for;
 * and how an update is requested or confirmed. Shared by bootloader, recovery and application.
 * Source: MCUboot bootutil_public.c, bootutil_priv.h; numbers as in its logs and host APIs. */
#ifndef TRAILER_H
#define TRAILER_H
#include <stdbool.h>
#include <stdint.h>
#include "../port/provision.h"

enum magic_state { MAGIC_GOOD = 1, MAGIC_BAD = 2, MAGIC_UNSET = 3 };
enum flag_state { FLAG_SET = 1, FLAG_BAD = 2, FLAG_UNSET = 3 };
enum swap_type { SWAP_NONE = 1, SWAP_TEST = 2, SWAP_PERM = 3, SWAP_REVERT = 4, SWAP_FAIL = 5, SWAP_PANIC = 0xff };

struct trailer {
	enum magic_state magic;
	enum flag_state image_ok, copy_done;
	enum swap_type swap_type; /* of the swap_info field; SWAP_NONE when erased or unknown */
};

/* set_next and its kin answer one of these (MCUboot's BOOT_E* numbers). */
enum { BOOT_OK = 0, BOOT_EFLASH = 1, BOOT_EBADIMAGE = 3, BOOT_EBADVECT = 4 };

void trailer_read(unsigned image, unsigned slot, struct trailer *t);

/* What the two trailers of an image ask the next boot to do: none, test, perm or revert. */
enum swap_type swap_type_of(unsigned image);

/* Request that the secondary be installed at the next boot: once, or for good. The first request wins. */
int boot_set_pending(const struct provision *p, unsigned image, bool permanent);
/* Keep the image that runs from the primary. */
int boot_set_confirmed(const struct provision *p, unsigned image);
/* The general form behind both: `active` says that `slot` is the one that runs. */
int boot_set_next(const struct provision *p, unsigned image, unsigned slot, bool active, bool confirm);

/* The running image counts as confirmed: no magic in the primary trailer, or image_ok set (Zephyr's rule). */
bool boot_is_confirmed(unsigned image);

/* Largest file, header to last TLV, that this board accepts in a slot. */
uint32_t image_max_size(const struct provision *p);

/* --- for the bootloader alone; offsets count from the slot start --- */

#define MODE_OVERWRITE_ONLY 2u
#define MODE_SWAP_USING_MOVE 3u

bool trailer_fits(const struct provision *p);           /* this slot has no more sectors than max_sectors, and room */
uint32_t trailer_size(const struct provision *p);       /* status entries and fields */
uint32_t trailer_status_off(const struct provision *p); /* first status entry */
uint32_t trailer_sectors_off(const struct provision *p); /* first sector that holds a part of it */

/* Each is one flash write and returns what flash_write does. */
int trailer_write_magic(unsigned image, unsigned slot);
int trailer_write_image_ok(const struct provision *p, unsigned image, unsigned slot);
int trailer_write_copy_done(const struct provision *p, unsigned image, unsigned slot);
int trailer_write_swap_info(const struct provision *p, unsigned image, unsigned slot, enum swap_type type);
int trailer_write_swap_size(const struct provision *p, unsigned image, unsigned slot, uint32_t size);
uint32_t trailer_read_swap_size(unsigned image, unsigned slot);

/* Swap status of the primary: one entry per finished step. */
int trailer_write_status(const struct provision *p, unsigned image, uint32_t entry, uint8_t state);
uint32_t trailer_status_entries(const struct provision *p, unsigned image); /* the last one written, counted from 1 */

int trailer_erase(const struct provision *p, unsigned image, unsigned slot);
int trailer_clear(const struct provision *p, unsigned image, unsigned slot); /* the same, unless erased already */

#endif
