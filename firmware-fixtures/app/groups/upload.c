/* SPDX-License-Identifier: Apache-2.0 */
/* Group 1, upload. The steps are those of Zephyr's img_mgmt_upload with image check and progressive erase. */
#include "../upload.h"

#include <string.h>

#include "../../boot/trailer.h"
#include "../board.h"
#include "groups.h"

struct upload_request {
	uint32_t image, off, len;
	bool has_off, has_len, upgrade;
	struct span sha, data;
};

static bool decode(struct cbor_in *in, struct upload_request *r)
{
	struct field fields[] = {
		{"image", FIELD_UINT, &r->image, false}, {"off", FIELD_UINT, &r->off, false},
		{"len", FIELD_UINT, &r->len, false},	 {"sha", FIELD_BYTES, &r->sha, false},
		{"data", FIELD_BYTES, &r->data, false},	 {"upgrade", FIELD_BOOL, &r->upgrade, false},
	};

	if (!cbor_fields(in, fields, sizeof(fields) / sizeof(fields[0])))
		return false;
	r->has_off = fields[1].found;
	r->has_len = fields[2].found;
	return true;
}

static int answer_offset(struct smp_exchange *x, uint32_t off)
{
	put_uint_at(&x->out, "off", off);
	return RC_OK;
}

static int refuse(struct smp_exchange *x, uint16_t error, const char *reason)
{
	return smp_fail(x, GROUP_IMAGE, error, reason);
}

/* Zephyr's rule: with `upgrade`, an image must be newer than the one that runs; equal is not newer. */
static bool is_newer(const struct upload_request *r)
{
	struct image_header header;
	struct image_info running;

	memcpy(&header, r->data.data, sizeof(header));
	return image_read(r->image, board_slot(r->image), &running) != VERIFY_OK ||
	       version_compare(&header.version, &running.header.version) > 0;
}

static int append(struct smp_exchange *x, const struct upload_request *r)
{
	bool has_sha, match;

	if (r->data.len > upload_size() - upload_offset())
		return refuse(x, IMAGE_DATA_OVERRUN, "data overrun");
	if (upload_append(r->data.data, r->data.len) != 0)
		return refuse(x, IMAGE_FLASH_WRITE_FAILED, "fa write fail");
	answer_offset(x, upload_offset());
	if (upload_is_complete(&has_sha, &match)) {
		if (has_sha)
			put_bool_at(&x->out, "match", match);
		upload_end();
	}
	return RC_OK;
}

static int begin(struct smp_exchange *x, const struct upload_request *r)
{
	struct upload_start start = {r->image, r->len, r->sha};

	if (slot_holds(r->image, r->len, r->sha)) {
		upload_end();
		answer_offset(x, r->len);
		put_bool_at(&x->out, "match", true);
		return RC_OK;
	}
	if (upload_begin(&start) != 0)
		return refuse(x, IMAGE_FLASH_ERASE_FAILED, "fa erase fail");
	return append(x, r);
}

static bool has_magic(struct span data)
{
	uint32_t magic;

	memcpy(&magic, data.data, sizeof(magic));
	return magic == IMAGE_MAGIC;
}

static int inspect_first(struct smp_exchange *x, const struct upload_request *r)
{
	if (r->data.len < IMAGE_HEADER_MIN)
		return refuse(x, IMAGE_INVALID_HEADER, "header malformed");
	if (!r->has_len)
		return refuse(x, IMAGE_INVALID_LENGTH, NULL);
	if (!has_magic(r->data))
		return refuse(x, IMAGE_INVALID_MAGIC, "magic mismatch");
	if (r->sha.len > SHA256_SIZE)
		return refuse(x, IMAGE_INVALID_HASH, NULL);
	if (upload_is(r->image, r->sha))
		return answer_offset(x, upload_offset());
	if (r->image >= board_provision()->images)
		return refuse(x, IMAGE_INVALID_SLOT, "no slot");
	if (board_upload_slot(r->image) == NO_SLOT || slot_is_held(r->image))
		return refuse(x, IMAGE_NO_FREE_SLOT, "no slot");
	if (r->len > image_max_size(board_provision()))
		return refuse(x, IMAGE_TOO_LARGE, "img too large");
	if (r->upgrade && !is_newer(r))
		return refuse(x, IMAGE_CURRENT_IS_NEWER, "downgrade");
	return begin(x, r);
}

int image_upload(struct smp_exchange *x)
{
	struct upload_request r = {0};

	if (!decode(&x->in, &r))
		return RC_INVALID;
	if (!r.has_off)
		return refuse(x, IMAGE_INVALID_OFFSET, NULL);
	if (r.off == 0)
		return inspect_first(x, &r);
	if (r.off != upload_offset())
		return answer_offset(x, upload_offset());
	return append(x, &r);
}
