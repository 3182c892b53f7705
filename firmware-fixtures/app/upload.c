/* SPDX-License-Identifier: Apache-2.0 */
#include "upload.h"

#include <string.h>

#include "../boot/modes.h"
#include "../boot/trailer.h"
#include "../flash/flash.h"
#include "board.h"
#include "nor.h"

static struct {
	bool open;
	unsigned image;
	uint32_t size;
	uint8_t sha[SHA256_SIZE];
	uint32_t sha_len;
	struct nor_stream stream;
} session;

/* A request that an earlier image left there must not fall upon this one, nor an earlier image in front of it. */
static int make_room(unsigned image)
{
	const struct area *a = slot_area(image, board_upload_slot(image));
	uint32_t from = trailer_sectors_off(board_provision(), a), in_front = board_upload_offset(image) - a->offset;
	int rc = nor_erase(a->offset + from, a->size - from);

	return rc == FLASH_OK ? nor_erase(a->offset, in_front) : rc;
}

int upload_begin(const struct upload_start *start)
{
	uint32_t base = board_upload_offset(start->image);
	int rc = make_room(start->image);

	session.open = rc == FLASH_OK;
	session.image = start->image;
	session.size = start->size;
	session.sha_len = start->sha.len;
	if (start->sha.len > 0)
		memcpy(session.sha, start->sha.data, start->sha.len);
	nor_open(&session.stream, base, base, board_provision()->write_unit);
	return rc;
}

int upload_append(const void *data, uint32_t len)
{
	int rc = nor_append(&session.stream, data, len);

	if (rc == FLASH_OK && session.stream.len == session.size)
		rc = nor_finish(&session.stream);
	if (rc != FLASH_OK)
		session.open = false;
	return rc;
}

void upload_end(void)
{
	session.open = false;
}

bool upload_is_open(void)
{
	return session.open;
}

bool upload_is(unsigned image, struct span sha)
{
	return session.open && session.image == image && sha.len > 0 && sha.len == session.sha_len &&
	       memcmp(sha.data, session.sha, sha.len) == 0;
}

uint32_t upload_offset(void)
{
	return session.open ? session.stream.len : 0;
}

uint32_t upload_size(void)
{
	return session.open ? session.size : 0;
}

bool slot_is_held(unsigned image)
{
	struct image_info info;

	if (mode_of(board_provision())->way == WAY_PICK && !mode_of(board_provision())->tests)
		return false; /* nothing is ever asked for */
	switch (board_next(image)) {
	case SWAP_NONE:
		return false;
	case SWAP_TEST:
	case SWAP_PERM:
		return image_read(image, board_upload_slot(image), &info) == VERIFY_OK;
	default:
		return true;
	}
}

bool slot_holds(unsigned image, uint32_t size, struct span sha)
{
	uint8_t found[SHA256_SIZE];

	if (sha.len != sizeof(found) || flash_sha256(board_upload_offset(image), size, found) != FLASH_OK)
		return false;
	return memcmp(found, sha.data, sizeof(found)) == 0;
}

bool upload_is_complete(bool *has_sha, bool *match)
{
	*has_sha = session.sha_len == SHA256_SIZE;
	*match = false;
	if (!session.open || session.stream.len != session.size)
		return false;
	if (*has_sha)
		*match = slot_holds(session.image, session.size, (struct span){session.sha, session.sha_len});
	return true;
}
