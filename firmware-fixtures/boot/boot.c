/* SPDX-License-Identifier: Apache-2.0 */
/* One boot: bring the slots in order, validate what would run, start it; or recovery. */
#include "boot.h"

#include <stdbool.h>

#include "../flash/flash.h"
#include "../port/geometry.h"
#include "../port/layout.h"
#include "../port/port.h"
#include "../port/retained.h"
#include "counter.h"
#include "events.h"
#include "image.h"
#include "modes.h"
#include "pick.h"
#include "recovery.h"
#include "tlv.h"
#include "update.h"

#define PRIMARY 0u
#define LOADER 1u /* slot of the firmware loader */

static struct provision provision;
static bool in_recovery;

/* --- what runs next --------------------------------------------------------------------------------------------- */

/* The header alone: enough to know where the body is. */
static enum verify_reason startable(unsigned image, unsigned slot, struct image_header *h)
{
	if (flash_read(slot_offset(image, slot), h, sizeof(*h)) != FLASH_OK)
		return VERIFY_HEADER;
	if (h->magic == IMAGE_MAGIC && (h->flags & IMAGE_F_NON_BOOTABLE))
		return VERIFY_NOT_BOOTABLE;
	return header_check(h, image, slot);
}

static bool skips_validation(unsigned image)
{
	if (provision.policy & POLICY_SKIP_PRIMARY)
		return true;
	return (provision.policy & WEAK_RECOVERY_UNCHECKED) && recovery_wrote(image);
}

static bool validate(unsigned image, unsigned slot, struct image_header *h)
{
	struct image_info info = {.has_counter = false};
	enum verify_reason reason = startable(image, slot, h);

	if (reason == VERIFY_OK && !(slot == PRIMARY && skips_validation(image)))
		reason = image_verify(&provision, image, slot, &info);
	if (reason != VERIFY_OK)
		event_record(EVENT_VERIFY_FAILED, image, slot, reason, info.has_counter ? info.counter : 0);
	return reason == VERIFY_OK;
}

static enum verify_reason why_not_stored(unsigned image, const struct image_info *info)
{
	if (!info->has_counter)
		return VERIFY_COUNTER_MISSING;
#ifdef DECOMPRESS
	if (info->counter > counter_read(image))
		return VERIFY_COUNTER_EXHAUSTED;
#else
	(void)image;
#endif
	return VERIFY_COUNTER_LOW;
}

/* Without validation the image in the primary may turn out too old, or to have no counter, only now. */
static bool store_counter_of(unsigned image)
{
	struct image_info info;

	if (update_counter(&provision, image))
		return true;
	image_read(image, PRIMARY, &info);
	event_record(EVENT_VERIFY_FAILED, image, PRIMARY, why_not_stored(image, &info), info.has_counter ? info.counter : 0);
	return false;
}

/* Every image must be good, and its counter stored if it is here to stay. */
static bool choose_primaries(struct picked picked[])
{
	update_all(&provision);
	for (unsigned image = 0; image < provision.images; image++) {
		picked[image] = (struct picked){.slot = PRIMARY};
		if (!validate(image, PRIMARY, &picked[image].header) || !store_counter_of(image))
			return false;
	}
	return true;
}

static bool choose_slot(unsigned slot, struct picked *picked)
{
	*picked = (struct picked){.slot = slot};
	return validate(0, slot, &picked->header);
}

/* The firmware loader runs when it is asked for, the application otherwise. The stored counter is held against both and
 * raised for neither: the loader, which is not updated, would be too old one day. */
static bool choose_with_loader(bool asked, struct picked *picked)
{
	if (asked && choose_slot(LOADER, picked))
		return true;
	if (choose_slot(PRIMARY, picked))
		return true;
	return (provision.policy & POLICY_LOADER_WITHOUT_APP) && choose_slot(LOADER, picked);
}

