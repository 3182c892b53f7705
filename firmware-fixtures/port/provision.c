/* SPDX-License-Identifier: Apache-2.0 */
#include "provision.h"

#include <stddef.h>
#include <string.h>

#include "../flash/flash.h"
#include "crc32.h"
#include "layout.h"

_Static_assert(sizeof(struct provision_key) == 404, "no padding: the host writes these bytes");
_Static_assert(sizeof(struct provision) == 1692, "no padding: the host writes these bytes");
_Static_assert(sizeof(struct provision) <= PROVISION_SIZE, "fits its sector");

static void safe_defaults(struct provision *p)
{
	memset(p, 0, sizeof(*p));
	p->magic = PROVISION_MAGIC;
	p->version = PROVISION_VERSION;
	p->size = sizeof(*p);
	p->mode = 3;
	p->images = 1;
	p->write_unit = 4;
	p->max_sectors = SLOT_SIZE / FLASH_SECTOR;
	p->buf_size = 1024;
	p->buf_count = 2;
	p->recovery_buf_size = 1024;
	memcpy(p->board, "unprovisioned", 14);
}

/* What the programs rely on without looking again. */
static int is_sane(const struct provision *p)
{
	if (p->magic != PROVISION_MAGIC || p->version != PROVISION_VERSION || p->size != sizeof(*p))
		return 0;
	if (crc32(0, p, offsetof(struct provision, crc)) != p->crc)
		return 0;
	if ((p->mode != 2 && p->mode != 3) || p->images < 1 || p->images > MAX_IMAGES)
		return 0;
	if (p->write_unit != 4 && p->write_unit != 8)
		return 0;
	if (p->framing > FRAMING_RAW)
		return 0;
	if (p->buf_size > 4096 || p->recovery_buf_size > 4096)
		return 0;
	if (p->board[sizeof(p->board) - 1] != 0 || p->serial[sizeof(p->serial) - 1] != 0)
		return 0;
	for (size_t i = 0; i < MAX_KEYS; i++) {
		if (p->keys[i].len > KEY_MAX)
			return 0;
	}
	return 1;
}

int provision_load(struct provision *p)
{
	if (flash_read(PROVISION_OFFSET, p, sizeof(*p)) == FLASH_OK && is_sane(p))
		return 0;
	safe_defaults(p);
	return -1;
}
