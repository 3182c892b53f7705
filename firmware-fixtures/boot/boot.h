/* SPDX-License-Identifier: Apache-2.0 */
/* The bootloader's two halves: choose and start an image (boot.c), or serve SMP until the next reset (recovery.c). */
#ifndef BOOT_H
#define BOOT_H
#include <stdint.h>
#include "../port/provision.h"

enum recovery_why { RECOVERY_REQUESTED = 1, RECOVERY_NO_IMAGE = 2 }; /* the value of EVENT_RECOVERY */

/* boot/recovery.c: serial recovery, MCUboot's boot_serial. Called once, then recovery_step from each fw_step. */
void recovery_init(const struct provision *p, int why);
int32_t recovery_step(void); /* as fw_step */

#endif