/* With one slot there is nothing to go back to. MCUboot checks the stored counter here and never raises it. */
static bool choose_only(struct picked *picked)
{
	return choose_slot(PRIMARY, picked) && store_counter(&provision, 0, PRIMARY);
}

/* Weak on purpose: nothing starts while the other slot is broken. */
static bool lacks_a_slot(void)
{
	uint32_t word;

	return OPTION(&provision, WEAK_SECONDARY_NEEDED) &&
	       flash_read(slot_offset(0, 1 - PRIMARY), &word, sizeof(word)) != FLASH_OK;
}

/* `asked`: somebody wants recovery, or what stands in for it. */
static bool choose(bool asked, struct picked picked[])
{
	const struct mode *mode = mode_of(&provision);

	if (lacks_a_slot())
		return false;
	switch (mode->way) {
	case WAY_PICK:
		return pick_all(&provision, picked);
	case WAY_FIXED:
		return mode->loader ? choose_with_loader(asked, picked) : choose_only(picked);
	default:
		return choose_primaries(picked);
	}
}

/* --- leaving the bootloader -------------------------------------------------------------------------------------- */

static void lock(void)
{
	if (!OPTION(&provision, WEAK_COUNTER_UNLOCKED))
		flash_protect(COUNTERS_OFFSET, COUNTERS_SIZE);
	flash_protect(PROVISION_OFFSET, PROVISION_SIZE);
}

static void note_slots(const struct picked picked[])
{
	struct retained r;

	retained_load(&r);
	for (unsigned image = 0; image < provision.images; image++)
		r.slot[image] = (uint8_t)picked[image].slot;
	retained_store(&r);
}

static _Noreturn void start(const struct picked picked[])
{
	const struct picked *first = &picked[0];
	const struct image_header *h = &first->header;
	struct image_info info;

	note_slots(picked);
	image_read(0, first->slot, &info);
	event_record(EVENT_STARTED, 0, first->slot, VERIFY_OK, info.has_counter ? info.counter : 0);
	if (first->ram != 0)
		port_start_ram(h->load_addr + h->hdr_size, first->ram + h->hdr_size, h->img_size);
	port_start_image(slot_offset(0, first->slot) + h->hdr_size, h->img_size);
}

static void recover(enum recovery_why why)
{
	struct retained r;

	retained_load(&r);
	r.in_recovery = 1;
	retained_store(&r);
	event_record(EVENT_RECOVERY, 0, PRIMARY, VERIFY_OK, (uint32_t)why);
	in_recovery = true;
	recovery_init(&provision, why);
}

/* MCUboot looks at the boot mode only after a pending update has run. Cleared when read. */
static bool recovery_requested(void)
{
	struct retained r;
	bool requested;

	retained_load(&r);
	requested = r.boot_request == BOOT_REQUEST_RECOVERY;
	r.boot_request = BOOT_REQUEST_NORMAL;
	retained_store(&r);
	return requested;
}

/* --- the program ------------------------------------------------------------------------------------------------- */

static void count_boot(void)
{
	struct retained r;

	retained_load(&r);
	r.boots++;
	r.last_cause = r.reset_cause;
	r.reset_cause = RESET_POWER_ON;
	r.in_recovery = 0;
	retained_store(&r);
	log_number("boot: boot ", r.boots);
}

void fw_init(void)
{
	in_recovery = false;
	count_boot();
	if (provision_load(&provision) != 0)
		log_words("boot: no provisioning, no key is trusted", "");
}

int32_t fw_step(void)
{
	struct picked picked[MAX_IMAGES];
	bool chosen, requested;

	if (in_recovery)
		return recovery_step();
	requested = recovery_requested();
	chosen = choose(requested, picked);
	lock();
	if (chosen && (!requested || mode_of(&provision)->loader))
		start(picked);
	recover(requested ? RECOVERY_REQUESTED : RECOVERY_NO_IMAGE);
	return 0;
}
