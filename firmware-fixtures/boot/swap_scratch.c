/* SPDX-License-Identifier: Apache-2.0 */
/* Swap using scratch. Ranges of whole sectors, as large as the scratch area holds, from the last to the first: the
 * secondary's goes to the scratch area, the primary's takes its place, and what is in the scratch area goes to the
 * primary. One status entry follows each of the three. When the last range shares a sector with the primary's trailer,
 * the scratch area keeps the trailer meanwhile. Source: MCUboot swap_scratch.c. */
#include "../flash/flash.h"
#include "copy.h"

#define STATES 3u

/* Where a swap in progress is noted, by the magics of primary and scratch area and the primary's copy_done. First row
 * that matches wins; MCUboot's boot_status_tables. */
enum source { NOWHERE, IN_PRIMARY, IN_SCRATCH };
enum wanted { GOOD, NOT_GOOD, UNSET, ANY };

static const struct {
	enum wanted primary, scratch;
	enum flag_state copy_done; /* 0: any */
	enum source source;
} SOURCES[] = {
	{GOOD, NOT_GOOD, FLAG_SET, NOWHERE},
	{GOOD, NOT_GOOD, FLAG_UNSET, IN_PRIMARY},
	{ANY, GOOD, 0, IN_SCRATCH},
	{UNSET, ANY, FLAG_UNSET, IN_PRIMARY},
};

static bool is_wanted(enum wanted wanted, enum magic_state magic)
{
	switch (wanted) {
	case GOOD:
		return magic == MAGIC_GOOD;
	case NOT_GOOD:
		return magic != MAGIC_GOOD;
	case UNSET:
		return magic == MAGIC_UNSET;
	default:
		return true;
	}
}

static enum source find_source(unsigned image)
{
	struct trailer primary, scratch;

	trailer_read(image, 0, &primary);
	trailer_read_at(scratch_area(), &scratch);
	for (unsigned i = 0; i < sizeof(SOURCES) / sizeof(SOURCES[0]); i++) {
		if (!is_wanted(SOURCES[i].primary, primary.magic) || !is_wanted(SOURCES[i].scratch, scratch.magic) ||
		    (SOURCES[i].copy_done != 0 && SOURCES[i].copy_done != primary.copy_done))
			continue;
		/* there is one scratch area for all images */
		return SOURCES[i].source == IN_SCRATCH && scratch.image != image ? NOWHERE : SOURCES[i].source;
	}
	return NOWHERE;
}

static void read_status(const struct provision *p, unsigned image, struct swap_status *s)
{
	enum source source = find_source(image);
	struct trailer t;

	if (source == NOWHERE)
		return;
	if (source == IN_SCRATCH)
		s->noted = scratch_area();
	trailer_read_at(s->noted, &t);
	s->begun = t.magic == MAGIC_GOOD;
	s->type = t.swap_type;
	s->entries = trailer_status_entries(p, s->noted);
}

/* --- the ranges -------------------------------------------------------------------------------------------------- */

struct range {
	uint32_t off, len;
};

static bool is_boundary(const struct area *a, uint32_t off)
{
	return off == a->size || sector_start(a, off) == off;
}

/* The end of what is swapped: the first place behind the images where a sector ends in both slots. */
static uint32_t swap_end(const struct swap_job *j)
{
	uint32_t end = 0;

	do {
		end += sector_size(j->primary, end);
	} while (end < j->primary->size && (end < j->size || !is_boundary(j->secondary, end)));
	return end;
}

/* The range that ends at `end`: as many of the primary's sectors as the scratch area holds. */
static struct range range_before(const struct swap_job *j, uint32_t end)
{
	uint32_t off = end;

	while (off > 0) {
		uint32_t start = sector_start(j->primary, off - 1);

		if (end - start > scratch_area()->size)
			break;
		off = start;
	}
	return (struct range){off, end - off};
}

static uint32_t range_count(const struct swap_job *j)
{
	uint32_t count = 0;

	for (uint32_t end = swap_end(j); end > 0; count++)
		end = range_before(j, end).off;
	return count;
}

/* An old image may reach into the trailer: what the trailer covers is lost, and the new one comes in all the same. */
static bool fits(const struct swap_job *j)
{
	return j->size <= j->primary->size;
}

/* The headers are in the last range of all. */
static uint32_t header(const struct swap_job *j, unsigned slot)
{
	uint32_t done = j->status->entries, last = STATES * (range_count(j) - 1);
	uint32_t in_last = done < last ? 0 : done - last;

	if (in_last >= STATES)
		return slot == 0 ? j->secondary->offset : j->primary->offset;
	if (slot == 1)
		return in_last >= 1 ? scratch_area()->offset : j->secondary->offset;
	return in_last >= 2 ? j->secondary->offset : j->primary->offset;
}

/* --- one range --------------------------------------------------------------------------------------------------- */

struct step {
	const struct swap_job *j;
	struct range range;
	uint32_t index;      /* of the range */
	uint32_t copied;     /* bytes of it that are moved: not the trailer */
	bool shares_trailer; /* the scratch area holds the trailer while the primary's is erased */
};

static struct step plan_step(const struct swap_job *j, struct range range, uint32_t index)
{
	struct step s = {.j = j, .range = range, .index = index, .copied = range.len};

	if (range.off + range.len > trailer_sectors_off(j->p, j->primary)) {
		s.copied = trailer_status_off(j->p, j->primary) - range.off;
		if (s.copied > trailer_status_off(j->p, scratch_area()))
			s.copied = trailer_status_off(j->p, scratch_area());
	}
	s.shares_trailer = index == 0 && s.copied != range.len;
	return s;
}

