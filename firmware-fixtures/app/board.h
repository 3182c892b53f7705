/* SPDX-License-Identifier: Apache-2.0 */
/* What every part of the application may know about the board it runs on and the image it is. */
#ifndef BOARD_H
#define BOARD_H
#include "../boot/image.h"
#include "../port/provision.h"

#define RESET_DELAY_MS 50u /* long enough for the answer to leave; Zephyr waits 250 ms */

void board_init(void);

const struct provision *board_provision(void);
/* Header and TLVs of the primary of image 0: the image that runs. Zeros when they cannot be read. */
const struct image_info *board_image(void);

/* Resets the board RESET_DELAY_MS from now. */
void board_reset_soon(void);
/* Milliseconds until then, 0 = due now, negative = no reset asked for. */
int32_t board_reset_due(void);

#endif
