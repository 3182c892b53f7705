/* SPDX-License-Identifier: Apache-2.0 */
/* Swap using move, with MCUboot's status entries, so that either can finish what the other began.
 * First the primary moves up by one sector, last sector first; then, from the first sector on, each sector of the
 * secondary goes down into the gap and the old one from above takes its place. One status entry follows each step.
 * Source: MCUboot swap_move.c. */
#include "../flash/flash.h"
#include "../port/layout.h"
#include "copy.h"
#include "image.h"

#define SWAP_ERR_NO_ROOM (-100)

/* Begun: the primary's trailer is whole, and the secondary's request has been taken over. */
static bool is_begun(const struct trailer *primary, const struct trailer *secondary)
{
	return primary->magic == MAGIC_GOOD && primary->copy_done == FLAG_UNSET && secondary->magic != MAGIC_GOOD;
}

void swap_status_read(const struct provision *p, unsigned image, struct swap_status *s)
{
	struct trailer primary, secondary;

	trailer_read(image, 0, &primary);
	trailer_read(image, 1, &secondary);
	*s = (struct swap_status){.begun = false, .type = SWAP_NONE};
	if (!is_begun(&primary, &secondary))
		return;
	s->begun = true;
	s->type = primary.swap_type;
	s->entries = trailer_status_entries(p, image);
}

static uint32_t image_size(unsigned image, unsigned slot)
{
	struct image_info info;

	return image_read(image, slot, &info) == VERIFY_OK ? info.end : 0;
}

/* Both slots move as many bytes as the larger image has. An unreadable one has nothing worth keeping. */
static uint32_t bytes_to_swap(unsigned image)
{
	uint32_t primary = image_size(image, 0), secondary = image_size(image, 1);

	return primary > secondary ? primary : secondary;
}

/* The primary's trailer, magic last: until then nothing has begun. */
static int write_trailer(const struct provision *p, unsigned image, enum swap_type type, uint32_t size)
{
	struct trailer secondary;
	int rc = trailer_erase(p, image, 0);

	trailer_read(image, 1, &secondary);
	if (rc == FLASH_OK && type != SWAP_NONE)
		rc = trailer_write_swap_info(p, image, 0, type);
	if (rc == FLASH_OK && secondary.image_ok == FLAG_SET)
		rc = trailer_write_image_ok(p, image, 0);
	if (rc == FLASH_OK)
		rc = trailer_write_swap_size(p, image, 0, size);
	if (rc == FLASH_OK)
		rc = trailer_write_magic(image, 0);
	return rc;
}

/* A revert has no request in the secondary. It gets one, for good: if power fails before the primary's trailer is
 * whole again, the next boot finds that request and swaps just the same. */
static int request_revert(const struct provision *p, unsigned image, uint32_t size)
{
	int rc = trailer_erase(p, image, 1);

	if (rc == FLASH_OK)
		rc = trailer_write_image_ok(p, image, 1);
	if (rc == FLASH_OK)
		rc = trailer_write_swap_size(p, image, 1, size);
	if (rc == FLASH_OK)
		rc = trailer_write_magic(image, 1);
	return rc;
}

/* Erases a sector, copies another into it and says so in the status. */
static int step(const struct provision *p, unsigned image, uint32_t from, uint32_t to, uint32_t entry, uint8_t state)
{
	int rc = flash_erase(to, FLASH_SECTOR);

	if (rc == FLASH_OK)
		rc = flash_copy(from, to, FLASH_SECTOR);
	if (rc == FLASH_OK)
		rc = trailer_write_status(p, image, entry, state);
	return rc;
}

static int move_up(const struct provision *p, unsigned image, uint32_t sectors, uint32_t done)
{
	uint32_t primary = slot_offset(image, 0);
	int rc = FLASH_OK;

	for (uint32_t entry = done; rc == FLASH_OK && entry < sectors; entry++) {
		uint32_t from = primary + (sectors - 1 - entry) * FLASH_SECTOR;

		rc = step(p, image, from, from + FLASH_SECTOR, entry, 1);
	}
	return rc;
}

static int exchange(const struct provision *p, unsigned image, uint32_t sectors, uint32_t done)
{
	uint32_t primary = slot_offset(image, 0), secondary = slot_offset(image, 1);
	int rc = FLASH_OK;

	for (uint32_t half = done; rc == FLASH_OK && half < 2 * sectors; half++) {
		uint32_t at = half / 2 * FLASH_SECTOR, entry = p->max_sectors + half;

		if (half % 2 == 0)
			rc = step(p, image, secondary + at, primary + at, entry, 1);
		else
			rc = step(p, image, primary + at + FLASH_SECTOR, secondary + at, entry, 2);
	}
	return rc;
}

/* The size that a swap which is cut short goes on with. MCUboot's swap using offset forgets how large the old image was
 * (recordings "TEST, shorter image (large)"); a board that is weak on purpose does too. */
static uint32_t size_to_note(const struct provision *p, unsigned image, uint32_t size)
{
	return (p->policy & WEAK_RESUME_SHORT) ? image_size(image, 1) : size;
}

/* The trailers, unless that was done and power failed before the first sector moved. */
static int begin(const struct provision *p, unsigned image, enum swap_type type, uint32_t size, bool begun)
{
	int rc = type == SWAP_REVERT ? request_revert(p, image, size) : FLASH_OK;

	if (rc == FLASH_OK && !begun)
		rc = write_trailer(p, image, type, size_to_note(p, image, size));
	if (rc == FLASH_OK)
		rc = trailer_erase(p, image, 1);
	return rc;
}

int swap_run(const struct provision *p, unsigned image, enum swap_type type, const struct swap_status *s)
{
	uint32_t size = s->entries > 0 ? trailer_read_swap_size(image, 0) : bytes_to_swap(image);
	uint32_t sectors = size == 0 ? 1 : (size - 1) / FLASH_SECTOR + 1;
	bool moving = s->entries <= p->max_sectors;
	int rc = FLASH_OK;

	if (size > image_max_size(p)) /* also a damaged size field */
		return SWAP_ERR_NO_ROOM;
	if (s->entries == 0)
		rc = begin(p, image, type, size, s->begun);
	if (rc == FLASH_OK && moving)
		rc = move_up(p, image, sectors, s->entries);
	if (rc == FLASH_OK)
		rc = exchange(p, image, sectors, moving ? 0 : s->entries - p->max_sectors);
	return rc;
}
