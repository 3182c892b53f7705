/* SPDX-License-Identifier: Apache-2.0 */
/* MCUboot loader.c: prepare every image, check what depends on what, then act. */
#include "update.h"

#include "../flash/flash.h"
#include "../port/geometry.h"
#include "../port/layout.h"
#include "copy.h"
#include "counter.h"
#include "dependency.h"
#include "events.h"
#include "image.h"
#include "modes.h"
#include "trailer.h"

#define PRIMARY 0u
#define SECONDARY 1u

struct plan {
	enum swap_type type;
	struct swap_status status;
	bool resumed;
};

static bool overwrites(const struct provision *p)
{
	return mode_of(p)->way == WAY_OVERWRITE;
}

static bool is_upgrade(enum swap_type type)
{
	return type == SWAP_TEST || type == SWAP_PERM || type == SWAP_REVERT;
}

static const char *swap_type_text(enum swap_type type)
{
	switch (type) {
	case SWAP_TEST:
		return "test";
	case SWAP_PERM:
		return "permanent";
	case SWAP_REVERT:
		return "revert";
	case SWAP_FAIL:
		return "fail";
	default:
		return "none";
	}
}

static void read_header(unsigned image, unsigned slot, struct image_header *h)
{
	struct image_source from = image_in_slot(image, slot);

	if (source_read(&from, 0, h, sizeof(*h)) != FLASH_OK)
		h->magic = 0;
}

static bool is_blank(const struct image_header *h)
{
	return is_erased(&h->magic, sizeof(h->magic));
}

static bool header_erased(unsigned image, unsigned slot)
{
	struct image_header h;

	read_header(image, slot, &h);
	return is_blank(&h);
}

/* --- is the secondary worth installing? ----------------------------------------------------------------------- */

enum usable { USABLE, NOTHING_THERE, REFUSED };

static enum usable refuse(unsigned image, enum event_type type, enum verify_reason reason, uint32_t value)
{
	event_record(type, image, SECONDARY, reason, value);
	if (area_erase(slot_area(image, SECONDARY), 0, slot_size(image, SECONDARY)) == FLASH_OK)
		event_record(EVENT_ERASED, image, SECONDARY, reason, 0);
	return REFUSED;
}

/* Overwriting compares versions before anything else, and a primary that is not empty counts even if it is broken. */
static bool overwrite_downgrades(const struct provision *p, unsigned image, const struct image_header *secondary)
{
	struct image_header primary;

	if (!overwrites(p) || !(p->policy & POLICY_DOWNGRADE_VERSION))
		return false;
	read_header(image, PRIMARY, &primary);
	return !is_blank(&primary) && version_compare(&secondary->version, &primary.version) < 0;
}

/* Swap using offset, an update that was written where only an image to go back to may lie. */
static bool is_misplaced(const struct provision *p, unsigned image, enum swap_type type)
{
	uint32_t magic;

	return p->mode == MODE_SWAP_OFFSET && (type == SWAP_TEST || type == SWAP_PERM) &&
	       flash_read(slot_offset(image, SECONDARY), &magic, sizeof(magic)) == FLASH_OK && magic == IMAGE_MAGIC;
}

/* An image to go back to may be plain: the factory's is. */
static bool is_plain_update(const struct provision *p, const struct image_header *h, enum swap_type type)
{
	return OPTION(p, POLICY_ENCRYPTED_ONLY) && (type == SWAP_TEST || type == SWAP_PERM) &&
	       !(h->flags & IMAGE_F_ENCRYPTED);
}

/* Erases what is refused, so that it is not looked at again; of an empty slot only a stale request. `asked`: what the
 * trailers ask for, if nothing has begun. */
static enum usable judge_secondary(const struct provision *p, unsigned image, enum swap_type asked)
{
	struct image_header h;
	struct image_info info;
	enum verify_reason reason;

