/* SPDX-License-Identifier: Apache-2.0 */
#include "nor.h"

#include <string.h>

#include "../flash/flash.h"
#include "../port/geometry.h"

#define LOOK_AT_ONCE 64u

static struct nor_counts counts;

const struct nor_counts *nor_counts(void)
{
	return &counts;
}

static int counted(int rc)
{
	if (rc != FLASH_OK)
		counts.errors++;
	return rc;
}

int nor_write(uint32_t off, const void *data, uint32_t len)
{
	counts.writes++;
	return counted(flash_write(off, data, len));
}

bool nor_is_blank(uint32_t off, uint32_t len)
{
	uint8_t bytes[LOOK_AT_ONCE];

	for (uint32_t done = 0, n; done < len; done += n) {
		n = len - done < sizeof(bytes) ? len - done : sizeof(bytes);
		if (flash_read(off + done, bytes, n) != FLASH_OK)
			return false;
		if (!is_erased(bytes, n))
			return false;
	}
	return true;
}

int nor_erase(uint32_t off, uint32_t len)
{
	for (uint32_t done = 0, size; done < len; done += size) {
		uint32_t sector = flash_sector(off + done, &size);
		int rc;

		if (nor_is_blank(sector, size))
			continue;
		counts.erases++;
		rc = counted(flash_erase(sector, size));
		if (rc != FLASH_OK)
			return rc;
	}
	return FLASH_OK;
}

void nor_open(struct nor_stream *s, uint32_t base, uint32_t clean, uint8_t unit)
{
	memset(s, 0, sizeof(*s));
	s->base = base;
	s->clean = clean;
	s->unit = unit;
}

/* Whole units, at the stream's place `at`. */
static int write_units(struct nor_stream *s, uint32_t at, const void *data, uint32_t len)
{
	uint32_t off = s->base + at, end = off + len;

	while (s->clean < end) {
		uint32_t size, sector = flash_sector(s->clean, &size);
		int rc = nor_erase(sector, size);

		if (rc != FLASH_OK)
			return rc;
		s->clean = sector + size;
	}
	return nor_write(off, data, len);
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* Completes the unit that the last call left half full. */
static int fill_tail(struct nor_stream *s, const uint8_t **data, uint32_t *len)
{
	uint32_t held = s->len % s->unit, take;

	if (held == 0 || *len == 0)
		return FLASH_OK;
	take = smaller(s->unit - held, *len);
	memcpy(s->tail + held, *data, take);
	*data += take;
	*len -= take;
	s->len += take;
	return s->len % s->unit != 0 ? FLASH_OK : write_units(s, s->len - s->unit, s->tail, s->unit);
}

int nor_append(struct nor_stream *s, const void *data, uint32_t len)
{
	const uint8_t *from = data;
	int rc = fill_tail(s, &from, &len);
	uint32_t whole = len - len % s->unit;

	if (rc == FLASH_OK && whole > 0)
		rc = write_units(s, s->len, from, whole);
	if (rc != FLASH_OK)
		return rc;
	if (len > whole)
		memcpy(s->tail, from + whole, len - whole);
	s->len += len;
	return FLASH_OK;
}

int nor_finish(struct nor_stream *s)
{
	uint32_t held = s->len % s->unit;

	if (held == 0)
		return FLASH_OK;
	memset(s->tail + held, flash_erased(), s->unit - held);
	return write_units(s, s->len - held, s->tail, s->unit);
}

int nor_read(const struct nor_stream *s, uint32_t off, void *to, uint32_t len)
{
	uint32_t written = s->len - s->len % s->unit, from_flash;
	int rc = FLASH_OK;

	from_flash = off < written ? smaller(len, written - off) : 0;
	if (from_flash > 0)
		rc = flash_read(s->base + off, to, from_flash);
	if (len > from_flash)
		memcpy((uint8_t *)to + from_flash, s->tail + (off + from_flash - written), len - from_flash);
	return rc;
}
