/* SPDX-License-Identifier: Apache-2.0 */
#include "trailer.h"

#include <string.h>

#include "../flash/flash.h"
#include "encrypt.h"
#include "image.h"
#include "modes.h"

#define MAGIC_SIZE 16u
#define UNIT_MAX 32u

/* For alignment 8; a larger one stands itself in the first two bytes. */
static const uint8_t MAGIC_8[MAGIC_SIZE] = {0x77, 0xc2, 0x95, 0xf3, 0x60, 0xd2, 0xef, 0x7f,
					    0x35, 0x52, 0x50, 0x0f, 0x2c, 0xb6, 0x79, 0x80};
static const uint8_t MAGIC_LARGER[MAGIC_SIZE] = {0x00, 0x00, 0x2d, 0xe1, 0x5d, 0x29, 0x41, 0x0b,
						 0x8d, 0x77, 0x67, 0x9c, 0x11, 0x0f, 0x1f, 0x8a};

/* --- where the fields are, from the end of the area down ------------------------------------------------------ */

enum field { IMAGE_OK = 1, COPY_DONE, SWAP_INFO, AFTER_SWAP_INFO };

static uint32_t round_up(uint32_t value, uint32_t unit)
{
	return (value + unit - 1) / unit * unit;
}

/* The magic is written as whole units, the erased value in front of it. */
static uint32_t magic_room(void)
{
	return round_up(MAGIC_SIZE, provisioned()->align);
}

static uint32_t field_off(const struct area *a, uint32_t field)
{
	return a->size - magic_room() - field * provisioned()->align;
}

static uint32_t tlv_sizes_off(const struct area *a)
{
	return field_off(a, AFTER_SWAP_INFO);
}

static bool has_tlv_sizes(const struct provision *p)
{
	return p->mode == MODE_SWAP_OFFSET;
}

static uint32_t swap_size_off(const struct provision *p, const struct area *a)
{
	return field_off(a, AFTER_SWAP_INFO + (has_tlv_sizes(p) ? 1u : 0u));
}

uint32_t trailer_key_size(const struct provision *p)
{
	if (p->wrap == WRAP_NONE)
		return 0;
	return round_up((p->policy & POLICY_SAVE_KEY_TLV) ? wrapped_key_size(p) : p->content_key, p->align);
}

static uint32_t key_off(const struct provision *p, const struct area *a, unsigned of)
{
	return swap_size_off(p, a) - (of + 1u) * trailer_key_size(p);
}

static uint32_t fields_size(const struct provision *p, const struct area *a)
{
	return a->size - key_off(p, a, 1);
}

/* The scratch area has the entries of one sector, a slot those of all. */
static uint32_t status_entries_max(const struct provision *p, const struct area *a)
{
	return mode_of(p)->states * (a == scratch_area() ? 1u : p->max_sectors);
}

uint32_t trailer_size(const struct provision *p, const struct area *a)
{
	return fields_size(p, a) + status_entries_max(p, a) * p->write_unit;
}

uint32_t trailer_status_off(const struct provision *p, const struct area *a)
{
	return a->size - trailer_size(p, a);
}

uint32_t trailer_sectors_off(const struct provision *p, const struct area *a)
{
	return sector_start(a, trailer_status_off(p, a));
}

static bool has_room(const struct provision *p, const struct area *a)
{
	return p->max_sectors >= sector_count(a) && trailer_size(p, a) <= a->size / 2;
}

bool trailer_fits(const struct provision *p)
{
	/* swap using offset may have one sector more in the secondary, beyond what the status counts */
	return has_room(p, slot_area(0, 0)) && (has_tlv_sizes(p) || has_room(p, slot_area(0, 1)));
}

/* --- reading --------------------------------------------------------------------------------------------------- */

static void put_magic(uint8_t *magic)
{
	uint8_t align = provisioned()->align;

	memcpy(magic, align == 8 ? MAGIC_8 : MAGIC_LARGER, MAGIC_SIZE);
	if (align != 8)
		magic[0] = align;
}

