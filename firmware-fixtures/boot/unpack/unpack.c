/* SPDX-License-Identifier: Apache-2.0 */
#include "unpack.h"

#include <string.h>

#include "../../flash/flash.h"
#include "../trailer.h"
#include "arm_thumb.h"
#include "lzma2.h"

#define SETTINGS_SIZE 2u
#define DICTIONARY_CODE_MAX 0x0au /* LZMA2_DICTIONARY */
#define PIECE 1024u
#define FILTER_REST 3u
#define SINK_FULL (-201)

bool is_compressed(const struct image_header *h)
{
	return (h->flags & IMAGE_F_COMPRESSED) != 0;
}

/* --- what the plain image is ------------------------------------------------------------------------------------ */

/* TLVs that are about the compression; the plain image carries none of them. */
static bool is_about_compression(uint16_t type)
{
	return type >= TLV_DECOMP_SIZE && type <= TLV_COMP_DEC_SIZE;
}

static bool is_signature(uint16_t type)
{
	return type == TLV_RSA2048_PSS || type == TLV_ECDSA_SIG || type == TLV_RSA3072_PSS || type == TLV_ED25519;
}

/* The value that a TLV has in the plain image: hash and signature are those that the compressed one states. */
static const struct tlv_walk *plain_value(const struct plain_image *plain, const struct tlv_walk *w)
{
	if (w->is_protected)
		return w;
	if (w->type == TLV_SHA256)
		return &plain->hash;
	return is_signature(w->type) ? &plain->signature : w;
}

/* Bytes of the plain image's TLVs, each with its head. */
static bool tlv_sizes(const struct plain_image *plain, uint32_t *protected_size, uint32_t *unprotected_size)
{
	struct tlv_walk w;
	int more;

	*protected_size = *unprotected_size = 0;
	for (tlv_begin(&w, plain->from, plain->info); (more = tlv_next(&w)) > 0;) {
		if (w.is_protected && !is_about_compression(w.type))
			*protected_size += TLV_HEAD_SIZE + w.len;
		if (!w.is_protected)
			*unprotected_size += TLV_HEAD_SIZE + plain_value(plain, &w)->len;
	}
	return more == 0;
}

static enum verify_reason find_statements(struct plain_image *plain)
{
	struct tlv_walk w;
	bool has_size = false;
	int more;

	for (tlv_begin(&w, plain->from, plain->info); (more = tlv_next(&w)) > 0;) {
		if (!w.is_protected)
			continue;
		if (w.type == TLV_DECOMP_SIZE) {
			if (w.len != sizeof(plain->header.img_size) ||
			    tlv_read(&w, &plain->header.img_size, sizeof(plain->header.img_size)) != 0)
				return VERIFY_TLV;
			has_size = true;
		} else if (w.type == TLV_DECOMP_SHA) {
			plain->hash = w;
		} else if (w.type == TLV_DECOMP_SIGNATURE) {
			plain->signature = w;
		}
	}
	return more == 0 && has_size && plain->hash.len == SHA256_SIZE ? VERIFY_OK : VERIFY_TLV;
}

static bool fits(const struct provision *p, const struct plain_image *plain, uint32_t tlvs)
{
	uint64_t end = (uint64_t)plain->header.hdr_size + plain->header.img_size + tlvs;

	return (p->policy & WEAK_UNPACKED_SIZE) != 0 || end <= image_max_size(p);
}

enum verify_reason plain_image_of(const struct provision *p, const struct image_source *from, const struct image_info *info,
				  struct plain_image *plain)
{
	uint32_t protected_size, unprotected_size, tlvs;
	enum verify_reason reason;

