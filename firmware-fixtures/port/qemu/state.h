/* SPDX-License-Identifier: Apache-2.0 */
/* What the machine itself remembers from one program to the next: memory behind the programs' retained block. */
#ifndef STATE_H
#define STATE_H
#include <stdint.h>

#define MACHINE_RANGES 4u

struct machine_range {
	uint32_t off, len;
};

struct machine_state {
	uint32_t flash_operations;        /* since power on: memory is zero then */
	uint32_t range_count;             /* cleared at each reset, kept from bootloader to application */
	struct machine_range ranges[MACHINE_RANGES];
};

/* Words that QEMU's loader device writes at each reset. */
struct machine_straps {
	uint32_t cut_at;   /* power fails at this flash operation since power on; 0 = never */
	uint32_t cut_half; /* 0 = before it starts, 1 = when its first half is done */
	struct machine_range broken; /* flash that can be neither read nor changed */
};

struct machine_state *machine_state(void);
const struct machine_straps *machine_straps(void);
/* Until input is there or the time is over; FW_IDLE is no end of time. */
void machine_sleep(int32_t ms);
_Noreturn void machine_power_cut(void);
_Noreturn void machine_reset(uint8_t cause);

#endif
