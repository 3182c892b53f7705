/* SPDX-License-Identifier: Apache-2.0 */
#include "behaviour.h"

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
