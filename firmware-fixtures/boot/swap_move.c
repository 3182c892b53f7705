/* SPDX-License-Identifier: Apache-2.0 */
/* Swap using move. First the primary moves up by one sector, last sector first; then, from the first sector on, each
 * sector of the secondary goes down into the gap and the old one from above takes its place. One status entry follows
 * each step. Source: MCUboot swap_move.c. */
#include "../flash/flash.h"
#include "copy.h"

static uint32_t sector_of(const struct swap_job *j)
{
	return sector_size(j->primary, 0);
}

static uint32_t sectors_of(const struct swap_job *j)
{
	return j->size == 0 ? 1 : (j->size - 1) / sector_of(j) + 1;
}

/* Begun: the primary's trailer is whole, and the secondary's request has been taken over. */
static void read_status(const struct provision *p, unsigned image, struct swap_status *s)
{
	struct trailer primary, secondary;

	trailer_read(image, 0, &primary);
	trailer_read(image, 1, &secondary);
	if (primary.magic != MAGIC_GOOD || primary.copy_done != FLAG_UNSET || secondary.magic == MAGIC_GOOD)
		return;
	s->begun = true;
	s->type = primary.swap_type;
	s->entries = trailer_status_entries(p, s->noted);
}

static bool fits(const struct swap_job *j)
{
	return j->size <= image_max_size(j->p);
}

static uint32_t header(const struct swap_job *j, unsigned slot)
{
	uint32_t done = j->status->entries, exchange = j->p->max_sectors;

	if (slot == 1)
		return done > exchange ? j->primary->offset : j->secondary->offset;
	if (done > exchange + 1)
		return j->secondary->offset;
	return done >= sectors_of(j) ? j->primary->offset + sector_of(j) : j->primary->offset;
}

/* A revert has no request in the secondary. It gets one, for good: if power fails before the primary's trailer is
 * whole again, the next boot finds that request and swaps just the same. */
static int request_revert(const struct swap_job *j)
{
	int rc = trailer_erase(j->p, j->secondary);

	if (rc == FLASH_OK)
		rc = trailer_write_image_ok(j->p, j->secondary);
	if (rc == FLASH_OK)
		rc = trailer_write_swap_size(j->p, j->secondary, j->size);
	if (rc == FLASH_OK)
		rc = trailer_write_magic(j->secondary);
	return rc;
}

/* Erases a sector, copies another into it and says so in the status. `at`: where in its image the sector belongs. */
static int step(const struct swap_job *j, uint32_t from, const struct area *to, uint32_t to_off,
		const struct body_cipher *cipher, uint32_t entry, uint8_t state)
{
	int rc = area_erase(to, to_off, to_off + sector_of(j));

	if (rc == FLASH_OK)
		rc = image_copy(from, to->offset + to_off, sector_of(j), to_off, cipher);
	if (rc == FLASH_OK)
		rc = trailer_write_status(j->p, j->primary, entry, state);
	return rc;
}

static int move_up(const struct swap_job *j, uint32_t done)
{
	int rc = FLASH_OK;

	for (uint32_t entry = done; rc == FLASH_OK && entry < sectors_of(j); entry++) {
		uint32_t off = (sectors_of(j) - 1 - entry) * sector_of(j);

		rc = step(j, j->primary->offset + off, j->primary, off + sector_of(j), 0, entry, 1);
	}
	return rc;
}

static int exchange(const struct swap_job *j, uint32_t done)
{
	int rc = FLASH_OK;

	for (uint32_t half = done; rc == FLASH_OK && half < 2 * sectors_of(j); half++) {
		uint32_t at = half / 2 * sector_of(j), entry = j->p->max_sectors + half;

		if (half % 2 == 0)
			rc = step(j, j->secondary->offset + at, j->primary, at, &j->cipher[1], entry, 1);
		else
			rc = step(j, j->primary->offset + at + sector_of(j), j->secondary, at, &j->cipher[0], entry, 2);
	}
	return rc;
}

/* The trailers, unless that was done and power failed before the first sector moved. */
static int begin(const struct swap_job *j)
{
	int rc = j->type == SWAP_REVERT ? request_revert(j) : FLASH_OK;

	if (rc == FLASH_OK && !j->status->begun)
		rc = trailer_erase(j->p, j->primary);
	if (rc == FLASH_OK && !j->status->begun)
		rc = swap_note(j, j->primary);
	if (rc == FLASH_OK)
		rc = trailer_erase(j->p, j->secondary);
	return rc;
}

static int run(struct swap_job *j)
{
	uint32_t done = j->status->entries;
	bool moving = done <= j->p->max_sectors;
	int rc = done == 0 ? begin(j) : FLASH_OK;

	if (rc == FLASH_OK && moving)
		rc = move_up(j, done);
	if (rc == FLASH_OK)
		rc = exchange(j, moving ? 0 : done - j->p->max_sectors);
	return rc;
}

const struct swap_way swap_by_move = {read_status, fits, header, run};
