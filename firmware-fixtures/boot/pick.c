/* SPDX-License-Identifier: Apache-2.0 */
/* Source: MCUboot loader.c (the part for direct-XIP and RAM load) and ram_load.c. */
#include "pick.h"

#include <string.h>

#include "../flash/flash.h"
#include "../port/layout.h"
#include "../port/port.h"
#include "dependency.h"
#include "encrypt.h"
#include "events.h"
#include "modes.h"
#include "recovery.h"
#include "tlv.h"
#include "trailer.h"
#include "update.h"

#define SLOTS 2u
#define NO_SLOT SLOTS

struct candidate {
	bool available;
	struct image_header header;
};

struct choice {
	struct candidate slots[SLOTS];
	unsigned slot;            /* NO_SLOT: none yet */
	struct trailer trailer;   /* as it was before this boot */
	uint8_t *ram;
	uint32_t ram_at, ram_len; /* from the start of the RAM window */
};

/* --- what a slot offers ------------------------------------------------------------------------------------------ */

static void look(unsigned image, struct choice *c)
{
	for (unsigned slot = 0; slot < SLOTS; slot++) {
		struct image_header *h = &c->slots[slot].header;

		c->slots[slot].available = flash_read(slot_offset(image, slot), h, sizeof(*h)) == FLASH_OK &&
					   header_check(h, image, slot) == VERIFY_OK;
	}
	c->slot = NO_SLOT;
}

/* Of equal versions the primary's. */
static unsigned highest_version(const struct choice *c)
{
	if (!c->slots[0].available || !c->slots[1].available)
		return c->slots[0].available ? 0 : c->slots[1].available ? 1 : NO_SLOT;
	return version_compare(&c->slots[1].header.version, &c->slots[0].header.version) > 0 ? 1 : 0;
}

static void wipe(struct choice *c)
{
	if (c->ram != 0)
		memset(c->ram, 0, c->ram_len);
	c->ram = 0;
}

static void drop(struct choice *c)
{
	wipe(c);
	c->slots[c->slot].available = false;
	c->slot = NO_SLOT;
}

static void drop_and_erase(unsigned image, struct choice *c, enum verify_reason reason, uint32_t value)
{
	event_record(EVENT_VERIFY_FAILED, image, c->slot, reason, value);
	if (area_erase(slot_area(image, c->slot), 0, slot_size(image, c->slot)) == FLASH_OK)
		event_record(EVENT_ERASED, image, c->slot, reason, 0);
	drop(c);
}

/* --- the checks, in order ---------------------------------------------------------------------------------------- */

/* An image that is fixed to another place cannot run here; it may have been meant for the other slot. */
static bool is_at_home(const struct provision *p, unsigned image, const struct choice *c)
{
	const struct image_header *h = &c->slots[c->slot].header;

	return mode_of(p)->ram || !(h->flags & IMAGE_F_ROM_FIXED) || OPTION(p, WEAK_ADDRESS_UNCHECKED) ||
	       h->load_addr == port_flash_address(slot_offset(image, c->slot));
}

/* It must carry the mark that lets it run, and not have run before without being confirmed. copy_done notes that it is
 * picked now. */
static bool may_run(const struct provision *p, unsigned image, struct choice *c)
{
	const struct area *a = slot_area(image, c->slot);
	const struct trailer *t = &c->trailer;

	trailer_read_at(a, &c->trailer);
	if (!mode_of(p)->tests)
		return true;
	if (t->magic != MAGIC_GOOD)
		return false;
	if (t->copy_done == FLAG_SET && t->image_ok != FLAG_SET && !(p->policy & WEAK_NO_REVERT))
		return false;
	if (t->copy_done != FLAG_SET)
		trailer_write_copy_done(p, a);
	return true;
}

static bool in_window(const struct provision *p, uint32_t address, uint32_t len)
{
	return address >= p->ram_start && address - p->ram_start <= p->ram_size &&
	       len <= p->ram_size - (address - p->ram_start);
}

static bool overlaps(const struct choice *a, const struct choice *b)
{
	return b->ram != 0 && a->ram_at < b->ram_at + b->ram_len && b->ram_at < a->ram_at + a->ram_len;
}

static bool decrypt_in_ram(const struct provision *p, const struct image_source *from, const struct image_info *info,
			   uint8_t *ram)
{
	struct body_cipher cipher = {.on = true, .body = info->header.hdr_size, .body_end = info->tlv_off};

	if (!content_key_of(p, from, info, cipher.key, 0))
		return false;
	body_crypt(p, &cipher, 0, ram, info->tlv_off);
	return true;
}

/* The whole image, header to last TLV, goes to its load address, and is judged there. MCUboot leaves the bytes of an
 * image that it cannot decrypt in RAM. */
