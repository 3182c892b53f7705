/* SPDX-License-Identifier: Apache-2.0 */
#include "copy.h"

#include "../flash/flash.h"
#include "../port/layout.h"
#include "image.h"

#define COPY_CHUNK 1024u

int flash_copy(uint32_t from, uint32_t to, uint32_t len)
{
	static uint8_t chunk[COPY_CHUNK];
	int rc = FLASH_OK;

	for (uint32_t part; rc == FLASH_OK && len > 0; from += part, to += part, len -= part) {
		part = len < COPY_CHUNK ? len : COPY_CHUNK;
		rc = flash_read(from, chunk, part);
		if (rc == FLASH_OK)
			rc = flash_write(to, chunk, part);
	}
	return rc;
}

static uint32_t round_up(uint32_t value, uint32_t unit)
{
	return (value + unit - 1) / unit * unit;
}

/* MCUBOOT_OVERWRITE_ONLY_FAST: only the sectors the image needs, and those of the trailer. */
int overwrite_run(const struct provision *p, unsigned image, uint32_t size)
{
	uint32_t from = slot_offset(image, 1), to = slot_offset(image, 0);
	int rc = flash_erase(to, round_up(size, FLASH_SECTOR));

	if (rc == FLASH_OK)
		rc = trailer_erase(p, image, 0);
	if (rc == FLASH_OK)
		rc = flash_copy(from, to, round_up(size, p->write_unit));
	if (rc == FLASH_OK)
		rc = trailer_write_magic(image, 0);
	return rc;
}