	*plain = (struct plain_image){.from = from, .info = info, .header = info->header};
	plain->header.flags &= ~IMAGE_F_COMPRESSED;
	reason = find_statements(plain);
	if (reason != VERIFY_OK)
		return reason;
	if (!tlv_sizes(plain, &protected_size, &unprotected_size))
		return VERIFY_TLV;
	if (protected_size > 0)
		protected_size += TLV_INFO_SIZE;
	tlvs = protected_size + TLV_INFO_SIZE + unprotected_size;
	if (protected_size > UINT16_MAX || unprotected_size + TLV_INFO_SIZE > UINT16_MAX)
		return VERIFY_TLV;
	if (!fits(p, plain, tlvs))
		return VERIFY_SIZE;
	plain->header.protect_tlv_size = (uint16_t)protected_size;
	plain->end = plain->header.hdr_size + plain->header.img_size + tlvs;
	return VERIFY_OK;
}

/* --- the body ------------------------------------------------------------------------------------------------------ */

struct body {
	const struct plain_image *plain;
	uint32_t read, end;     /* in the compressed image */
	uint32_t written, room; /* bytes unpacked; so many may be, 0: no limit */
	bool filtered;
	uint8_t held[PIECE + FILTER_REST]; /* not yet through the filter */
	uint32_t held_len, passed;
	byte_sink sink;
	void *to;
};

static int read_packed(void *context, uint8_t *to, uint32_t max)
{
	struct body *b = context;
	uint32_t len = b->end - b->read < max ? b->end - b->read : max;

	if (source_read(b->plain->from, b->read, to, len) != FLASH_OK)
		return FLASH_ERR_RANGE;
	b->read += len;
	return (int)len;
}

/* `last`: what the filter left over goes as it is. */
static int pass_held(struct body *b, bool last)
{
	uint32_t done = arm_thumb_undo(b->held, b->held_len, b->passed);
	int rc;

	if (last)
		done = b->held_len;
	rc = b->sink(b->to, b->held, done);
	memmove(b->held, b->held + done, b->held_len - done);
	b->held_len -= done;
	b->passed += done;
	return rc;
}

static int take_unpacked(void *context, const uint8_t *bytes, uint32_t len)
{
	struct body *b = context;
	int rc = 0;

	/* a few bytes can claim to become gigabytes */
	if (b->room != 0 && len > b->room - b->written)
		return SINK_FULL;
	b->written += len;
	if (!b->filtered)
		return b->sink(b->to, bytes, len);
	for (uint32_t part; rc == 0 && len > 0; bytes += part, len -= part) {
		part = len < PIECE ? len : PIECE;
		memcpy(b->held + b->held_len, bytes, part);
		b->held_len += part;
		rc = pass_held(b, false);
	}
	return rc;
}

static enum verify_reason unpack_body(const struct provision *p, const struct plain_image *plain, byte_sink sink, void *to)
{
	static struct body b;
	struct lzma2_io io = {read_packed, take_unpacked, &b};
	uint8_t settings[SETTINGS_SIZE];
	bool weak = (p->policy & WEAK_UNPACKED_SIZE) != 0;
	int rc;

	b = (struct body){
		.plain = plain,
		.read = plain->header.hdr_size,
		.end = plain->info->tlv_off,
		.room = weak ? 0 : plain->header.img_size,
		.filtered = (plain->info->header.flags & IMAGE_F_COMPRESSED_THUMB) != 0,
		.sink = sink,
		.to = to,
	};
	if (!weak && b.room == 0)
		return VERIFY_SIZE;
	if (read_packed(&b, settings, sizeof(settings)) != sizeof(settings) || settings[0] > DICTIONARY_CODE_MAX)
		return VERIFY_UNPACK;
	rc = lzma2_unpack(&io);
	if (rc == LZMA2_OK && b.filtered)
		rc = pass_held(&b, true);
	if (rc == SINK_FULL || (rc == LZMA2_OK && !weak && b.written != plain->header.img_size))
		return VERIFY_SIZE;
	if (rc == LZMA2_DAMAGED)
		return VERIFY_UNPACK;
	return rc == LZMA2_OK ? VERIFY_OK : VERIFY_HASH;
}

/* --- the image around it --------------------------------------------------------------------------------------------- */

