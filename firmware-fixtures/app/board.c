/* SPDX-License-Identifier: Apache-2.0 */
#include "board.h"

#include <string.h>

#include "../port/port.h"

static struct provision provision;
static struct image_info image;
static bool resetting;
static uint32_t reset_at;

void board_init(void)
{
	provision_load(&provision);
	if (image_read(0, 0, &image) != VERIFY_OK)
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
