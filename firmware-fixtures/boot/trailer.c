/* SPDX-License-Identifier: Apache-2.0 */
#include "trailer.h"

#include <string.h>

#include "../flash/flash.h"
#include "../port/layout.h"
#include "image.h"

/* Offsets from the slot end for BOOT_MAX_ALIGN 8. */
#define MAGIC_SIZE 16u
#define MAGIC_OFF (SLOT_SIZE - 16u)
#define IMAGE_OK_OFF (SLOT_SIZE - 24u)
#define COPY_DONE_OFF (SLOT_SIZE - 32u)
#define SWAP_INFO_OFF (SLOT_SIZE - 40u)
#define SWAP_SIZE_OFF (SLOT_SIZE - 48u)
#define FIELDS_SIZE 48u
#define STATES_PER_SECTOR 3u /* swap using move: shifted; taken in; given back */

static const uint8_t MAGIC[MAGIC_SIZE] = {0x77, 0xc2, 0x95, 0xf3, 0x60, 0xd2, 0xef, 0x7f,
					  0x35, 0x52, 0x50, 0x0f, 0x2c, 0xb6, 0x79, 0x80};

static bool is_erased(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (bytes[i] != FLASH_ERASED)
			return false;
	}
	return true;
}

/* What cannot be read is not there. */
static uint8_t read_byte(unsigned image, unsigned slot, uint32_t off)
{
	uint8_t byte;

	return flash_read(slot_offset(image, slot) + off, &byte, 1) == FLASH_OK ? byte : FLASH_ERASED;
}

static enum magic_state read_magic(unsigned image, unsigned slot)
{
	uint8_t magic[MAGIC_SIZE];

	if (flash_read(slot_offset(image, slot) + MAGIC_OFF, magic, sizeof(magic)) != FLASH_OK ||
	    is_erased(magic, sizeof(magic)))
		return MAGIC_UNSET;
	return memcmp(magic, MAGIC, sizeof(magic)) == 0 ? MAGIC_GOOD : MAGIC_BAD;
}

static enum flag_state read_flag(unsigned image, unsigned slot, uint32_t off)
{
	uint8_t byte = read_byte(image, slot, off);

	return byte == 0x01 ? FLAG_SET : byte == FLASH_ERASED ? FLAG_UNSET : FLAG_BAD;
}

/* Low nibble: the type; high nibble: the image number, which nobody needs. */
static enum swap_type read_swap_info(unsigned image, unsigned slot)
{
	uint8_t byte = read_byte(image, slot, SWAP_INFO_OFF);
	unsigned type = byte & 0x0fu;

	return byte == FLASH_ERASED || type < SWAP_TEST || type > SWAP_REVERT ? SWAP_NONE : (enum swap_type)type;
}

void trailer_read(unsigned image, unsigned slot, struct trailer *t)
{
	t->magic = read_magic(image, slot);
	t->image_ok = read_flag(image, slot, IMAGE_OK_OFF);
	t->copy_done = read_flag(image, slot, COPY_DONE_OFF);
	t->swap_type = read_swap_info(image, slot);
}

/* --- what the trailers ask for ------------------------------------------------------------------------------- */

#define ANY 0

/* First row that matches wins; no row is "none". MCUboot bootutil_public.c, boot_swap_tables. */
static const struct {
	struct trailer secondary, primary;
	enum swap_type type;
} SWAP_TABLE[] = {
	{{MAGIC_GOOD, FLAG_UNSET, ANY, ANY}, {ANY, ANY, ANY, ANY}, SWAP_TEST},
	{{MAGIC_GOOD, FLAG_SET, ANY, ANY}, {ANY, ANY, ANY, ANY}, SWAP_PERM},
	{{ANY, ANY, ANY, ANY}, {MAGIC_GOOD, FLAG_UNSET, FLAG_SET, ANY}, SWAP_REVERT},
};

static bool row_matches(const struct trailer *row, const struct trailer *t)
{
	return (row->magic == ANY || row->magic == t->magic) && (row->image_ok == ANY || row->image_ok == t->image_ok) &&
	       (row->copy_done == ANY || row->copy_done == t->copy_done);
}

enum swap_type swap_type_of(unsigned image)
{
	struct trailer primary, secondary;

	trailer_read(image, 0, &primary);
	trailer_read(image, 1, &secondary);
	for (unsigned i = 0; i < sizeof(SWAP_TABLE) / sizeof(SWAP_TABLE[0]); i++) {
		if (row_matches(&SWAP_TABLE[i].secondary, &secondary) && row_matches(&SWAP_TABLE[i].primary, &primary))
			return SWAP_TABLE[i].type;
	}
	return SWAP_NONE;
}

/* --- requesting and confirming -------------------------------------------------------------------------------- */

/* Magic first: a cut after it leaves a test request, never a permanent one. */
static int request(const struct provision *p, unsigned image, unsigned slot, bool permanent)
{
	int rc = trailer_write_magic(image, slot);

	if (rc == FLASH_OK && permanent)
		rc = trailer_write_image_ok(p, image, slot);
	if (rc == FLASH_OK)
		rc = trailer_write_swap_info(p, image, slot, permanent ? SWAP_PERM : SWAP_TEST);
	return rc == FLASH_OK ? BOOT_OK : BOOT_EFLASH;
}

int boot_set_next(const struct provision *p, unsigned image, unsigned slot, bool active, bool confirm)
{
	struct trailer t;

	trailer_read(image, slot, &t);
	switch (t.magic) {
	case MAGIC_GOOD: /* requested already, or running unconfirmed; copy_done does not matter for either */
		if (!active || t.image_ok != FLAG_UNSET)
			return BOOT_OK;
		return trailer_write_image_ok(p, image, slot) == FLASH_OK ? BOOT_OK : BOOT_EFLASH;
	case MAGIC_UNSET: /* what runs without a trailer counts as confirmed */
		return active ? BOOT_OK : request(p, image, slot, confirm);
	default:
		return active ? BOOT_EBADVECT : BOOT_EBADIMAGE;
	}
}

