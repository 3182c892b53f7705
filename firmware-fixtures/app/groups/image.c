/* SPDX-License-Identifier: Apache-2.0 */
/* Group 1 without upload: what the slots hold, what is to boot next, erase. */
#include <string.h>

#include "../../boot/modes.h"
#include "../../boot/trailer.h"
#include "../../smp/text.h"
#include "../board.h"
#include "../nor.h"
#include "../traits.h"
#include "../upload.h"
#include "groups.h"

#define SLOTS 2u
#define VERSION_TEXT_MAX 24u

struct flags {
	bool pending, confirmed, active, permanent;
};

/* What the next boot will do, as flags of the slot that runs and of the other. (With a firmware loader the slot that
 * runs may be the loader's: it is never confirmed.) */
static const struct {
	enum swap_type next;
	struct flags slot[SLOTS];
} state_flags[] = {
	{SWAP_NONE, {{.active = true, .confirmed = true}, {0}}},
	{SWAP_TEST, {{.active = true, .confirmed = true}, {.pending = true}}},
	{SWAP_PERM, {{.active = true, .confirmed = true}, {.pending = true, .permanent = true}}},
	{SWAP_REVERT, {{.active = true}, {.confirmed = true}}},
};

static struct flags flags_of(unsigned image, unsigned slot)
{
	enum swap_type next = board_next(image);
	bool is_running = slot == board_slot(image);

	if (mode_of(board_provision())->loader)
		return (struct flags){.active = is_running, .confirmed = is_running && slot == 0};

	for (size_t i = 0; i < sizeof(state_flags) / sizeof(state_flags[0]); i++) {
		if (state_flags[i].next == next)
			return state_flags[i].slot[is_running ? 0 : 1];
	}
	return (struct flags){.active = is_running};
}

static void put_slot(struct cbor_out *out, unsigned image, unsigned slot)
{
	struct flags f = flags_of(image, slot);
	char version[VERSION_TEXT_MAX];
	struct image_info info;
	struct text t;

	if (image_read(image, slot, &info) != VERIFY_OK || !info.has_hash)
		return;
	text_init(&t, version, sizeof(version));
	text_version(&t, &info.header.version);
	put_map(out);
	if (board_provision()->images > 1)
		put_uint_at(out, "image", image);
	put_uint_at(out, "slot", slot);
	put_text_at(out, "version", version);
	put_bytes_at(out, "hash", info.hash, sizeof(info.hash));
	put_bool_at(out, "bootable", (info.header.flags & IMAGE_F_NON_BOOTABLE) == 0);
	put_bool_at(out, "pending", f.pending);
	put_bool_at(out, "confirmed", f.confirmed);
	put_bool_at(out, "active", f.active);
	put_bool_at(out, "permanent", f.permanent);
	put_end(out);
}

int image_state_read(struct smp_exchange *x)
{
	put_text(&x->out, "images");
	put_list(&x->out);
	for (unsigned image = 0; image < board_provision()->images; image++) {
		for (unsigned slot = 0; slot < board_slots(); slot++)
			put_slot(&x->out, image, slot);
	}
	put_end(&x->out);
	put_uint_at(&x->out, "splitStatus", 0);
	return RC_OK;
}

static bool find_hash(struct span hash, unsigned *image, unsigned *slot)
{
	struct image_info info;

	for (*image = 0; *image < board_provision()->images; (*image)++) {
		for (*slot = 0; *slot < board_slots(); (*slot)++) {
			if (image_read(*image, *slot, &info) == VERIFY_OK && info.has_hash &&
			    memcmp(info.hash, hash.data, sizeof(info.hash)) == 0)
				return true;
		}
	}
	return false;
}

enum verdict { DO_IT, NOTHING_TO_DO, REFUSE_PENDING };

/* Rows as in Zephyr's img_mgmt_set_next_boot_slot: what a request means, by what the next boot will do already. A
 * request once made is not changed by another. (A test of the slot that runs was refused before.) */
static const struct {
	enum swap_type next;
	enum verdict test_other, confirm_running, confirm_other;
} requests[] = {
	/* next       test other      confirm running  confirm other */
	{SWAP_NONE,   DO_IT,          NOTHING_TO_DO,   DO_IT},
	{SWAP_TEST,   NOTHING_TO_DO,  REFUSE_PENDING,  REFUSE_PENDING},
	{SWAP_PERM,   REFUSE_PENDING, REFUSE_PENDING,  NOTHING_TO_DO},
	{SWAP_REVERT, REFUSE_PENDING, DO_IT,           NOTHING_TO_DO},
};

