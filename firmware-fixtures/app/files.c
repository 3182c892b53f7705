/* SPDX-License-Identifier: Apache-2.0 */
/* The area is a row of sectors. A file takes as many in a run as its announced length needs; the first begins with
 * a head (written when it is created) and a seal (written when it is complete), each with its CRC. Sectors of no
 * file are free, whatever they hold: they are erased before use, and the sectors of a file that goes are erased with
 * the head last, so that no old content is ever taken for a head. */
#include "files.h"

#include <string.h>

#include "../flash/flash.h"
#include "../port/layout.h"
#include "board.h"
#include "../port/crc32.h"

#define SECTORS (FILES_SIZE / FLASH_SECTOR)
#define HEAD_MAGIC 0x46494c45u
#define SEAL_MAGIC 0x5345414cu
#define SEAL_AT 128u
#define DATA_AT 256u

struct head {
	uint32_t magic, sectors;
	uint8_t name[FILE_NAME_MAX]; /* padded with zeros */
	uint32_t room;               /* announced length */
	uint32_t crc;
};
_Static_assert(sizeof(struct head) <= SEAL_AT && sizeof(struct head) % NOR_UNIT_MAX == 0, "whole write units");

struct seal {
	uint32_t magic, len, zero[5], crc;
};
_Static_assert(SEAL_AT + sizeof(struct seal) <= DATA_AT && sizeof(struct seal) % NOR_UNIT_MAX == 0, "whole write units");

/* The file being written. */
static struct {
	bool open;
	uint32_t sector, room;
	uint8_t name[FILE_NAME_MAX];
	struct nor_stream stream;
} writing;

static uint32_t sector_off(uint32_t sector)
{
	return FILES_OFFSET + sector * FLASH_SECTOR;
}

static bool read_head(uint32_t sector, struct head *h)
{
	if (flash_read(sector_off(sector), h, sizeof(*h)) != FLASH_OK || h->magic != HEAD_MAGIC)
		return false;
	if (h->crc != crc32(0, h, sizeof(*h) - sizeof(h->crc)))
		return false;
	return h->sectors > 0 && h->sectors <= SECTORS - sector && h->room <= h->sectors * FLASH_SECTOR - DATA_AT;
}

static bool read_seal(uint32_t sector, const struct head *h, uint32_t *len)
{
	struct seal s;

	if (flash_read(sector_off(sector) + SEAL_AT, &s, sizeof(s)) != FLASH_OK || s.magic != SEAL_MAGIC)
		return false;
	*len = s.len;
	return s.crc == crc32(0, &s, sizeof(s) - sizeof(s.crc)) && s.len <= h->room;
}

static enum files_result erase_file(uint32_t sector, const struct head *h)
{
	for (uint32_t i = h->sectors; i-- > 0;) {
		if (nor_erase(sector_off(sector + i), FLASH_SECTOR) != FLASH_OK)
			return FILES_FLASH;
	}
	return FILES_OK;
}

/* Drops what a power cut left unfinished. */
void files_init(void)
{
	struct head h;
	uint32_t len;

	writing.open = false;
	for (uint32_t sector = 0; sector < SECTORS; sector++) {
		if (!read_head(sector, &h))
			continue;
		if (!read_seal(sector, &h, &len))
			erase_file(sector, &h);
		sector += h.sectors - 1;
	}
}

static enum files_result file_name(struct span path, uint8_t name[FILE_NAME_MAX])
{
	size_t mount = strlen(FILES_MOUNT);
	uint32_t len;

	if (path.len == 0 || path.data[0] != '/')
		return FILES_BAD_NAME;
	if (path.len < mount || memcmp(path.data, FILES_MOUNT, mount) != 0)
		return FILES_NOT_FOUND;
	len = path.len - (uint32_t)mount;
	if (len == 0 || len > FILE_NAME_MAX)
		return FILES_BAD_NAME;
	memset(name, 0, FILE_NAME_MAX);
	for (uint32_t i = 0; i < len; i++) {
		name[i] = path.data[mount + i];
		if (name[i] == 0 || name[i] == '/')
			return FILES_BAD_NAME;
	}
	return FILES_OK;
}

/* First sector of the file of this name; SECTORS when there is none. */
static uint32_t find_name(const uint8_t name[FILE_NAME_MAX], struct head *h)
{
	for (uint32_t sector = 0; sector < SECTORS; sector++) {
		if (!read_head(sector, h))
			continue;
		if (memcmp(h->name, name, FILE_NAME_MAX) == 0)
			return sector;
		sector += h->sectors - 1;
	}
	return SECTORS;
}

