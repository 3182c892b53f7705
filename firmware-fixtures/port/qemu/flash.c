/* SPDX-License-Identifier: Apache-2.0 */
/* NOR flash played over the PSRAM, which accepts any store: the rules live here. */
#include "../../flash/flash.h"

#include <string.h>

#include "../geometry.h"
#include "../layout.h"
#include "../provision.h"
#include "state.h"

static uint8_t *flash_at(uint32_t off)
{
	return (uint8_t *)(QEMU_FLASH_BASE + off);
}

static int is_outside(uint32_t off, uint32_t len)
{
	return off > geometry()->flash_size || len > geometry()->flash_size - off;
}

static int touches(const struct machine_range *range, uint32_t off, uint32_t len)
{
	return off < range->off + range->len && off + len > range->off;
}

static int is_protected(uint32_t off, uint32_t len)
{
	const struct machine_state *state = machine_state();

	for (uint32_t i = 0; i < state->range_count; i++) {
		if (touches(&state->ranges[i], off, len))
			return 1;
	}
	return 0;
}

static int is_out_of_reach(uint32_t off, uint32_t len)
{
	return is_outside(off, len) || touches(&machine_straps()->broken, off, len);
}

static int refusal(uint32_t off, uint32_t len)
{
	if (is_out_of_reach(off, len))
		return FLASH_ERR_RANGE;
	return is_protected(off, len) ? FLASH_ERR_PROTECTED : FLASH_OK;
}

/* Fixed by the factory. A program that has not looked yet writes nothing either. */
static uint32_t write_unit(void)
{
	return provisioned() ? provisioned()->write_unit : 1u;
}

static int is_cut_here(void)
{
	uint32_t operation = ++machine_state()->flash_operations;

	return machine_straps()->cut_at != 0 && operation == machine_straps()->cut_at;
}

int flash_read(uint32_t off, void *buf, uint32_t len)
{
	if (is_out_of_reach(off, len))
		return FLASH_ERR_RANGE;
	memcpy(buf, flash_at(off), len);
	return FLASH_OK;
}

int flash_write(uint32_t off, const void *buf, uint32_t len)
{
	int refused = off % write_unit() != 0 || len % write_unit() != 0 ? FLASH_ERR_RANGE : refusal(off, len);

	if (refused != FLASH_OK)
		return refused;
	if (len == 0)
		return FLASH_OK;
	if (!is_erased(flash_at(off), len))
		return FLASH_ERR_NOT_ERASED;
	if (is_cut_here()) {
		if (machine_straps()->cut_half)
			memcpy(flash_at(off), buf, len / 2u);
		machine_power_cut();
	}
	memcpy(flash_at(off), buf, len);
	return FLASH_OK;
}

static void erase_sector(uint32_t off, uint32_t size)
{
	if (is_cut_here()) {
		if (machine_straps()->cut_half)
			memset(flash_at(off), flash_erased(), size / 2u);
		machine_power_cut();
	}
	memset(flash_at(off), flash_erased(), size);
}

/* Both ends are ends of sectors. */
static int is_whole_sectors(uint32_t off, uint32_t len)
{
	uint32_t size, start = flash_sector(off, &size);

	if (len == 0 || start != off)
		return len == 0;
	start = flash_sector(off + len - 1, &size);
	return start + size == off + len;
}

int flash_erase(uint32_t off, uint32_t len)
{
	int refused = refusal(off, len);

	if (refused == FLASH_OK && !is_whole_sectors(off, len))
		refused = FLASH_ERR_RANGE;
	if (refused != FLASH_OK)
		return refused;
	for (uint32_t at = off, size; at < off + len; at += size) {
		flash_sector(at, &size);
		erase_sector(at, size);
	}
	return FLASH_OK;
}

void flash_protect(uint32_t off, uint32_t len)
{
	struct machine_state *state = machine_state();

	if (state->range_count < MACHINE_RANGES && !is_outside(off, len))
		state->ranges[state->range_count++] = (struct machine_range){.off = off, .len = len};
}