/* What cannot be read is not there. */
static uint8_t read_byte(const struct area *a, uint32_t off)
{
	uint8_t byte;

	return flash_read(a->offset + off, &byte, 1) == FLASH_OK ? byte : flash_erased();
}

static enum magic_state read_magic(const struct area *a)
{
	uint8_t found[MAGIC_SIZE], good[MAGIC_SIZE];

	if (flash_read(a->offset + a->size - MAGIC_SIZE, found, sizeof(found)) != FLASH_OK ||
	    is_erased(found, sizeof(found)))
		return MAGIC_UNSET;
	put_magic(good);
	return memcmp(found, good, sizeof(good)) == 0 ? MAGIC_GOOD : MAGIC_BAD;
}

static enum flag_state read_flag(const struct area *a, enum field field)
{
	uint8_t byte = read_byte(a, field_off(a, field));

	return byte == 0x01 ? FLAG_SET : byte == flash_erased() ? FLAG_UNSET : FLAG_BAD;
}

void trailer_read_at(const struct area *a, struct trailer *t)
{
	uint8_t info = read_byte(a, field_off(a, SWAP_INFO));
	unsigned type = info & 0x0fu;
	bool known = info != flash_erased() && type >= SWAP_TEST && type <= SWAP_REVERT;

	t->magic = read_magic(a);
	t->image_ok = read_flag(a, IMAGE_OK);
	t->copy_done = read_flag(a, COPY_DONE);
	t->swap_type = known ? (enum swap_type)type : SWAP_NONE;
	t->image = known ? info >> 4 : 0;
}

void trailer_read(unsigned image, unsigned slot, struct trailer *t)
{
	trailer_read_at(slot_area(image, slot), t);
}

/* --- what the trailers ask for ------------------------------------------------------------------------------- */

#define ANY 0

/* First row that matches wins; no row is "none". MCUboot bootutil_public.c, boot_swap_tables. */
static const struct {
	struct trailer secondary, primary;
	enum swap_type type;
	bool only_offset; /* a revert that swap using offset has begun says so in the secondary */
} SWAP_TABLE[] = {
	{{MAGIC_GOOD, FLAG_UNSET, FLAG_SET, ANY, 0}, {ANY, ANY, ANY, ANY, 0}, SWAP_REVERT, true},
	{{MAGIC_GOOD, FLAG_UNSET, ANY, ANY, 0}, {ANY, ANY, ANY, ANY, 0}, SWAP_TEST, false},
	{{MAGIC_GOOD, FLAG_SET, ANY, ANY, 0}, {ANY, ANY, ANY, ANY, 0}, SWAP_PERM, false},
	{{ANY, ANY, ANY, ANY, 0}, {MAGIC_GOOD, FLAG_UNSET, FLAG_SET, ANY, 0}, SWAP_REVERT, false},
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
		if (SWAP_TABLE[i].only_offset && !has_tlv_sizes(provisioned()))
			continue;
		if (row_matches(&SWAP_TABLE[i].secondary, &secondary) && row_matches(&SWAP_TABLE[i].primary, &primary))
			return SWAP_TABLE[i].type;
	}
	return SWAP_NONE;
}

/* --- requesting and confirming -------------------------------------------------------------------------------- */

static int told(int rc)
{
	return rc == FLASH_OK ? BOOT_OK : BOOT_EFLASH;
}

/* Magic first: a cut after it leaves a test request, never a permanent one. */
static int request(const struct provision *p, unsigned image, const struct area *a, bool permanent)
{
	int rc = trailer_write_magic(a);

	if (rc == FLASH_OK && permanent)
		rc = trailer_write_image_ok(p, a);
	if (rc == FLASH_OK)
		rc = trailer_write_swap_info(p, a, image, permanent ? SWAP_PERM : SWAP_TEST);
	return told(rc);
}

/* Direct-XIP: the magic makes an image eligible, the two flags make it stay. The slot that runs can only
 * be confirmed. */