static enum verdict judge(unsigned image, unsigned slot, bool confirm)
{
	enum swap_type next = board_next(image);

	if (mode_of(board_provision())->tests)
		return DO_IT; /* flags of one slot are independent of the other's */
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		if (requests[i].next != next)
			continue;
		if (!confirm)
			return requests[i].test_other;
		return slot == board_slot(image) ? requests[i].confirm_running : requests[i].confirm_other;
	}
	return REFUSE_PENDING;
}

static int set_next(unsigned image, unsigned slot, bool confirm)
{
	return boot_set_next(board_provision(), image, slot, slot == board_slot(image), confirm);
}

/* A slot is asked for: once (test) or for good (confirm). The image group's error, 0 = done. */
static uint16_t request_slot(unsigned image, unsigned slot, bool confirm)
{
	bool is_running = slot == board_slot(image);

	if (!confirm && is_running)
		return IMAGE_TEST_OF_ACTIVE_DENIED;
	if (confirm && traits.refuses_confirm)
		return IMAGE_CONFIRMATION_DENIED;
	switch (judge(image, slot, confirm)) {
	case NOTHING_TO_DO:
		/* a padded image that was programmed, not swapped, is unconfirmed although nothing will revert it */
		if (is_running && !boot_is_confirmed(image, slot))
			break;
		return 0;
	case REFUSE_PENDING:
		return IMAGE_ALREADY_PENDING;
	case DO_IT:
		break;
	}
	return set_next(image, slot, confirm) == BOOT_OK ? 0 : RC_UNKNOWN;
}

int image_state_write(struct smp_exchange *x)
{
	struct span hash = {0};
	bool confirm = false;
	struct field fields[] = {{"hash", FIELD_BYTES, &hash, false}, {"confirm", FIELD_BOOL, &confirm, false}};
	unsigned image = 0, slot = board_slot(0);
	uint16_t error;

	if (!cbor_fields(&x->in, fields, 2))
		return RC_INVALID;
	if (hash.len == 0 ? !confirm : hash.len != SHA256_SIZE)
		return smp_fail(x, GROUP_IMAGE, IMAGE_INVALID_HASH, NULL);
	if (hash.len != 0 && !find_hash(hash, &image, &slot))
		return smp_fail(x, GROUP_IMAGE, IMAGE_HASH_NOT_FOUND, NULL);
	error = request_slot(image, slot, confirm);
	return error == 0 ? image_state_read(x) : smp_fail(x, GROUP_IMAGE, error, NULL);
}

/* `slot` counts over all images here: 0 and 1 of image 0, 2 and 3 of image 1. */
int image_erase(struct smp_exchange *x)
{
	uint32_t slot = 1 - board_slot(0);
	struct field fields[] = {{"slot", FIELD_UINT, &slot, false}};

	if (!cbor_fields(&x->in, fields, 1))
		return RC_INVALID;
	if (slot >= board_provision()->images * SLOTS)
		return smp_fail(x, GROUP_IMAGE, IMAGE_INVALID_SLOT, NULL);
	if (slot % SLOTS != board_upload_slot(slot / SLOTS) || slot_is_held(slot / SLOTS))
		return smp_fail(x, GROUP_IMAGE, IMAGE_NO_FREE_SLOT, NULL);
	upload_end();
	if (nor_erase(slot_offset(slot / SLOTS, slot % SLOTS), slot_size(slot / SLOTS, slot % SLOTS)) != 0)
		return smp_fail(x, GROUP_IMAGE, IMAGE_FLASH_ERASE_FAILED, NULL);
	return RC_OK;
}

static void put_image_slots(struct cbor_out *out, unsigned image)
{
	put_map(out);
	put_uint_at(out, "image", image);
	put_text(out, "slots");
	put_list(out);
	for (unsigned slot = 0; slot < board_slots(); slot++) {
		put_map(out);
		put_uint_at(out, "slot", slot);
		put_uint_at(out, "size", slot_size(image, slot));
		if (slot == board_upload_slot(image))
			put_uint_at(out, "upload_image_id", image);
		put_end(out);
	}
	put_end(out);
	put_uint_at(out, "max_image_size", image_max_size(board_provision()));
	put_end(out);
}

int image_slot_info(struct smp_exchange *x)
{
	put_text(&x->out, "images");
	put_list(&x->out);
	for (unsigned image = 0; image < board_provision()->images; image++)
		put_image_slots(&x->out, image);
	put_end(&x->out);
	return RC_OK;
}