	read_header(image, SECONDARY, &h);
	if (is_blank(&h) || (h.flags & IMAGE_F_NON_BOOTABLE)) {
		if (!overwrites(p)) /* overwriting leaves the request waiting for an image, as MCUboot does */
			trailer_clear(p, slot_area(image, SECONDARY));
		return NOTHING_THERE;
	}
	if (is_misplaced(p, image, asked))
		return refuse(image, EVENT_VERIFY_FAILED, VERIFY_ADDRESS, 0);
	if (is_plain_update(p, &h, asked))
		return refuse(image, EVENT_VERIFY_FAILED, VERIFY_FLAGS, 0);
	if (overwrite_downgrades(p, image, &h))
		return refuse(image, EVENT_DOWNGRADE_REFUSED, VERIFY_VERSION, 0);
	reason = image_verify(p, image, SECONDARY, &info);
	if (reason != VERIFY_OK)
		return refuse(image, EVENT_VERIFY_FAILED, reason, info.has_counter ? info.counter : 0);
	return USABLE;
}

/* --- security counter ------------------------------------------------------------------------------------------- */

static bool advance_to(unsigned image, unsigned slot, uint32_t value)
{
	uint32_t before = counter_read(image);

	if (counter_advance(image, value) != 0)
		return false;
	if (value > before)
		event_record(EVENT_COUNTER_ADVANCED, image, slot, VERIFY_OK, value);
	return true;
}

/* Raises the stored counter to that of the image that runs from a slot. */
bool store_counter(const struct provision *p, unsigned image, unsigned slot)
{
	struct image_info info;

	if (p->policy & POLICY_NO_COUNTER)
		return true;
	image_read(image, slot, &info);
	if (p->policy & WEAK_COUNTER_IGNORED) {
		if (info.has_counter && info.counter > counter_read(image))
			advance_to(image, slot, info.counter);
		return true;
	}
	return info.has_counter && advance_to(image, slot, info.counter);
}

/* An image on test must not burn the counter: its trailer has the magic and no image_ok yet. */
bool update_counter(const struct provision *p, unsigned image)
{
	struct trailer t;

	trailer_read(image, PRIMARY, &t);
	if (t.magic == MAGIC_GOOD && t.image_ok != FLAG_SET && !(p->policy & WEAK_COUNTER_EARLY))
		return true;
	return store_counter(p, image, PRIMARY);
}

/* --- acting ----------------------------------------------------------------------------------------------------- */

/* After a swap: an image that is to stay says so itself, its counter is stored, and copy_done ends the swap. A cut
 * before that is a swap not yet finished. */
static void finish_swap(const struct provision *p, unsigned image, enum swap_type type)
{
	struct trailer t;

	trailer_read(image, PRIMARY, &t);
	if ((type == SWAP_REVERT || type == SWAP_PERM) && t.image_ok == FLAG_UNSET)
		trailer_write_image_ok(p, slot_area(image, PRIMARY));
	if (type == SWAP_PERM)
		store_counter(p, image, PRIMARY);
	if (is_upgrade(type))
		trailer_write_copy_done(p, slot_area(image, PRIMARY));
}

/* The copy is complete only when the secondary's request is gone, so that comes last. */
static int overwrite(const struct provision *p, unsigned image)
{
	const struct area *secondary = slot_area(image, SECONDARY);
	struct image_info info;
	int rc;

	if (image_read(image, SECONDARY, &info) != VERIFY_OK)
		return FLASH_ERR_RANGE;
	rc = overwrite_run(p, image, info.end);
	if (rc != FLASH_OK)
		return rc;
	store_counter(p, image, PRIMARY);
	if (!overwrites(p)) /* bootstrap in swap mode keeps the image in the secondary */
		return trailer_erase(p, secondary);
	rc = area_erase(secondary, 0, 1);
	return rc == FLASH_OK ? area_erase(secondary, secondary->size - 1, secondary->size) : rc;
}

static bool primary_is_lost(const struct provision *p, unsigned image)
{
	return header_erased(image, PRIMARY) || image_verify(p, image, PRIMARY, 0) != VERIFY_OK;
}

static bool is_bootstrap(const struct provision *p, unsigned image)
{
	return (p->policy & POLICY_BOOTSTRAP) && primary_is_lost(p, image);
}

