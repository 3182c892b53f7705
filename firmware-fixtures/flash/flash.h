/* SPDX-License-Identifier: Apache-2.0 */
/* NOR flash with its rules enforced: erase sets a sector to the erased value, a write needs erased bytes and whole write units.
 * One flash operation = one call of flash_write or flash_erase of one sector; power can fail before or in any. */
#ifndef FLASH_H
#define FLASH_H
#include <stdint.h>

#define FLASH_OK 0
#define FLASH_ERR_RANGE (-1)      /* outside the flash, or not aligned to write unit or sector */
#define FLASH_ERR_NOT_ERASED (-2) /* a write over bytes that are not erased */
#define FLASH_ERR_PROTECTED (-3)  /* range locked by flash_protect until the next reset */

int flash_read(uint32_t off, void *buf, uint32_t len);
int flash_write(uint32_t off, const void *buf, uint32_t len); /* off and len multiples of the board's write unit */
int flash_erase(uint32_t off, uint32_t len);                  /* whole sectors, see port/geometry.h; one operation a sector */
void flash_protect(uint32_t off, uint32_t len);               /* the bootloader locks counters and provisioning before it starts an image */

#endif