static int allow(const struct provision *p, const struct area *a, const struct trailer *t, bool confirm)
{
	int rc = t->magic == MAGIC_UNSET ? trailer_write_magic(a) : FLASH_OK;

	if (rc == FLASH_OK && confirm && t->copy_done == FLAG_UNSET)
		rc = trailer_write_copy_done(p, a);
	if (rc == FLASH_OK && confirm && t->image_ok == FLAG_UNSET)
		rc = trailer_write_image_ok(p, a);
	return told(rc);
}

static int set_next(const struct provision *p, unsigned image, unsigned slot, bool active, bool confirm)
{
	const struct area *a = slot_area(image, slot);
	struct trailer t;

	trailer_read_at(a, &t);
	switch (t.magic) {
	case MAGIC_GOOD: /* requested already, or running unconfirmed; copy_done does not matter for either */
		if (!active || t.image_ok != FLAG_UNSET)
			return BOOT_OK;
		return told(trailer_write_image_ok(p, a));
	case MAGIC_UNSET: /* what runs without a trailer counts as confirmed */
		return active ? BOOT_OK : request(p, image, a, confirm);
	default:
		return active ? BOOT_EBADVECT : BOOT_EBADIMAGE;
	}
}

int boot_set_next(const struct provision *p, unsigned image, unsigned slot, bool active, bool confirm)
{
	const struct mode *mode = mode_of(p);
	struct trailer t;

	if (mode->way != WAY_PICK || mode->ram)
		return set_next(p, image, slot, active, confirm);
	trailer_read(image, slot, &t);
	return t.magic == MAGIC_BAD ? BOOT_EBADIMAGE : allow(p, slot_area(image, slot), &t, active || confirm);
}

/* MCUboot's own code has the general form here in every mode. */
int boot_set_pending(const struct provision *p, unsigned image, bool permanent)
{
	return set_next(p, image, 1, false, permanent);
}

int boot_set_confirmed(const struct provision *p, unsigned image)
{
	return boot_set_next(p, image, 0, true, true);
}

bool boot_is_confirmed(unsigned image, unsigned slot)
{
	struct trailer t;

	trailer_read(image, slot, &t);
	return t.magic == MAGIC_UNSET || t.image_ok == FLAG_SET;
}

/* --- fields --------------------------------------------------------------------------------------------------- */

/* One write of whole units, the rest of the last one erased. */
static int write_field(const struct provision *p, const struct area *a, uint32_t off, const void *value, uint32_t len)
{
	uint8_t unit[UNIT_MAX];

	memset(unit, flash_erased(), sizeof(unit));
	memcpy(unit, value, len);
	return flash_write(a->offset + off, unit, round_up(len, p->write_unit));
}

int trailer_write_magic(const struct area *a)
{
	uint8_t units[UNIT_MAX];
	uint32_t room = magic_room();

	memset(units, flash_erased(), sizeof(units));
	put_magic(units + room - MAGIC_SIZE);
	return flash_write(a->offset + a->size - room, units, room);
}

int trailer_write_image_ok(const struct provision *p, const struct area *a)
{
	return write_field(p, a, field_off(a, IMAGE_OK), &(uint8_t){0x01}, 1);
}

int trailer_write_copy_done(const struct provision *p, const struct area *a)
{
	return write_field(p, a, field_off(a, COPY_DONE), &(uint8_t){0x01}, 1);
}

int trailer_write_swap_info(const struct provision *p, const struct area *a, unsigned image, enum swap_type type)
{
	return write_field(p, a, field_off(a, SWAP_INFO), &(uint8_t){(uint8_t)(image << 4 | type)}, 1);
}

int trailer_write_swap_size(const struct provision *p, const struct area *a, uint32_t size)
{
	return write_field(p, a, swap_size_off(p, a), &size, sizeof(size));
}

static uint32_t read_word(const struct area *a, uint32_t off)
{
	uint32_t word;

	return flash_read(a->offset + off, &word, sizeof(word)) == FLASH_OK ? word : 0;
}

