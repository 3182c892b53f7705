/* SPDX-License-Identifier: Apache-2.0 */
#include "board.h"

#include <string.h>

#include "../boot/modes.h"
#include "../port/port.h"
#include "../port/retained.h"

static struct provision provision;
static struct image_info image;
static struct retained retained; /* as the bootloader left it */
static bool resetting;
static uint32_t reset_at;

void board_init(void)
{
	provision_load(&provision);
	retained_load(&retained);
	if (image_read(0, board_slot(0), &image) != VERIFY_OK)
		memset(&image, 0, sizeof(image));
	resetting = false;
}

const struct provision *board_provision(void)
{
	return &provision;
}

const struct image_info *board_image(void)
{
	return &image;
}

unsigned board_slots(void)
{
	const struct mode *mode = mode_of(&provision);

	return mode->way == WAY_FIXED && !mode->loader ? 1 : 2;
}

unsigned board_slot(unsigned number)
{
	return retained.slot[number] < board_slots() ? retained.slot[number] : 0;
}

/* With a firmware loader only that takes updates, and they replace the application. */
unsigned board_upload_slot(unsigned number)
{
	const struct mode *mode = mode_of(&provision);

	if (mode->way == WAY_FIXED)
		return mode->loader && board_slot(number) == 1 ? 0 : NO_SLOT;
	return 1 - board_slot(number);
}

uint32_t board_upload_offset(unsigned number)
{
	unsigned slot = board_upload_slot(number);
	uint32_t spare = provision.mode == MODE_SWAP_OFFSET ? sector_size(slot_area(number, slot), 0) : 0;

	return slot_offset(number, slot) + spare;
}

static bool other_is_higher(unsigned number)
{
	struct image_info running, other;

	return image_read(number, board_slot(number), &running) == VERIFY_OK &&
	       image_read(number, 1 - board_slot(number), &other) == VERIFY_OK &&
	       version_compare(&other.header.version, &running.header.version) > 0;
}

/* Where either slot may run: the higher version does, if it may, and if the one that runs is to stay. */
static enum swap_type next_pick(unsigned number)
{
	struct trailer running, other;
	struct image_info info;

	if (!mode_of(&provision)->tests)
		return other_is_higher(number) ? SWAP_PERM : SWAP_NONE;
	trailer_read(number, board_slot(number), &running);
	trailer_read(number, 1 - board_slot(number), &other);
	if (image_read(number, 1 - board_slot(number), &info) != VERIFY_OK)
		return SWAP_NONE;
	if (running.magic == MAGIC_GOOD && running.image_ok != FLAG_SET && running.copy_done == FLAG_SET)
		return SWAP_REVERT;
	if (other.magic != MAGIC_GOOD || !other_is_higher(number))
		return SWAP_NONE;
	if (other.image_ok == FLAG_SET)
		return SWAP_PERM;
	return other.copy_done == FLAG_SET ? SWAP_NONE : SWAP_TEST;
}

enum swap_type board_next(unsigned number)
{
	switch (mode_of(&provision)->way) {
	case WAY_PICK:
		return next_pick(number);
	case WAY_FIXED:
		return SWAP_NONE;
	default:
		return swap_type_of(number);
	}
}

void board_reset_soon(void)
{
	resetting = true;
	reset_at = port_millis() + RESET_DELAY_MS;
}

int32_t board_reset_due(void)
{
	int32_t left = (int32_t)(reset_at - port_millis());

	if (!resetting)
		return -1;
	return left > 0 ? left : 0;
}
