/* SPDX-License-Identifier: Apache-2.0 */
/* One boot: bring the slots in order, validate what would run, start it; or recovery. */
#include "boot.h"

#include <stdbool.h>

#include "../flash/flash.h"
#include "../port/layout.h"
#include "../port/port.h"
#include "../port/retained.h"
#include "counter.h"
#include "events.h"
#include "image.h"
#include "recovery.h"
#include "tlv.h"
#include "update.h"

#define PRIMARY 0u

static struct provision provision;
static bool in_recovery;

/* --- what runs next --------------------------------------------------------------------------------------------- */

/* The header alone: enough to know where the body is. */
static enum verify_reason startable(unsigned image, struct image_header *h)
{
	if (flash_read(slot_offset(image, PRIMARY), h, sizeof(*h)) != FLASH_OK)
		return VERIFY_HEADER;
	if (h->magic == IMAGE_MAGIC && (h->flags & IMAGE_F_NON_BOOTABLE))
		return VERIFY_NOT_BOOTABLE;
	return header_check(h);
}

static bool skips_validation(unsigned image)
{
	if (provision.policy & POLICY_SKIP_PRIMARY)
		return true;
	return (provision.policy & WEAK_RECOVERY_UNCHECKED) && recovery_wrote(image);
}

static bool validate(unsigned image, struct image_header *h)
{
	struct image_info info = {.has_counter = false};
	enum verify_reason reason = startable(image, h);

	if (reason == VERIFY_OK && !skips_validation(image))
		reason = image_verify(&provision, image, PRIMARY, &info);
	if (reason != VERIFY_OK)
		event_record(EVENT_VERIFY_FAILED, image, PRIMARY, reason, info.has_counter ? info.counter : 0);
	return reason == VERIFY_OK;
}

/* Without validation the image in the primary may turn out too old, or to have no counter, only now. */
static bool store_counter_of(unsigned image)
{
	struct image_info info;

	if (update_counter(&provision, image))
		return true;
	image_read(image, PRIMARY, &info);
	event_record(EVENT_VERIFY_FAILED, image, PRIMARY, info.has_counter ? VERIFY_COUNTER_LOW : VERIFY_COUNTER_MISSING,
		     info.has_counter ? info.counter : 0);
	return false;
}

/* Every image must be good, and its counter stored if it is here to stay; the first one's header is what is started. */
static bool choose(struct image_header *first)
{
	update_all(&provision);
	for (unsigned image = 0; image < provision.images; image++) {
		struct image_header h;

		if (!validate(image, &h))
			return false;
		if (!store_counter_of(image))
			return false;
		if (image == 0)
			*first = h;
	}
	return true;
}

/* --- leaving the bootloader -------------------------------------------------------------------------------------- */

static void lock(void)
{
	flash_protect(COUNTERS_OFFSET, COUNTERS_SIZE);
	flash_protect(PROVISION_OFFSET, PROVISION_SIZE);
}

static _Noreturn void start(const struct image_header *h)
{
	struct image_info info;

	image_read(0, PRIMARY, &info);
	event_record(EVENT_STARTED, 0, PRIMARY, VERIFY_OK, info.has_counter ? info.counter : 0);
	port_start_image(slot_offset(0, PRIMARY) + h->hdr_size, h->img_size);
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
	struct image_header h = {.magic = 0};
	bool chosen, requested;

	if (in_recovery)
		return recovery_step();
	chosen = choose(&h);
	requested = recovery_requested();
	lock();
	if (chosen && !requested)
		start(&h);
	recover(requested ? RECOVERY_REQUESTED : RECOVERY_NO_IMAGE);
	return 0;
}
