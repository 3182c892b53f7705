/* SPDX-License-Identifier: Apache-2.0 */
/* Each sector is a row of records, written one after the other. Each number is the highest value of any
 * whole record in either sector: so nothing but the disappearance of the highest record could lower it. A sector is
 * erased only when the other one holds every current value, and it takes some 250 advances to fill one. */
#include "counter.h"

#include <string.h>

#include "../port/crc32.h"
#include "../flash/flash.h"
#include "../port/geometry.h"
#include "../port/layout.h"
#include "../port/provision.h"

/* Numbers that only rise: a counter for each image, then a mark for each, set while it is odd. */
#define NUMBERS (2u * MAX_IMAGES)

struct record {
	uint32_t sequence; /* the highest one tells the sector in use */
	uint32_t value;
	uint32_t number; /* which of them */
	uint32_t crc;
};
_Static_assert(sizeof(struct record) == 16, "whole write units, unless they are larger");

#define SECTORS (COUNTERS_SIZE / FLASH_SECTOR)
_Static_assert(SECTORS == 2, "twins");
#define UNIT_MAX 32u

/* Bytes from one record to the next. */
static uint32_t stride(void)
{
	uint32_t unit = provisioned()->write_unit;

	return unit > sizeof(struct record) ? unit : (uint32_t)sizeof(struct record);
}

static uint32_t records(void)
{
	return FLASH_SECTOR / stride();
}

struct sector {
	uint32_t used;		     /* records up to the last that is not erased */
	uint32_t sequence;	     /* highest of any whole record */
	uint32_t values[NUMBERS]; /* highest of any whole record */
};

static uint32_t record_off(unsigned sector, uint32_t index)
{
	return COUNTERS_OFFSET + sector * FLASH_SECTOR + index * stride();
}

static bool is_whole(const struct record *r)
{
	return r->number < NUMBERS && r->crc == crc32(0, r, offsetof(struct record, crc));
}

static void take_in(struct sector *s, const struct record *r)
{
	if (r->sequence > s->sequence)
		s->sequence = r->sequence;
	if (r->value > s->values[r->number])
		s->values[r->number] = r->value;
}

static void scan(unsigned sector, struct sector *s)
{
	uint8_t chunk[16 * UNIT_MAX];
	uint32_t step = stride();

	memset(s, 0, sizeof(*s));
	for (uint32_t at = 0; at < FLASH_SECTOR; at += sizeof(chunk)) {
		if (flash_read(record_off(sector, 0) + at, chunk, sizeof(chunk)) != FLASH_OK)
			return;
		for (uint32_t i = 0; i < sizeof(chunk); i += step) {
			struct record r;

			memcpy(&r, chunk + i, sizeof(r));
			if (is_erased(&r, sizeof(r)))
				continue;
			s->used = (at + i) / step + 1;
			if (is_whole(&r))
				take_in(s, &r);
		}
	}
}

static uint32_t highest(const struct sector sectors[SECTORS], unsigned number)
{
	uint32_t a = sectors[0].values[number], b = sectors[1].values[number];

	return a > b ? a : b;
}

static uint32_t read_number(unsigned number)
{
	struct sector sectors[SECTORS];

	scan(0, &sectors[0]);
	scan(1, &sectors[1]);
	return highest(sectors, number);
}

static int append(unsigned sector, struct sector *s, uint32_t sequence, unsigned number, uint32_t value)
{
	struct record r = {.sequence = sequence, .value = value, .number = number};
	uint8_t units[UNIT_MAX];

	r.crc = crc32(0, &r, offsetof(struct record, crc));
	memset(units, flash_erased(), sizeof(units));
	memcpy(units, &r, sizeof(r));
	s->values[number] = value;
	return flash_write(record_off(sector, s->used++), units, stride());
}

/* Makes sector `to` hold every current value on its own, so that the other may be erased one day. A cut
 * in here leaves a sector that is in use and lacks some; the next advance completes it before it adds anything. */
static int complete(unsigned to, struct sector sectors[SECTORS], uint32_t *sequence)
{
	int rc = FLASH_OK;

	for (unsigned number = 0; rc == FLASH_OK && number < NUMBERS; number++) {
		uint32_t value = highest(sectors, number);

		if (sectors[to].values[number] < value)
			rc = append(to, &sectors[to], (*sequence)++, number, value);
	}
	return rc;
}

static bool is_complete(const struct sector *s, const struct sector sectors[SECTORS])
{
	for (unsigned number = 0; number < NUMBERS; number++) {
		if (s->values[number] < highest(sectors, number))
			return false;
	}
	return true;
}

/* The sector to erase when the one in use is full. That is its twin, unless cuts have filled the one in use before it
 * was complete: then it has nothing that the twin has not, and goes itself. */
static unsigned choose_victim(unsigned current, const struct sector sectors[SECTORS])
{
	return is_complete(&sectors[current], sectors) ? 1 - current : current;
}

static int raise_number(unsigned number, uint32_t value)
{
	struct sector sectors[SECTORS];
	uint32_t sequence;
	unsigned current;
	int rc = FLASH_OK;

	scan(0, &sectors[0]);
	scan(1, &sectors[1]);
	if (value <= highest(sectors, number))
		return value == highest(sectors, number) ? FLASH_OK : FLASH_ERR_RANGE;
	current = sectors[1].sequence > sectors[0].sequence ? 1 : 0;
	sequence = sectors[current].sequence + 1;
	if (sectors[current].used + NUMBERS + 1 > records()) {
		current = choose_victim(current, sectors);
		memset(&sectors[current], 0, sizeof(sectors[current]));
		rc = flash_erase(record_off(current, 0), FLASH_SECTOR);
	}
	if (rc == FLASH_OK)
		rc = complete(current, sectors, &sequence);
	return rc == FLASH_OK ? append(current, &sectors[current], sequence, number, value) : rc;
}

uint32_t counter_read(unsigned image)
{
	return image < MAX_IMAGES ? read_number(image) : 0;
}

/* 0 = no end. Only programs of this build know one. */
static uint32_t steps(void)
{
#ifdef DECOMPRESS
	return provisioned()->counter_steps;
#else
	return 0;
#endif
}

uint32_t counter_steps_left(unsigned image)
{
	uint32_t value = counter_read(image);

	return steps() == 0 ? COUNTER_ENDLESS : value < steps() ? steps() - value : 0;
}

int counter_advance(unsigned image, uint32_t value)
{
	if (image >= MAX_IMAGES || (steps() != 0 && value > steps()))
		return FLASH_ERR_RANGE;
	return raise_number(image, value);
}

bool revert_is_marked(unsigned image)
{
	return read_number(MAX_IMAGES + image) % 2u != 0;
}

int revert_mark(unsigned image, bool set)
{
	uint32_t value = read_number(MAX_IMAGES + image);

	return (value % 2u != 0) == set ? FLASH_OK : raise_number(MAX_IMAGES + image, value + 1);
}
