/* SPDX-License-Identifier: Apache-2.0 */
#include "provision.h"

#include <stddef.h>
#include <string.h>

#include "../flash/flash.h"
#include "../boot/modes.h"
#include "crc32.h"
#include "geometry.h"
#include "layout.h"

_Static_assert(sizeof(struct provision_key) == 404, "no padding: the host writes these bytes");
_Static_assert(sizeof(struct provision) == 2908, "no padding: the host writes these bytes");
_Static_assert(sizeof(struct provision) <= PROVISION_SIZE, "fits its sector");

static const struct provision *loaded;

static void safe_defaults(struct provision *p)
{
	memset(p, 0, sizeof(*p));
	p->magic = PROVISION_MAGIC;
	p->version = PROVISION_VERSION;
	p->size = sizeof(*p);
	p->mode = MODE_SWAP_MOVE;
	p->images = 1;
	p->write_unit = 4;
	p->max_sectors = 32;
	p->buf_size = 1024;
	p->buf_count = 2;
	p->recovery_buf_size = 1024;
	memcpy(p->board, "unprovisioned", 14);
	p->geometry = GEOMETRY_EVEN;
	p->erased_value = 0xffu;
	p->align = 8;
}

static int is_power_of_two(uint32_t value, uint32_t least, uint32_t most)
{
	return value >= least && value <= most && (value & (value - 1u)) == 0;
}

static int is_shape(const struct provision *p)
{
	return p->geometry < GEOMETRIES && is_power_of_two(p->write_unit, 1, 32) && is_power_of_two(p->align, 8, 32) &&
	       p->align >= p->write_unit && (p->erased_value == 0 || p->erased_value == 0xffu);
}

static int is_wrap(const struct provision *p)
{
	if (p->wrap == WRAP_NONE)
		return p->content_key == 0;
	return p->wrap <= WRAP_RSA_2048 && p->wrap_len <= WRAP_KEY_MAX && is_power_of_two(p->content_key, 16, 32);
}

/* What the programs rely on without looking again. */
static int is_sane(const struct provision *p)
{
	if (p->magic != PROVISION_MAGIC || p->version != PROVISION_VERSION || p->size != sizeof(*p))
		return 0;
	if (crc32(0, p, offsetof(struct provision, crc)) != p->crc)
		return 0;
	if (mode_numbered(p->mode) == 0 || p->images < 1 || p->images > MAX_IMAGES || !is_shape(p) || !is_wrap(p))
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
	int rc = flash_read(PROVISION_OFFSET, p, sizeof(*p)) == FLASH_OK && is_sane(p) ? 0 : -1;

	if (rc != 0)
		safe_defaults(p);
	loaded = p;
	return rc;
}

const struct provision *provisioned(void)
{
	return loaded;
}
