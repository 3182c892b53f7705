/* SPDX-License-Identifier: Apache-2.0 */
#include "image.h"

#include <string.h>

#include "../flash/flash.h"
#include "../port/layout.h"
#include "tlv.h"

uint32_t slot_offset(unsigned image, unsigned slot)
{
	return SLOT_OFFSET(image, slot);
}

/* MCUboot's header rules, plus a minimum header size that it does not check. Unknown flags pass, as there. */
enum verify_reason header_check(const struct image_header *h)
{
	uint64_t covered = (uint64_t)h->hdr_size + h->img_size + h->protect_tlv_size;

	if (h->magic != IMAGE_MAGIC || h->hdr_size < IMAGE_HEADER_MIN)
		return VERIFY_HEADER;
	if (covered >= SLOT_SIZE)
		return VERIFY_SIZE;
	if (h->flags & (IMAGE_F_ENCRYPTED | IMAGE_F_COMPRESSED))
		return VERIFY_FLAGS;
	return VERIFY_OK;
}

/* The 4 bytes before a TLV area: its magic, and its length with these 4 bytes. 0 if they do not fit. */
static uint32_t area_length(uint32_t slot_off, uint32_t at, uint16_t *magic)
{
	uint16_t words[2];

	if (at > SLOT_SIZE - sizeof(words) || flash_read(slot_off + at, words, sizeof(words)) != FLASH_OK)
		return 0;
	*magic = words[0];
	return words[1] >= sizeof(words) && words[1] <= SLOT_SIZE - at ? words[1] : 0;
}

/* Finds both areas. The protected one is announced twice, in the header and in the area, and both must agree. */
static enum verify_reason find_areas(uint32_t slot_off, struct image_info *info)
{
	uint32_t at = info->header.hdr_size + info->header.img_size, length;
	uint16_t magic = 0;

	info->tlv_off = at;
	length = area_length(slot_off, at, &magic);
	if (magic == TLV_PROT_INFO_MAGIC) {
		if (length == 0 || length != info->header.protect_tlv_size)
			return VERIFY_TLV;
		at += length;
		length = area_length(slot_off, at, &magic);
	} else if (info->header.protect_tlv_size != 0) {
		return VERIFY_TLV;
	}
	if (length == 0 || magic != TLV_INFO_MAGIC)
		return VERIFY_TLV;
	info->protected_end = at;
	info->end = at + length;
	return VERIFY_OK;
}

void tlv_begin(struct tlv_walk *w, uint32_t slot_off, const struct image_info *info)
{
	*w = (struct tlv_walk){
		.slot_off = slot_off,
		.at = info->tlv_off + TLV_INFO_SIZE,
		.protected_end = info->protected_end,
		.end = info->end,
	};
	if (info->tlv_off != info->protected_end && w->at == info->protected_end)
		w->at += TLV_INFO_SIZE; /* an empty protected area */
}

int tlv_next(struct tlv_walk *w)
{
	uint16_t head[2];
	uint32_t area_end = w->at < w->protected_end ? w->protected_end : w->end;

	if (w->at == w->end)
		return 0;
	if (area_end - w->at < sizeof(head) || flash_read(w->slot_off + w->at, head, sizeof(head)) != FLASH_OK)
		return -1;
	w->type = head[0];
	w->len = head[1];
	w->value = w->at + sizeof(head);
	if (w->len > area_end - w->value)
		return -1;
	/* MCUboot calls a TLV protected if its value begins inside: an empty last one counts as unprotected. */
	w->is_protected = w->value < w->protected_end;
	w->at = w->value + w->len;
	if (w->at == w->protected_end)
		w->at += TLV_INFO_SIZE;
	return 1;
}

int tlv_read(const struct tlv_walk *w, void *buf, uint32_t max)
{
	return w->len <= max && flash_read(w->slot_off + w->value, buf, w->len) == FLASH_OK ? 0 : -1;
}

/* Hash and counter, the first of each. */
static enum verify_reason collect(uint32_t slot_off, struct image_info *info)
{
	struct tlv_walk w;
	int more;

	for (tlv_begin(&w, slot_off, info); (more = tlv_next(&w)) > 0;) {
		if (w.type == TLV_SHA256 && w.len == SHA256_SIZE && !info->has_hash)
			info->has_hash = tlv_read(&w, info->hash, SHA256_SIZE) == 0;
		if (w.type == TLV_SEC_CNT && w.is_protected && w.len == sizeof(info->counter) && !info->has_counter)
			info->has_counter = tlv_read(&w, &info->counter, sizeof(info->counter)) == 0;
	}
	return more == 0 ? VERIFY_OK : VERIFY_TLV;
}

enum verify_reason image_read(unsigned image, unsigned slot, struct image_info *info)
{
	uint32_t slot_off = slot_offset(image, slot);
	enum verify_reason reason;

	memset(info, 0, sizeof(*info));
	if (flash_read(slot_off, &info->header, sizeof(info->header)) != FLASH_OK)
		return VERIFY_HEADER;
	reason = header_check(&info->header);
	if (reason == VERIFY_OK)
		reason = find_areas(slot_off, info);
	if (reason == VERIFY_OK)
		reason = collect(slot_off, info);
	return reason;
}

int version_compare(const struct image_version *a, const struct image_version *b)
{
	if (a->major != b->major)
		return a->major < b->major ? -1 : 1;
	if (a->minor != b->minor)
		return a->minor < b->minor ? -1 : 1;
	if (a->revision != b->revision)
		return a->revision < b->revision ? -1 : 1;
	return 0;
}

const char *verify_reason_text(enum verify_reason reason)
{
	static const char *const TEXT[] = {
		[VERIFY_OK] = "ok",
		[VERIFY_HEADER] = "header",
		[VERIFY_SIZE] = "size",
		[VERIFY_TLV] = "tlv",
		[VERIFY_HASH] = "hash",
		[VERIFY_NO_SIGNATURE] = "no-signature",
		[VERIFY_UNKNOWN_KEY] = "unknown-key",
		[VERIFY_SIGNATURE] = "signature",
		[VERIFY_COUNTER_LOW] = "counter-low",
		[VERIFY_COUNTER_MISSING] = "counter-missing",
		[VERIFY_TLV_NOT_ALLOWED] = "tlv-not-allowed",
		[VERIFY_FLAGS] = "flags",
		[VERIFY_NOT_BOOTABLE] = "not-bootable",
		[VERIFY_VERSION] = "version",
		[VERIFY_ENTRY] = "entry",
	};

	return (unsigned)reason < sizeof(TEXT) / sizeof(TEXT[0]) ? TEXT[reason] : "unknown";
}