int boot_set_pending(const struct provision *p, unsigned image, bool permanent)
{
	return boot_set_next(p, image, 1, false, permanent);
}

int boot_set_confirmed(const struct provision *p, unsigned image)
{
	return boot_set_next(p, image, 0, true, true);
}

bool boot_is_confirmed(unsigned image)
{
	struct trailer t;

	trailer_read(image, 0, &t);
	return t.magic == MAGIC_UNSET || t.image_ok == FLAG_SET;
}

/* --- geometry --------------------------------------------------------------------------------------------------- */

static uint32_t round_up(uint32_t value, uint32_t unit)
{
	return (value + unit - 1) / unit * unit;
}

bool trailer_fits(const struct provision *p)
{
	return p->max_sectors >= SLOT_SIZE / FLASH_SECTOR && trailer_size(p) <= SLOT_SIZE / 2;
}

uint32_t trailer_size(const struct provision *p)
{
	if (p->mode == MODE_OVERWRITE_ONLY)
		return FIELDS_SIZE;
	return FIELDS_SIZE + STATES_PER_SECTOR * p->max_sectors * p->write_unit;
}

uint32_t trailer_sectors_off(const struct provision *p)
{
	return SLOT_SIZE - round_up(trailer_size(p), FLASH_SECTOR);
}

uint32_t trailer_status_off(const struct provision *p)
{
	return SLOT_SIZE - trailer_size(p);
}

/* Swap using move keeps one sector free below the trailer: the old image is shifted up by one. */
uint32_t image_max_size(const struct provision *p)
{
	if (!trailer_fits(p))
		return 0;
	return p->mode == MODE_OVERWRITE_ONLY ? SWAP_INFO_OFF : trailer_sectors_off(p) - FLASH_SECTOR;
}

/* --- fields --------------------------------------------------------------------------------------------------- */

/* One write of whole units, the rest of the last one erased. */
static int write_field(const struct provision *p, unsigned image, unsigned slot, uint32_t off, const void *value,
		       uint32_t len)
{
	uint8_t unit[8];

	memset(unit, FLASH_ERASED, sizeof(unit));
	memcpy(unit, value, len);
	return flash_write(slot_offset(image, slot) + off, unit, round_up(len, p->write_unit));
}

int trailer_write_magic(unsigned image, unsigned slot)
{
	return flash_write(slot_offset(image, slot) + MAGIC_OFF, MAGIC, sizeof(MAGIC));
}

int trailer_write_image_ok(const struct provision *p, unsigned image, unsigned slot)
{
	return write_field(p, image, slot, IMAGE_OK_OFF, &(uint8_t){0x01}, 1);
}

int trailer_write_copy_done(const struct provision *p, unsigned image, unsigned slot)
{
	return write_field(p, image, slot, COPY_DONE_OFF, &(uint8_t){0x01}, 1);
}

int trailer_write_swap_info(const struct provision *p, unsigned image, unsigned slot, enum swap_type type)
{
	return write_field(p, image, slot, SWAP_INFO_OFF, &(uint8_t){(uint8_t)(image << 4 | type)}, 1);
}

int trailer_write_swap_size(const struct provision *p, unsigned image, unsigned slot, uint32_t size)
{
	return write_field(p, image, slot, SWAP_SIZE_OFF, &size, sizeof(size));
}

uint32_t trailer_read_swap_size(unsigned image, unsigned slot)
{
	uint32_t size;

	return flash_read(slot_offset(image, slot) + SWAP_SIZE_OFF, &size, sizeof(size)) == FLASH_OK ? size : 0;
}

int trailer_write_status(const struct provision *p, unsigned image, uint32_t entry, uint8_t state)
{
	return write_field(p, image, 0, trailer_status_off(p) + entry * p->write_unit, &state, 1);
}

/* From the last entry down: a hole below it, left by a write that failed, does not count. */
uint32_t trailer_status_entries(const struct provision *p, unsigned image)
{
	uint32_t entries = STATES_PER_SECTOR * p->max_sectors;

	while (entries > 0 &&
	       read_byte(image, 0, trailer_status_off(p) + (entries - 1) * p->write_unit) == FLASH_ERASED)
		entries--;
	return entries;
}

/* --- erasing ---------------------------------------------------------------------------------------------------- */

/* From the slot end down: the magic goes first. */
int trailer_erase(const struct provision *p, unsigned image, unsigned slot)
{
	int rc = FLASH_OK;

	for (uint32_t at = SLOT_SIZE; rc == FLASH_OK && at > trailer_sectors_off(p); at -= FLASH_SECTOR)
		rc = flash_erase(slot_offset(image, slot) + at - FLASH_SECTOR, FLASH_SECTOR);
	return rc;
}

static bool sectors_erased(uint32_t off, uint32_t len)
{
	uint8_t chunk[64];

	for (; len > 0; off += sizeof(chunk), len -= sizeof(chunk)) {
		if (flash_read(off, chunk, sizeof(chunk)) != FLASH_OK || !is_erased(chunk, sizeof(chunk)))
			return false;
	}
	return true;
}

int trailer_clear(const struct provision *p, unsigned image, unsigned slot)
{
	uint32_t off = trailer_sectors_off(p);

	if (sectors_erased(slot_offset(image, slot) + off, SLOT_SIZE - off))
		return FLASH_OK;
	return trailer_erase(p, image, slot);
}