enum files_result files_find(struct span path, struct file *file)
{
	uint8_t name[FILE_NAME_MAX];
	struct head h;
	uint32_t sector, len;
	enum files_result rc = file_name(path, name);

	if (rc != FILES_OK)
		return rc;
	sector = find_name(name, &h);
	if (sector == SECTORS)
		return FILES_NOT_FOUND;
	if (writing.open && writing.sector == sector) {
		file->stream = writing.stream;
		return FILES_OK;
	}
	if (!read_seal(sector, &h, &len))
		return FILES_NOT_FOUND;
	nor_open(&file->stream, sector_off(sector) + DATA_AT, 0, 1);
	file->stream.len = len;
	return FILES_OK;
}

enum files_result files_read(const struct file *file, uint32_t off, void *to, uint32_t len)
{
	return nor_read(&file->stream, off, to, len) == FLASH_OK ? FILES_OK : FILES_FLASH;
}

/* First of `need` free sectors in a row; SECTORS when there is no such run. */
static uint32_t find_free(uint32_t need)
{
	uint32_t run = 0;
	struct head h;

	for (uint32_t sector = 0; sector < SECTORS; sector++) {
		if (read_head(sector, &h)) {
			sector += h.sectors - 1;
			run = 0;
		} else if (++run == need) {
			return sector + 1 - need;
		}
	}
	return SECTORS;
}

static enum files_result write_head(uint32_t sector, uint32_t sectors)
{
	struct head h = {.magic = HEAD_MAGIC, .sectors = sectors, .room = writing.room};

	memcpy(h.name, writing.name, sizeof(h.name));
	h.crc = crc32(0, &h, sizeof(h) - sizeof(h.crc));
	/* every sector of the run is made blank first: behind a head, old content must not be taken for another */
	for (uint32_t i = sectors; i-- > 0;) {
		if (nor_erase(sector_off(sector + i), FLASH_SECTOR) != FLASH_OK)
			return FILES_FLASH;
	}
	return nor_write(sector_off(sector), &h, sizeof(h)) == FLASH_OK ? FILES_OK : FILES_FLASH;
}

static enum files_result seal_file(void)
{
	struct seal s = {.magic = SEAL_MAGIC, .len = writing.stream.len};

	writing.open = false;
	s.crc = crc32(0, &s, sizeof(s) - sizeof(s.crc));
	if (nor_finish(&writing.stream) != FLASH_OK ||
	    nor_write(sector_off(writing.sector) + SEAL_AT, &s, sizeof(s)) != FLASH_OK)
		return FILES_FLASH;
	return FILES_OK;
}

enum files_result files_close(void)
{
	return writing.open ? seal_file() : FILES_OK;
}

enum files_result files_create(struct span path, uint32_t len)
{
	uint8_t name[FILE_NAME_MAX];
	struct head old;
	uint32_t sector, sectors;
	enum files_result rc = file_name(path, name);

	if (rc != FILES_OK)
		return rc;
	if (len > FILES_SIZE - DATA_AT)
		return FILES_FULL;
	rc = files_close();
	if (rc != FILES_OK)
		return rc;
	sector = find_name(name, &old);
	if (sector != SECTORS && erase_file(sector, &old) != FILES_OK)
		return FILES_FLASH;
	sectors = (DATA_AT + len + FLASH_SECTOR - 1) / FLASH_SECTOR;
	sector = find_free(sectors);
	if (sector == SECTORS)
		return FILES_FULL;
	memcpy(writing.name, name, sizeof(name));
	writing.sector = sector;
	writing.room = len;
	rc = write_head(sector, sectors);
	writing.open = rc == FILES_OK;
	nor_open(&writing.stream, sector_off(sector) + DATA_AT, sector_off(sector + sectors), board_provision()->write_unit);
	return rc;
}

enum files_result files_append(struct span path, uint32_t off, struct span data, uint32_t *len)
{
	uint8_t name[FILE_NAME_MAX];
	struct file other;
	enum files_result rc = file_name(path, name);

	if (rc != FILES_OK)
		return rc;
	if (!writing.open || memcmp(name, writing.name, sizeof(name)) != 0) {
		*len = files_find(path, &other) == FILES_OK ? other.stream.len : 0;
		return FILES_WRONG_OFFSET;
	}
	*len = writing.stream.len;
	if (off != *len)
		return FILES_WRONG_OFFSET;
	if (data.len > writing.room - off)
		return FILES_FULL;
	if (nor_append(&writing.stream, data.data, data.len) != FLASH_OK) {
		writing.open = false;
		return FILES_FLASH;
	}
	*len = writing.stream.len;
	return *len == writing.room ? seal_file() : FILES_OK;
}
