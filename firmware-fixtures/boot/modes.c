/* SPDX-License-Identifier: Apache-2.0 */
#include "modes.h"

static const struct mode MODES[] = {
	{MODE_SINGLE_SLOT, 0, WAY_FIXED, .states = 0},
	{MODE_SWAP_SCRATCH, 1, WAY_SWAP, .states = 3},   /* in scratch; given away; taken in */
	{MODE_OVERWRITE_ONLY, 2, WAY_OVERWRITE, .states = 0},
	{MODE_SWAP_MOVE, 3, WAY_SWAP, .states = 3},      /* shifted; taken in; given back */
	{MODE_DIRECT_XIP, 4, WAY_PICK, .states = 0},
	{MODE_DIRECT_XIP_REVERT, 5, WAY_PICK, .states = 0, .tests = true},
	{MODE_RAM_LOAD, 6, WAY_PICK, .states = 0, .ram = true},
	{MODE_RAM_LOAD_REVERT, 6, WAY_PICK, .states = 0, .tests = true, .ram = true},
	{MODE_FIRMWARE_LOADER, 7, WAY_FIXED, .states = 0, .loader = true},
	{MODE_SWAP_OFFSET, 9, WAY_SWAP, .states = 2},    /* given away; taken in */
};

const struct mode *mode_numbered(uint8_t number)
{
	for (unsigned i = 0; i < sizeof(MODES) / sizeof(MODES[0]); i++) {
		if (MODES[i].number == number)
			return &MODES[i];
	}
	return 0;
}

const struct mode *mode_of(const struct provision *p)
{
	return mode_numbered(p->mode);
}
