/* SPDX-License-Identifier: Apache-2.0 */
#include "copy.h"

#include "../flash/flash.h"
#include "modes.h"
#ifdef DECOMPRESS
#include "unpack/unpack.h"
#endif

#define COPY_CHUNK 1024u

int image_copy(uint32_t from, uint32_t to, uint32_t len, uint32_t at, const struct body_cipher *cipher)
{
	static uint8_t chunk[COPY_CHUNK];
	int rc = FLASH_OK;

	for (uint32_t part; rc == FLASH_OK && len > 0; from += part, to += part, at += part, len -= part) {
		part = len < COPY_CHUNK ? len : COPY_CHUNK;
		rc = flash_read(from, chunk, part);
		if (rc == FLASH_OK && cipher != 0)
			body_crypt(provisioned(), cipher, at, chunk, part);
		if (rc == FLASH_OK)
			rc = flash_write(to, chunk, part);
	}
	return rc;
}

int flash_copy(uint32_t from, uint32_t to, uint32_t len)
{
	return image_copy(from, to, len, 0, 0);
}

static uint32_t round_up(uint32_t value, uint32_t unit)
{
	return (value + unit - 1) / unit * unit;
}

static void cipher_of_secondary(const struct provision *p, unsigned image, struct body_cipher *cipher)
{
	struct image_source from = image_in_slot(image, 1);
	struct image_info info;

	cipher->on = source_parse(&from, &info) == VERIFY_OK && is_encrypted(&info.header) &&
		     content_key_of(p, &from, &info, cipher->key, 0);
	cipher->body = info.header.hdr_size;
	cipher->body_end = info.tlv_off;
}

#ifdef DECOMPRESS

/* A cut on the way leaves the secondary as it is, and the next boot begins again. */
static int unpack_run(const struct provision *p, unsigned image)
{
	const struct area *primary = slot_area(image, 0);
	uint32_t trailer = trailer_sectors_off(p, primary);
	struct image_source from = image_in_slot(image, 1);
	struct image_info info;
	struct plain_image plain;
	int rc = FLASH_ERR_RANGE;

	if (source_parse(&from, &info) == VERIFY_OK && plain_image_of(p, &from, &info, &plain) == VERIFY_OK)
		rc = area_erase(primary, 0, plain.end < trailer ? plain.end : trailer);
	if (rc == FLASH_OK)
		rc = area_erase(primary, trailer, primary->size);
	if (rc == FLASH_OK)
		rc = unpack_to_primary(p, &plain, image);
	return rc == FLASH_OK ? trailer_write_magic(primary) : rc;
}

static bool secondary_is_compressed(unsigned image)
{
	struct image_source from = image_in_slot(image, 1);
	struct image_info info;

	return source_parse(&from, &info) == VERIFY_OK && is_compressed(&info.header);
}

#endif

/* MCUBOOT_OVERWRITE_ONLY_FAST: only the sectors the image needs, and those of the trailer. Otherwise the slot as it is,
 * trailer included. */
int overwrite_run(const struct provision *p, unsigned image, uint32_t size)
{
	const struct area *primary = slot_area(image, 0);
	uint32_t from = slot_offset(image, 1) + image_start(image, 1);
	bool whole = (p->policy & POLICY_OVERWRITE_WHOLE) != 0;
	struct body_cipher cipher;
	int rc;

#ifdef DECOMPRESS
	if (secondary_is_compressed(image))
		return unpack_run(p, image);
#endif
	cipher_of_secondary(p, image, &cipher);
	if (whole)
		size = primary->size;
	rc = area_erase(primary, 0, size);
	if (rc == FLASH_OK && !whole)
		rc = area_erase(primary, trailer_sectors_off(p, primary), primary->size);
	if (rc == FLASH_OK)
		rc = image_copy(from, primary->offset, round_up(size, p->write_unit), 0, &cipher);
	return rc == FLASH_OK && !whole ? trailer_write_magic(primary) : rc;
}