uint32_t trailer_read_swap_size(const struct provision *p, const struct area *a)
{
	return read_word(a, swap_size_off(p, a));
}

int trailer_write_tlv_sizes(const struct provision *p, const struct area *a, uint16_t primary, uint16_t secondary)
{
	uint32_t both = (uint32_t)secondary << 16 | primary;

	return write_field(p, a, tlv_sizes_off(a), &both, sizeof(both));
}

uint32_t trailer_read_tlv_sizes(const struct area *a)
{
	return read_word(a, tlv_sizes_off(a));
}

int trailer_write_key(const struct provision *p, const struct area *a, unsigned of, const uint8_t *key)
{
	return flash_write(a->offset + key_off(p, a, of), key, trailer_key_size(p));
}

int trailer_read_key(const struct provision *p, const struct area *a, unsigned of, uint8_t *key)
{
	return flash_read(a->offset + key_off(p, a, of), key, trailer_key_size(p));
}

int trailer_write_status(const struct provision *p, const struct area *a, uint32_t entry, uint8_t state)
{
	return write_field(p, a, trailer_status_off(p, a) + entry * p->write_unit, &state, 1);
}

/* From the last entry down: a hole below it, left by a write that failed, does not count. */
uint32_t trailer_status_entries(const struct provision *p, const struct area *a)
{
	uint32_t entries = status_entries_max(p, a), first = trailer_status_off(p, a);

	while (entries > 0 && read_byte(a, first + (entries - 1) * p->write_unit) == flash_erased())
		entries--;
	return entries;
}

/* --- erasing ---------------------------------------------------------------------------------------------------- */

/* From the slot end down: the magic goes first. */
int trailer_erase(const struct provision *p, const struct area *a)
{
	return area_erase_backwards(a, trailer_sectors_off(p, a), a->size);
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

int trailer_clear(const struct provision *p, const struct area *a)
{
	uint32_t off = trailer_sectors_off(p, a);

	if (sectors_erased(a->offset + off, a->size - off))
		return FLASH_OK;
	return trailer_erase(p, a);
}

/* --- the largest image ------------------------------------------------------------------------------------------ */

static uint32_t smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* Swap using move shifts the old image up by a sector, in the primary; swap using offset keeps one free in the
 * secondary. */
static uint32_t max_size_with_spare(const struct provision *p)
{
	const struct area *primary = slot_area(0, 0), *secondary = slot_area(0, 1);
	uint32_t spare = sector_size(primary, 0), in_primary = p->mode == MODE_SWAP_MOVE ? spare : 0;

	return smaller(trailer_sectors_off(p, primary) - in_primary,
		       trailer_sectors_off(p, secondary) - (spare - in_primary));
}

/* An image may share a sector with the trailer when that sector passes through the scratch area beside the scratch
 * area's own trailer. The sector is the larger one of the two slots. */
static uint32_t max_size_with_scratch(const struct provision *p)
{
	uint32_t end = 0, status = trailer_status_off(p, slot_area(0, 0)), in_sector, own;

	for (unsigned slot = 0; slot < 2; slot++) {
		const struct area *a = slot_area(0, slot);
		uint32_t first = trailer_sectors_off(p, a), its_end = first + sector_size(a, first);

		end = its_end > end ? its_end : end;
	}
	in_sector = end - status;
	own = trailer_size(p, scratch_area());
	return own > in_sector ? status - (own - in_sector) : status;
}

uint32_t image_max_size(const struct provision *p)
{
	if (!trailer_fits(p))
		return 0;
	switch (mode_of(p)->way) {
	case WAY_SWAP:
		return p->mode == MODE_SWAP_SCRATCH ? max_size_with_scratch(p) : max_size_with_spare(p);
	case WAY_FIXED:
		return trailer_status_off(p, slot_area(0, 0));
	default:
		return field_off(slot_area(0, 0), SWAP_INFO);
	}
}