/* Bytes of the compressed image as they are. */
static int pass(const struct plain_image *plain, uint32_t at, uint32_t len, byte_sink sink, void *to)
{
	uint8_t piece[256];
	int rc = 0;

	for (uint32_t part; rc == 0 && len > 0; at += part, len -= part) {
		part = len < sizeof(piece) ? len : (uint32_t)sizeof(piece);
		rc = source_read(plain->from, at, piece, part);
		if (rc == FLASH_OK)
			rc = sink(to, piece, part);
	}
	return rc;
}

static int pass_area(const struct plain_image *plain, bool is_protected, uint16_t size, byte_sink sink, void *to)
{
	uint16_t info[2] = {is_protected ? TLV_PROT_INFO_MAGIC : TLV_INFO_MAGIC, size};
	struct tlv_walk w;
	int rc = sink(to, (const uint8_t *)info, sizeof(info));

	for (tlv_begin(&w, plain->from, plain->info); rc == 0 && tlv_next(&w) > 0;) {
		const struct tlv_walk *value = plain_value(plain, &w);
		uint16_t head[2] = {w.type, value->len};

		if (w.is_protected != is_protected || (is_protected && is_about_compression(w.type)))
			continue;
		rc = sink(to, (const uint8_t *)head, sizeof(head));
		if (rc == 0)
			rc = pass(plain, value->value, value->len, sink, to);
	}
	return rc;
}

enum verify_reason unpack_hashed(const struct provision *p, const struct plain_image *plain, byte_sink sink, void *to)
{
	const struct image_header *h = &plain->header;
	enum verify_reason reason;

	if (sink(to, (const uint8_t *)h, sizeof(*h)) != 0 ||
	    pass(plain, sizeof(*h), h->hdr_size - (uint32_t)sizeof(*h), sink, to) != 0)
		return VERIFY_HASH;
	reason = unpack_body(p, plain, sink, to);
	if (reason == VERIFY_OK && h->protect_tlv_size > 0 && pass_area(plain, true, h->protect_tlv_size, sink, to) != 0)
		reason = VERIFY_HASH;
	return reason;
}

/* --- into the primary -------------------------------------------------------------------------------------------------- */

struct slot_writer {
	uint32_t at; /* in flash */
	uint8_t units[PIECE];
	uint32_t len;
	int rc;
};

static int write_units(struct slot_writer *w)
{
	w->rc = flash_write(w->at, w->units, w->len);
	w->at += w->len;
	w->len = 0;
	return w->rc;
}

static int write_on(void *to, const uint8_t *bytes, uint32_t len)
{
	struct slot_writer *w = to;

	for (uint32_t part; w->rc == FLASH_OK && len > 0; bytes += part, len -= part) {
		part = len < PIECE - w->len ? len : PIECE - w->len;
		memcpy(w->units + w->len, bytes, part);
		w->len += part;
		if (w->len == PIECE)
			write_units(w);
	}
	return w->rc;
}

/* The last write unit, filled up with the erased value. */
static int write_rest(const struct provision *p, struct slot_writer *w)
{
	static const uint8_t erased[2] = {0, 0xffu};

	while (w->rc == FLASH_OK && w->len % p->write_unit != 0)
		write_on(w, &erased[flash_erased() != 0], 1);
	return w->rc == FLASH_OK && w->len > 0 ? write_units(w) : w->rc;
}

int unpack_to_primary(const struct provision *p, const struct plain_image *plain, unsigned image)
{
	static struct slot_writer w;
	uint32_t tlvs = plain->header.hdr_size + plain->header.img_size + plain->header.protect_tlv_size;

	w = (struct slot_writer){.at = slot_offset(image, 0)};
	if (unpack_hashed(p, plain, write_on, &w) != VERIFY_OK)
		return w.rc != FLASH_OK ? w.rc : FLASH_ERR_RANGE;
	if (pass_area(plain, false, (uint16_t)(plain->end - tlvs), write_on, &w) != 0)
		return w.rc != FLASH_OK ? w.rc : FLASH_ERR_RANGE;
	return write_rest(p, &w);
}
