/* SPDX-License-Identifier: Apache-2.0 */
/* Serial recovery: the bootloader's own SMP server, with the commands and quirks of MCUboot's boot_serial.
 * recovery_init and recovery_step are declared in boot.h; here is what the rest of the bootloader may ask it. */
#ifndef RECOVERY_H
#define RECOVERY_H
#include <stdbool.h>

/* Only of interest under WEAK_RECOVERY_UNCHECKED: the primary of `image` was written by recovery, which left its
 * mark in the slot; the bootloader then starts it without validation. The mark is the first 8 bytes of the primary's
 * last sector, below the trailer: it survives a power cut and goes when an update begins (the sector is erased). */
bool recovery_wrote(unsigned image);

#endif
