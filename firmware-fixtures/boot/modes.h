/* SPDX-License-Identifier: Apache-2.0 */
/* MCUboot's upgrade modes as a table: what tells them apart, so that code asks for a trait and not for a mode. */
#ifndef MODES_H
#define MODES_H
#include <stdbool.h>
#include <stdint.h>
#include "../port/provision.h"

/* Numbers of the provisioning sector: MCUmgr's (MCUboot boot_status.h), and one more where that has none. */
enum mode_number {
	MODE_SINGLE_SLOT = 0,
	MODE_SWAP_SCRATCH = 1,
	MODE_OVERWRITE_ONLY = 2,
	MODE_SWAP_MOVE = 3,
	MODE_DIRECT_XIP = 4,
	MODE_DIRECT_XIP_REVERT = 5,
	MODE_RAM_LOAD = 6,
	MODE_FIRMWARE_LOADER = 7,
	MODE_SWAP_OFFSET = 9,
	MODE_RAM_LOAD_REVERT = 32 + 6, /* MCUmgr tells it as RAM load */
};

/* How an update reaches the processor. */
enum mode_way {
	WAY_SWAP,      /* the slots exchange their images */
	WAY_OVERWRITE, /* the secondary is copied over the primary */
	WAY_PICK,      /* either slot may run, the higher version does */
	WAY_FIXED,     /* one slot holds the application; nothing is ever moved */
};

struct mode {
	uint8_t number;
	uint8_t told;            /* MCUmgr's number, as os bootloader info has it */
	enum mode_way way;
	uint8_t states;          /* status entries for each sector of a slot */
	bool tests;              /* WAY_PICK: an image runs once and must then be confirmed; otherwise it stays */
	bool ram;                /* WAY_PICK: it runs from RAM */
	bool loader;             /* WAY_FIXED: the secondary slot holds a program that takes updates */
};

/* The row of a number, or 0. */
const struct mode *mode_numbered(uint8_t number);
const struct mode *mode_of(const struct provision *p);

#endif
