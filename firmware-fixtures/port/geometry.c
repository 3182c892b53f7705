/* SPDX-License-Identifier: Apache-2.0 */
#include "geometry.h"

#include "../flash/flash.h"
#include "layout.h"
#include "provision.h"

#define KIB 1024u
#define SLOTS_OF_4K(at) {at, 128 * KIB, 0, 0, 4 * KIB}
#define SLOT_OF_128K(at) {at, 768 * KIB, 0, 0, 128 * KIB}

static const struct geometry ROWS[GEOMETRIES] = {
	[GEOMETRY_EVEN] = {
		.images = 2,
		.flash_size = FLASH_SIZE,
		.slots = {{SLOTS_OF_4K(0x00000u), SLOTS_OF_4K(0x20000u)}, {SLOTS_OF_4K(0x40000u), SLOTS_OF_4K(0x60000u)}},
		.scratch = {SCRATCH_OFFSET, 8 * KIB, 0, 0, 4 * KIB},
	},
	/* STM32H7 and its kin: six sectors a slot */
	[GEOMETRY_LARGE] = {
		.images = 1,
		.flash_size = 0x2a0000u,
		.slots = {{SLOT_OF_128K(0x100000u), SLOT_OF_128K(0x1c0000u)}},
		.scratch = {0x280000u, 128 * KIB, 0, 0, 128 * KIB},
	},
	/* STM32F4 and its kin: small sectors first, and two slots that do not agree */
	[GEOMETRY_UNEVEN] = {
		.images = 1,
		.flash_size = FLASH_SIZE,
		.slots = {{{0x00000u, 128 * KIB, 16 * KIB, 4, 64 * KIB}, {0x20000u, 128 * KIB, 0, 0, 64 * KIB}}},
		.scratch = {SCRATCH_OFFSET + 0x10000u, 64 * KIB, 0, 0, 64 * KIB},
	},
	/* what swap using offset likes best: a secondary of one sector more */
	[GEOMETRY_ONE_MORE] = {
		.images = 1,
		.flash_size = FLASH_SIZE,
		.slots = {{SLOTS_OF_4K(0x00000u), {0x20000u, 132 * KIB, 0, 0, 4 * KIB}}},
		.scratch = {SCRATCH_OFFSET, 8 * KIB, 0, 0, 4 * KIB},
	},
};

const struct geometry *geometry(void)
{
	return &ROWS[provisioned() ? provisioned()->geometry : GEOMETRY_EVEN];
}

const struct area *slot_area(unsigned image, unsigned slot)
{
	return &geometry()->slots[image][slot];
}

const struct area *scratch_area(void)
{
	return &geometry()->scratch;
}

uint32_t slot_offset(unsigned image, unsigned slot)
{
	return slot_area(image, slot)->offset;
}

uint32_t slot_size(unsigned image, unsigned slot)
{
	return slot_area(image, slot)->size;
}

uint32_t sector_start(const struct area *a, uint32_t off)
{
	uint32_t rest_at = a->first * a->first_count;

	return off < rest_at ? off - off % a->first : off - (off - rest_at) % a->rest;
}

uint32_t sector_size(const struct area *a, uint32_t off)
{
	return off < a->first * a->first_count ? a->first : a->rest;
}

uint32_t sector_count(const struct area *a)
{
	return a->first_count + (a->size - a->first * a->first_count) / a->rest;
}

static bool holds(const struct area *a, uint32_t off)
{
	return off >= a->offset && off - a->offset < a->size;
}

static uint32_t sector_in(const struct area *a, uint32_t off, uint32_t *size)
{
	*size = sector_size(a, off - a->offset);
	return a->offset + sector_start(a, off - a->offset);
}

uint32_t flash_sector(uint32_t off, uint32_t *size)
{
	for (unsigned image = 0; image < geometry()->images; image++) {
		for (unsigned slot = 0; slot < 2; slot++) {
			if (holds(slot_area(image, slot), off))
				return sector_in(slot_area(image, slot), off, size);
		}
	}
	if (holds(scratch_area(), off))
		return sector_in(scratch_area(), off, size);
	*size = FLASH_SECTOR;
	return off - off % FLASH_SECTOR;
}

int area_erase(const struct area *a, uint32_t from, uint32_t to)
{
	int rc = FLASH_OK;

	for (uint32_t at = sector_start(a, from); rc == FLASH_OK && at < to; at += sector_size(a, at))
		rc = flash_erase(a->offset + at, sector_size(a, at));
	return rc;
}

int area_erase_backwards(const struct area *a, uint32_t from, uint32_t to)
{
	int rc = FLASH_OK;

	while (rc == FLASH_OK && to > from) {
		to = sector_start(a, to - 1);
		rc = flash_erase(a->offset + to, sector_size(a, to));
	}
	return rc;
}

uint8_t flash_erased(void)
{
	return provisioned() ? provisioned()->erased_value : 0xffu;
}

bool is_erased(const void *bytes, uint32_t len)
{
	const uint8_t *at = bytes;
	uint8_t erased = flash_erased();

	for (uint32_t i = 0; i < len; i++) {
		if (at[i] != erased)
			return false;
	}
	return true;
}