static void install(const struct provision *p, unsigned image, const struct plan *plan)
{
	enum event_type event = plan->type == SWAP_REVERT ? EVENT_REVERTED : EVENT_SWAPPED;
	int rc;

	if (overwrites(p) || is_bootstrap(p, image)) {
		rc = overwrite(p, image);
		event = EVENT_SWAPPED;
	} else {
		rc = swap_run(p, image, plan->type, &plan->status);
	}
	if (rc != 0) {
		log_words("boot: update not done: ", rc < FLASH_ERR_PROTECTED ? "no room to swap" : "flash error");
		return;
	}
	if (!overwrites(p))
		finish_swap(p, image, plan->type);
	event_record(event, image, PRIMARY, VERIFY_OK, plan->type);
}

static bool prevents_downgrade(const struct provision *p)
{
	return !overwrites(p) && (p->policy & (POLICY_DOWNGRADE_VERSION | POLICY_DOWNGRADE_COUNTER));
}

/* A revert that swap using move has begun looks like a permanent request for the older image, should power fail in its
 * first operations. The other ways note it as what it is. */
static bool marks_reverts(const struct provision *p)
{
	return prevents_downgrade(p) && p->mode == MODE_SWAP_MOVE;
}

/* Software downgrade prevention in swap modes. A revert may go back; one that lost power may be resumed as a permanent
 * request for the older image, which the mark tells from any other. MCUboot refuses it and erases the backup. */
static enum verify_reason downgrades(const struct provision *p, unsigned image)
{
	struct image_info primary, secondary;

	if (!prevents_downgrade(p) || (marks_reverts(p) && revert_is_marked(image)))
		return VERIFY_OK;
	image_read(image, PRIMARY, &primary);
	image_read(image, SECONDARY, &secondary);
	if ((p->policy & POLICY_DOWNGRADE_VERSION) &&
	    version_compare(&secondary.header.version, &primary.header.version) < 0)
		return VERIFY_VERSION;
	if ((p->policy & POLICY_DOWNGRADE_COUNTER) && primary.has_counter &&
	    (!secondary.has_counter || secondary.counter < primary.counter))
		return VERIFY_COUNTER_LOW;
	return VERIFY_OK;
}

/* A swap had begun and its image turned out bad: the old one never moved, and stays. */
static void keep_primary(const struct provision *p, unsigned image)
{
	struct trailer t;

	trailer_read(image, PRIMARY, &t);
	if (t.image_ok == FLAG_UNSET)
		trailer_write_image_ok(p, slot_area(image, PRIMARY));
}

static void act(const struct provision *p, unsigned image, const struct plan *plan)
{
	enum verify_reason reason;

	switch (plan->type) {
	case SWAP_TEST:
	case SWAP_PERM:
		reason = downgrades(p, image);
		if (reason != VERIFY_OK)
			refuse(image, EVENT_DOWNGRADE_REFUSED, reason, 0);
		else
			install(p, image, plan);
		return;
	case SWAP_REVERT:
		if (!marks_reverts(p) || revert_mark(image, true) == FLASH_OK)
			install(p, image, plan);
		return;
	case SWAP_FAIL:
		keep_primary(p, image);
		return;
	default:
		return;
	}
}

/* --- planning --------------------------------------------------------------------------------------------------- */

/* Both would move the primary's image, so there must be one; a bootstrap installs into an empty primary. */
static bool can_update(const struct provision *p, unsigned image)
{
	struct image_header h;

	if (!trailer_fits(p))
		return false;
	if (overwrites(p) || p->mode == MODE_SWAP_SCRATCH)
		return true;
	read_header(image, PRIMARY, &h);
	return h.magic == IMAGE_MAGIC || ((p->policy & POLICY_BOOTSTRAP) && is_blank(&h));
}

static void resume(const struct provision *p, unsigned image, struct plan *plan)
{
	plan->resumed = true;
	plan->type = SWAP_NONE;
	if (swap_run(p, image, plan->status.type, &plan->status) != 0) {
		log_words("boot: interrupted swap cannot be finished", "");
		return;
	}
	if (OPTION(p, WEAK_COUNTER_ON_RESUME))
		store_counter(p, image, PRIMARY);
	finish_swap(p, image, plan->status.type);
	event_record(EVENT_SWAP_RESUMED, image, PRIMARY, VERIFY_OK, plan->status.type);
}