static enum verify_reason load(const struct provision *p, unsigned image, struct choice *all)
{
	struct choice *c = &all[image];
	struct image_source from = image_in_slot(image, c->slot);
	uint8_t *window = port_ram_window(p->ram_start, p->ram_size);
	struct image_info info;
	enum verify_reason reason = source_parse(&from, &info);

	if (!(c->slots[c->slot].header.flags & IMAGE_F_RAM_LOAD))
		return VERIFY_FLAGS;
	if (reason != VERIFY_OK)
		return reason;
	if (window == 0 || !in_window(p, info.header.load_addr, info.end))
		return VERIFY_ADDRESS;
	c->ram_at = info.header.load_addr - p->ram_start;
	c->ram_len = info.end;
	for (unsigned other = 0; other < image; other++) {
		if (overlaps(c, &all[other]))
			return VERIFY_ADDRESS;
	}
	c->ram = window + c->ram_at;
	if (source_read(&from, 0, c->ram, c->ram_len) != FLASH_OK)
		return VERIFY_HEADER;
	if (is_encrypted(&info.header) && !decrypt_in_ram(p, &from, &info, c->ram))
		return VERIFY_KEY;
	return VERIFY_OK;
}

static enum verify_reason judge(const struct provision *p, unsigned image, const struct choice *c, uint32_t *value)
{
	struct image_source from = {.image = image, .slot = c->slot, .ram = c->ram};
	struct image_info info = {.has_counter = false};
	enum verify_reason reason = VERIFY_OK;

	if (!(c->slot == 0 && (p->policy & WEAK_RECOVERY_UNCHECKED) && recovery_wrote(image)))
		reason = source_verify(p, &from, &info);
	*value = info.has_counter ? info.counter : 0;
	return reason;
}

/* The next best slot of an image. False: there is none. */
static bool pick(const struct provision *p, unsigned image, struct choice *all)
{
	struct choice *c = &all[image];

	while ((c->slot = highest_version(c)) != NO_SLOT) {
		enum verify_reason reason = VERIFY_OK;
		uint32_t value = 0;

		if (!is_at_home(p, image, c)) {
			event_record(EVENT_VERIFY_FAILED, image, c->slot, VERIFY_ADDRESS, 0);
			drop(c);
			continue;
		}
		if (!may_run(p, image, c))
			reason = VERIFY_TRIAL;
		if (reason == VERIFY_OK && mode_of(p)->ram)
			reason = load(p, image, all);
		if (reason == VERIFY_OK && (c->slots[c->slot].header.flags & IMAGE_F_NON_BOOTABLE)) {
			drop(c);
			continue;
		}
		if (reason == VERIFY_OK)
			reason = judge(p, image, c, &value);
		if (reason == VERIFY_OK)
			return true;
		drop_and_erase(image, c, reason, value);
	}
	return false;
}

/* --- all images together ----------------------------------------------------------------------------------------- */

/* The first image whose dependencies are not met loses its slot, and another one is tried. */
static bool is_consistent(const struct provision *p, struct choice *all)
{
	unsigned slots[MAX_IMAGES];

	for (unsigned image = 0; image < p->images; image++)
		slots[image] = all[image].slot;
	for (unsigned image = 0; p->images > 1 && image < p->images; image++) {
		if (dependencies_met(p, image, slots))
			continue;
		event_record(EVENT_DEPENDENCY, image, slots[image], VERIFY_OK, 0);
		drop(&all[image]);
		return false;
	}
	return true;
}

/* Only an image that has been confirmed may close the way back to the one before. MCUboot holds to that with direct-XIP
 * and forgets it with RAM load. */
static bool follow_counter(const struct provision *p, unsigned image, const struct choice *c)
{
	if (mode_of(p)->tests && c->trailer.image_ok != FLAG_SET && !(p->policy & WEAK_COUNTER_EARLY))
		return true;
	return store_counter(p, image, c->slot);
}

bool pick_all(const struct provision *p, struct picked picked[])
{
	struct choice all[MAX_IMAGES];

	memset(all, 0, sizeof(all));
	for (unsigned image = 0; image < p->images; image++)
		look(image, &all[image]);
	do {
		for (unsigned image = 0; image < p->images; image++) {
			if (all[image].slot == NO_SLOT && !pick(p, image, all))
				return false;
		}
	} while (!is_consistent(p, all));
	for (unsigned image = 0; image < p->images; image++) {
		struct choice *c = &all[image];

		if (!follow_counter(p, image, c))
			return false;
		picked[image] = (struct picked){c->slot, c->slots[c->slot].header, c->ram};
	}
	return true;
}