static int note_state(const struct step *s, const struct area *a, uint8_t state)
{
	return trailer_write_status(s->j->p, a, s->index * STATES + state - 1u, state);
}

static int erase_scratch(void)
{
	return area_erase(scratch_area(), 0, scratch_area()->size);
}

/* Notes the swap: in the scratch area first, which is the safe place while the primary's trailer is erased, then in the
 * primary, unless that trailer shares its sector with what is swapped. MCUboot begins again with an empty scratch area
 * even when the scratch area is the only place that knows; a second power cut there makes it forget a revert. */
static int begin(const struct step *s)
{
	const struct swap_job *j = s->j;
	bool noted = j->status->begun && j->status->noted == scratch_area() && !s->shares_trailer;
	int rc = noted ? FLASH_OK : erase_scratch();

	if (rc == FLASH_OK && !noted)
		rc = swap_note(j, scratch_area());
	if (rc != FLASH_OK || s->shares_trailer)
		return rc;
	rc = trailer_erase(j->p, j->primary);
	if (rc == FLASH_OK)
		rc = swap_note(j, j->primary);
	return rc == FLASH_OK ? erase_scratch() : rc;
}

static int to_scratch(const struct step *s)
{
	const struct swap_job *j = s->j;
	int rc = s->index == 0 ? begin(s) : erase_scratch();

	if (rc == FLASH_OK)
		rc = flash_copy(j->secondary->offset + s->range.off, scratch_area()->offset, s->copied);
	return rc == FLASH_OK ? note_state(s, s->shares_trailer ? scratch_area() : j->primary, 1) : rc;
}

/* The sectors of a range, without those that hold the trailer if these were erased before. */
static int erase_range(const struct step *s, const struct area *a, bool trailer_is_erased)
{
	uint32_t end = trailer_is_erased ? trailer_sectors_off(s->j->p, a) : s->range.off + s->range.len;

	return end > s->range.off ? area_erase(a, s->range.off, end) : FLASH_OK;
}

static int to_secondary(const struct step *s)
{
	const struct swap_job *j = s->j;
	int rc = s->index == 0 ? trailer_erase(j->p, j->secondary) : FLASH_OK;

	if (rc == FLASH_OK)
		rc = erase_range(s, j->secondary, s->shares_trailer);
	if (rc == FLASH_OK)
		rc = image_copy(j->primary->offset + s->range.off, j->secondary->offset + s->range.off, s->copied,
				s->range.off, &j->cipher[0]);
	return rc == FLASH_OK ? note_state(s, s->shares_trailer ? scratch_area() : j->primary, 2) : rc;
}

/* The trailer moves from the scratch area to the primary, magic last. */
static int bring_trailer(const struct step *s)
{
	const struct swap_job *j = s->j;
	uint32_t from = scratch_area()->offset + trailer_status_off(j->p, scratch_area());
	struct trailer t;
	int rc = flash_copy(from, j->primary->offset + trailer_status_off(j->p, j->primary),
			    (STATES - 1u) * j->p->write_unit);

	trailer_read_at(scratch_area(), &t);
	if (rc == FLASH_OK && t.image_ok == FLAG_SET)
		rc = trailer_write_image_ok(j->p, j->primary);
	if (rc == FLASH_OK && t.swap_type != SWAP_NONE)
		rc = trailer_write_swap_info(j->p, j->primary, j->image, t.swap_type);
	if (rc == FLASH_OK)
		rc = trailer_write_swap_size(j->p, j->primary, j->size);
	for (unsigned slot = 0; rc == FLASH_OK && trailer_key_size(j->p) > 0 && slot < 2; slot++)
		rc = trailer_write_key(j->p, j->primary, slot, j->keys[slot]);
	return rc == FLASH_OK ? trailer_write_magic(j->primary) : rc;
}

static int to_primary(const struct step *s)
{
	const struct swap_job *j = s->j;
	int rc = s->shares_trailer ? trailer_erase(j->p, j->primary) : FLASH_OK;

	if (rc == FLASH_OK)
		rc = erase_range(s, j->primary, s->shares_trailer);
	if (rc == FLASH_OK)
		rc = image_copy(scratch_area()->offset, j->primary->offset + s->range.off, s->copied, s->range.off,
				&j->cipher[1]);
	if (rc == FLASH_OK && s->shares_trailer)
		rc = bring_trailer(s);
	if (rc == FLASH_OK)
		rc = note_state(s, j->primary, 3);
	/* backwards: half an area without a magic must not pass for the trailer */
	return rc == FLASH_OK && s->shares_trailer ? area_erase_backwards(scratch_area(), 0, scratch_area()->size) : rc;
}

static int (*const HALVES[STATES])(const struct step *s) = {to_scratch, to_secondary, to_primary};

static int run(struct swap_job *j)
{
	uint32_t end = swap_end(j);
	int rc = FLASH_OK;

	for (uint32_t index = 0; rc == FLASH_OK && end > 0; index++) {
		struct step s = plan_step(j, range_before(j, end), index);

		for (uint32_t state = 0; rc == FLASH_OK && state < STATES; state++) {
			if (index * STATES + state >= j->status->entries)
				rc = HALVES[state](&s);
		}
		end = s.range.off;
	}
	return rc;
}

const struct swap_way swap_by_scratch = {read_status, fits, header, run};
