/* SPDX-License-Identifier: Apache-2.0 */
#include "behaviour.h"

#include "acts.h"
#include "traits.h"

const struct traits traits = TRAITS;

static const uint8_t ballast[BALLAST_SIZE] = {[0] = APP_BEHAVIOUR, [BALLAST_SIZE - 1] = APP_BEHAVIOUR};

uint32_t ballast_sum(void)
{
	const volatile uint8_t *at = ballast;
	uint32_t sum = 0;

	for (uint32_t i = 0; i < sizeof(ballast); i++)
		sum += at[i];
	return sum;
}

#if APP_BEHAVIOUR == APP_RAISE_COUNTER

#include "../boot/counter.h"
#include "log.h"

/* The bootloader should have locked it. */
void act_at_start(void)
{
	log_line(counter_advance(0, counter_read(0) + 1) == 0 ? "has raised the stored counter"
							       : "could not raise the stored counter");
}

#elif APP_BEHAVIOUR == APP_ERASE_SLOT

#include "../boot/trailer.h"
#include "board.h"
#include "nor.h"

/* Tidies up once it is here to stay: whatever lies in the other slot is gone. */
void act_at_start(void)
{
	unsigned other = board_upload_slot(0);

	if (other != NO_SLOT && boot_is_confirmed(0, board_slot(0)))
		nor_erase(slot_offset(0, other), slot_size(0, other));
}

#endif