/* Weak on purpose: the other images do as image 0 does. */
static bool follows(const struct provision *p, unsigned image)
{
	struct trailer first;

	if (image == 0 || !OPTION(p, WEAK_REVERT_FOLLOWS))
		return false;
	trailer_read(0, PRIMARY, &first);
	return first.image_ok == FLAG_SET;
}

/* What the trailers ask for, if the secondary deserves it. */
static enum swap_type wanted(const struct provision *p, unsigned image, const struct swap_status *status)
{
	bool begun = status->begun && status->type != SWAP_NONE;
	enum swap_type type = begun ? status->type : swap_type_of(image);

	if (type == SWAP_REVERT && ((p->policy & WEAK_NO_REVERT) || follows(p, image)))
		return SWAP_NONE;
	if (!is_upgrade(type) || judge_secondary(p, image, begun ? SWAP_NONE : type) == USABLE)
		return type;
	if (type == SWAP_REVERT)
		log_number("boot: a revert is due and there is nothing to go back to, image ", image);
	return begun ? SWAP_FAIL : SWAP_NONE;
}

/* Nothing good to start, but a good image waits in the secondary: installed as if returned to, so that it stays. */
static enum swap_type bootstrap(const struct provision *p, unsigned image)
{
	if (!is_bootstrap(p, image) || judge_secondary(p, image, SWAP_NONE) != USABLE)
		return SWAP_NONE;
	return SWAP_REVERT;
}

static void prepare(const struct provision *p, unsigned image, struct plan *plan)
{
	*plan = (struct plan){.type = SWAP_NONE, .status = {.type = SWAP_NONE}};
	if (!overwrites(p) && trailer_fits(p))
		swap_status_read(p, image, &plan->status);
	if (plan->status.entries > 0) {
		resume(p, image, plan);
		return;
	}
	if (!can_update(p, image)) {
		log_number("boot: no update possible, image ", image);
		return;
	}
	plan->type = wanted(p, image, &plan->status);
	if (plan->type == SWAP_NONE)
		plan->type = bootstrap(p, image);
	if (plan->type != SWAP_NONE)
		log_words("boot: swap type ", swap_type_text(plan->type));
}

/* An update of several images that power cut in two leaves the first ones swapped and unconfirmed, which looks as if
 * they were to be reverted. They are not, as long as a later image is still on its way. */
static void review_earlier(struct plan *plans, unsigned image)
{
	if (!plans[image].resumed && plans[image].type != SWAP_TEST && plans[image].type != SWAP_PERM)
		return;
	for (unsigned earlier = 0; earlier < image; earlier++) {
		if (plans[earlier].type == SWAP_REVERT)
			plans[earlier].type = SWAP_NONE;
	}
}

/* --- dependencies between images ------------------------------------------------------------------------------ */

static unsigned slot_to_be(const struct plan *plan)
{
	return is_upgrade(plan->type) ? SECONDARY : PRIMARY;
}

/* All or none: one that is not met holds every update back, and keeps it for a later boot. */
static void check_dependencies(const struct provision *p, struct plan *plans)
{
	unsigned slots[MAX_IMAGES], image;
	bool any = false;

	for (image = 0; image < p->images; image++) {
		any = any || plans[image].type != SWAP_NONE;
		slots[image] = slot_to_be(&plans[image]);
	}
	for (image = 0; any && image < p->images && dependencies_met(p, image, slots);)
		image++;
	if (!any || image == p->images)
		return;
	event_record(EVENT_DEPENDENCY, image, slots[image], VERIFY_OK, 0);
	for (image = 0; image < p->images; image++)
		plans[image].type = SWAP_NONE;
}

void update_all(const struct provision *p)
{
	struct plan plans[MAX_IMAGES];

	for (unsigned image = 0; image < p->images; image++) {
		prepare(p, image, &plans[image]);
		review_earlier(plans, image);
	}
	if (p->images > 1)
		check_dependencies(p, plans);
	for (unsigned image = 0; image < p->images; image++)
		act(p, image, &plans[image]);
	/* before anything else may write to a slot */
	for (unsigned image = 0; marks_reverts(p) && image < p->images; image++)
		revert_mark(image, false);
}
