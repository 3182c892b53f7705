/* SPDX-License-Identifier: Apache-2.0 */
/* What the ways to swap have in common, with MCUboot's trailers, so that either can finish what the other began. */
#include <string.h>

#include "../flash/flash.h"
#include "copy.h"
#include "modes.h"

static const struct swap_way *way_of(const struct provision *p)
{
	if (p->mode == MODE_SWAP_OFFSET)
		return &swap_by_offset;
	return p->mode == MODE_SWAP_SCRATCH ? &swap_by_scratch : &swap_by_move;
}

void swap_status_read(const struct provision *p, unsigned image, struct swap_status *s)
{
	*s = (struct swap_status){.begun = false, .type = SWAP_NONE, .noted = slot_area(image, 0)};
	way_of(p)->read(p, image, s);
}

/* --- the images when nothing has moved ------------------------------------------------------------------------- */

/* Both slots move as many bytes as the larger image has. An unreadable one has nothing worth keeping. */
static void measure(struct swap_job *j, unsigned slot)
{
	struct image_source from = image_in_slot(j->image, slot);
	struct body_cipher *cipher = &j->cipher[slot];
	uint8_t wrapped[KEY_FIELD_MAX];
	struct image_info info;

	memset(wrapped, 0xff, sizeof(wrapped));
	if (source_parse(&from, &info) != VERIFY_OK)
		return;
	if (info.end > j->size)
		j->size = info.end;
	j->tlv_size[slot] = (uint16_t)(info.end - info.protected_end);
	cipher->body = info.header.hdr_size;
	cipher->body_end = info.tlv_off;
	cipher->on = is_encrypted(&info.header) && content_key_of(j->p, &from, &info, cipher->key, wrapped);
	if (!cipher->on)
		return;
	if (j->p->policy & POLICY_SAVE_KEY_TLV)
		memcpy(j->keys[slot], wrapped, sizeof(wrapped));
	else
		memcpy(j->keys[slot], cipher->key, j->p->content_key);
}

/* --- and when some of it has ----------------------------------------------------------------------------------- */

static bool is_noted_key(const uint8_t *field, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++) {
		if (field[i] != 0xff)
			return true;
	}
	return false;
}

static void recall_key(struct swap_job *j, unsigned slot)
{
	struct body_cipher *cipher = &j->cipher[slot];
	uint32_t len = trailer_key_size(j->p);

	if (len == 0 || trailer_read_key(j->p, j->status->noted, slot, j->keys[slot]) != FLASH_OK)
		return;
	cipher->on = is_noted_key(j->keys[slot], len);
	if (cipher->on && (j->p->policy & POLICY_SAVE_KEY_TLV))
		cipher->on = content_key_unwrap(j->p, j->keys[slot], cipher->key);
	else if (cipher->on)
		memcpy(cipher->key, j->keys[slot], j->p->content_key);
}

static void recall(struct swap_job *j, unsigned slot, const struct swap_way *way)
{
	struct image_header h;

	recall_key(j, slot);
	if (!j->cipher[slot].on)
		return;
	if (flash_read(way->header(j, slot), &h, sizeof(h)) != FLASH_OK || h.magic != IMAGE_MAGIC || !is_encrypted(&h)) {
		j->cipher[slot].on = false;
		return;
	}
	j->cipher[slot].body = h.hdr_size;
	j->cipher[slot].body_end = h.hdr_size + h.img_size;
}

/* --- ------------------------------------------------------------------------------------------------------------ */

/* The size that a swap which is cut short goes on with. MCUboot's swap using offset forgets how large the old image was
 * (recordings "TEST, shorter image (large)"); a board that is weak on purpose does too. */
static uint32_t size_to_note(const struct swap_job *j)
{
	struct image_info info;

	if (!(j->p->policy & WEAK_RESUME_SHORT))
		return j->size;
	return image_read(j->image, 1, &info) == VERIFY_OK ? info.end : 0;
}

static int note_keys(const struct swap_job *j, const struct area *a)
{
	int rc = FLASH_OK;

	for (unsigned slot = 0; rc == FLASH_OK && trailer_key_size(j->p) > 0 && slot < 2; slot++)
		rc = trailer_write_key(j->p, a, slot, j->keys[slot]);
	return rc;
}

int swap_note(const struct swap_job *j, const struct area *a)
{
	struct trailer secondary;
	int rc = FLASH_OK;

	trailer_read_at(j->secondary, &secondary);
	if (j->type != SWAP_NONE)
		rc = trailer_write_swap_info(j->p, a, j->image, j->type);
	if (rc == FLASH_OK && secondary.image_ok == FLAG_SET)
		rc = trailer_write_image_ok(j->p, a);
	if (rc == FLASH_OK)
		rc = trailer_write_swap_size(j->p, a, a == j->primary ? size_to_note(j) : j->size);
	if (rc == FLASH_OK && j->p->mode == MODE_SWAP_OFFSET)
		rc = trailer_write_tlv_sizes(j->p, a, j->tlv_size[0], j->tlv_size[1]);
	if (rc == FLASH_OK)
		rc = note_keys(j, a);
	return rc == FLASH_OK ? trailer_write_magic(a) : rc;
}

int swap_run(const struct provision *p, unsigned image, enum swap_type type, const struct swap_status *s)
{
	const struct swap_way *way = way_of(p);
	struct swap_job j = {
		.p = p,
		.image = image,
		.type = type,
		.primary = slot_area(image, 0),
		.secondary = slot_area(image, 1),
		.status = s,
	};

	memset(j.keys, 0xff, sizeof(j.keys));
	if (s->entries > 0)
		j.size = trailer_read_swap_size(p, s->noted);
	for (unsigned slot = 0; slot < 2; slot++) {
		if (s->entries > 0)
			recall(&j, slot, way);
		else
			measure(&j, slot);
	}
	if (!way->fits(&j)) /* also a damaged size field */
		return SWAP_ERR_NO_ROOM;
	return way->run(&j);
}
