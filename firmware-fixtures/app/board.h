/* SPDX-License-Identifier: Apache-2.0 */
/* What every part of the application may know about the board it runs on and the image it is. */
#ifndef BOARD_H
#define BOARD_H
#include "../boot/image.h"
#include "../boot/trailer.h"
#include "../port/provision.h"

#define RESET_DELAY_MS 50u /* long enough for the answer to leave; Zephyr waits 250 ms */

void board_init(void);

const struct provision *board_provision(void);
/* Header and TLVs of the image that runs. Zeros when they cannot be read. */
const struct image_info *board_image(void);

#define NO_SLOT 2u
unsigned board_slots(void);                 /* of each image: 2, or 1 */
unsigned board_slot(unsigned image);        /* that it runs from, or would */
unsigned board_upload_slot(unsigned image); /* that an upload goes to; NO_SLOT: this program takes none */
uint32_t board_upload_offset(unsigned image); /* in flash, where an upload begins */
/* What the next boot will do: SWAP_NONE = the same image again, SWAP_TEST and SWAP_PERM = the other one, SWAP_REVERT =
 * the other one, because this one was not confirmed. */
enum swap_type board_next(unsigned image);

/* Resets the board RESET_DELAY_MS from now. */
void board_reset_soon(void);
/* Milliseconds until then, 0 = due now, negative = no reset asked for. */
int32_t board_reset_due(void);

#endif
