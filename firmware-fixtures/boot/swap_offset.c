/* SPDX-License-Identifier: Apache-2.0 */
/* Swap using offset. An update lies one sector further in the secondary, so that there is room to give each sector of
 * the primary away before the one of the secondary takes its place: first to last. A revert goes the other way, last to
 * first. One status entry follows each half of a step. Source: MCUboot swap_offset.c. */
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

static void read_status(const struct provision *p, unsigned image, struct swap_status *s)
{
	swap_by_move.read(p, image, s);
}

/* What is given away needs no spare sector in the primary, so an image that is too large to be an update may still be
 * swapped out. */
static bool fits(const struct swap_job *j)
{
	return sectors_of(j) * sector_of(j) <= trailer_sectors_off(j->p, j->primary);
}

/* Where the header is that `slot` had, after so many halves of steps. The step that was cut short has not yet touched
 * what it copies from. */
static uint32_t header(const struct swap_job *j, unsigned slot)
{
	uint32_t done = j->status->entries, last = 2 * (sectors_of(j) - 1), further = sector_of(j);

	if (j->type == SWAP_REVERT) {
		if (slot == 0)
			return done > last ? j->secondary->offset + further : j->primary->offset;
		return done > last + 1 ? j->primary->offset : j->secondary->offset;
	}
	if (slot == 0)
		return done > 0 ? j->secondary->offset : j->primary->offset;
	return done > 1 ? j->primary->offset : j->secondary->offset + further;
}

/* Says in the secondary that a revert has begun: if power fails before the primary's trailer is whole again, the next
 * boot finds that. */
static int request_revert(const struct swap_job *j)
{
	struct trailer secondary;
	int rc;

	trailer_read_at(j->secondary, &secondary);
	if (secondary.magic != MAGIC_UNSET)
		return FLASH_OK;
	rc = trailer_erase(j->p, j->secondary);
	if (rc == FLASH_OK)
		rc = trailer_write_copy_done(j->p, j->secondary);
	return rc == FLASH_OK ? swap_note(j, j->secondary) : rc;
}

static int begin(const struct swap_job *j)
{
	int rc = j->type == SWAP_REVERT ? request_revert(j) : FLASH_OK;

	if (rc == FLASH_OK && !j->status->begun)
		rc = trailer_erase(j->p, j->primary);
	if (rc == FLASH_OK && !j->status->begun)
		rc = swap_note(j, j->primary);
	return rc == FLASH_OK ? trailer_erase(j->p, j->secondary) : rc;
}

/* The last sector that the image which was in `slot` reaches, and one more: beyond it there is nothing to move. MCUboot
 * reads the header where its progress counter takes it to be, which is not always where it is. */
static uint32_t reach(const struct swap_job *j, unsigned slot)
{
	uint32_t tlvs = trailer_read_tlv_sizes(j->primary) >> (16 * slot) & 0xffffu, from = header(j, slot);
	struct image_header h;

	if (j->status->entries == 0) {
		from = slot_offset(j->image, slot) + image_start(j->image, slot);
		tlvs = j->tlv_size[slot];
	}
	if (flash_read(from, &h, sizeof(h)) != FLASH_OK || h.magic != IMAGE_MAGIC)
		return sectors_of(j);
	return (h.hdr_size + h.img_size + h.protect_tlv_size + tlvs + sector_of(j) - 1) / sector_of(j);
}

struct reaches {
	uint32_t of[2]; /* by the slot an image was in */
};

/* Half a step: a sector of `from` goes into `to`, unless the image does not reach it. */
static int give(const struct swap_job *j, const struct area *from, uint32_t from_off, const struct area *to,
		uint32_t to_off, uint32_t image_at, unsigned was_in)
{
	int rc = area_erase(to, to_off, to_off + sector_of(j));

	return rc == FLASH_OK ? image_copy(from->offset + from_off, to->offset + to_off, sector_of(j), image_at,
					   &j->cipher[was_in])
			      : rc;
}

static int half_step(const struct swap_job *j, uint32_t half, const struct reaches *reaches)
{
	bool back = j->type == SWAP_REVERT;
	uint32_t index = back ? sectors_of(j) - 1 - half / 2 : half / 2, at = index * sector_of(j);
	uint32_t further = at + sector_of(j);
	unsigned was_in = half % 2;
	int rc = FLASH_OK;

	if (index <= reaches->of[was_in]) {
		if (was_in == 0)
			rc = give(j, j->primary, at, j->secondary, back ? further : at, at, 0);
		else
			rc = give(j, j->secondary, back ? at : further, j->primary, at, at, 1);
	}
	return rc == FLASH_OK ? trailer_write_status(j->p, j->primary, half, (uint8_t)(was_in + 1)) : rc;
}

/* What lay in front must not pass for an update's header, nor the trailer for a request. */
static int clean_up(const struct swap_job *j)
{
	int rc = area_erase(j->secondary, 0, sector_of(j));

	return rc == FLASH_OK ? trailer_erase(j->p, j->secondary) : rc;
}

static int run(struct swap_job *j)
{
	struct reaches reaches = {{reach(j, 0), reach(j, 1)}};
	uint32_t done = j->status->entries;
	int rc = done < 2 ? begin(j) : FLASH_OK;

	for (uint32_t half = done; rc == FLASH_OK && half < 2 * sectors_of(j); half++)
		rc = half_step(j, half, &reaches);
	return rc == FLASH_OK && j->type == SWAP_REVERT ? clean_up(j) : rc;
}

const struct swap_way swap_by_offset = {read_status, fits, header, run};
