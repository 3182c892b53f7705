/* SPDX-License-Identifier: Apache-2.0 */
/* The slots and their sectors: rows for the boards that the provisioning sector can name. src/emulator has the same
 * rows in layout.ts. Outside the slots and the scratch area every sector has FLASH_SECTOR bytes. */
#ifndef GEOMETRY_H
#define GEOMETRY_H
#include <stdbool.h>
#include <stdint.h>

/* A stretch of flash: `first_count` sectors of `first` bytes, then sectors of `rest` bytes up to the end. */
struct area {
	uint32_t offset, size; /* in flash, bytes */
	uint32_t first, first_count, rest;
};

struct geometry {
	uint8_t images;            /* at most so many images have slots here */
	uint32_t flash_size;       /* bytes of flash that are used */
	struct area slots[2][2];   /* image, slot */
	struct area scratch;
};

enum geometry_number { GEOMETRY_EVEN = 0, GEOMETRY_LARGE = 1, GEOMETRY_UNEVEN = 2, GEOMETRY_ONE_MORE = 3, GEOMETRIES = 4 };

/* The geometry of the board that was provisioned last; GEOMETRY_EVEN before that. */
const struct geometry *geometry(void);
const struct area *slot_area(unsigned image, unsigned slot);
const struct area *scratch_area(void);

uint32_t slot_offset(unsigned image, unsigned slot); /* where a slot begins in flash */
uint32_t slot_size(unsigned image, unsigned slot);

/* The sector of an area that holds the byte at `off`, which counts from the area's start. */
uint32_t sector_start(const struct area *a, uint32_t off);
uint32_t sector_size(const struct area *a, uint32_t off);
uint32_t sector_count(const struct area *a);

/* The sector of the flash that holds the byte at the flash offset `off`: its start, and its size in *size. */
uint32_t flash_sector(uint32_t off, uint32_t *size);

/* Erases the sectors of [from, to) of an area, first to last. 0, or an error of flash/flash.h. */
int area_erase(const struct area *a, uint32_t from, uint32_t to);
/* The same, last to first. */
int area_erase_backwards(const struct area *a, uint32_t from, uint32_t to);

uint8_t flash_erased(void); /* the value of an erased byte on this board: 0xff or 0 */
bool is_erased(const void *bytes, uint32_t len);

#endif
