/* SPDX-License-Identifier: Apache-2.0 */
#include "image.h"

#include <string.h>

#include "../flash/flash.h"
#include "modes.h"
#include "tlv.h"
#include "trailer.h"

/* A revert is due, or has begun. */
static bool goes_back(unsigned image)
{
	struct trailer primary, secondary;

	trailer_read(image, 0, &primary);
	trailer_read(image, 1, &secondary);
	if (primary.magic == MAGIC_GOOD && primary.copy_done == FLAG_UNSET && secondary.magic != MAGIC_GOOD &&
	    primary.swap_type == SWAP_REVERT)
		return true;
	return swap_type_of(image) == SWAP_REVERT;
}

/* Swap using offset: where the next boot's business would be done, else the other place. Source: MCUboot swap_offset.c. */
uint32_t image_start(unsigned image, unsigned slot)
{
	uint32_t sector = sector_size(slot_area(image, slot), 0), first, second, magic;

	if (provisioned()->mode != MODE_SWAP_OFFSET || slot == 0)
		return 0;
	first = goes_back(image) ? 0 : sector;
	second = sector - first;
	if (flash_read(slot_offset(image, slot) + first, &magic, sizeof(magic)) == FLASH_OK && magic == IMAGE_MAGIC)
		return first;
	return second;
}

struct image_source image_in_slot(unsigned image, unsigned slot)
{
	return (struct image_source){.image = image, .slot = slot, .start = image_start(image, slot)};
}

/* Bytes from the image's start to the end of its slot. */
static uint32_t room(const struct image_source *from)
{
	return slot_size(from->image, from->slot) - from->start;
}

int source_read(const struct image_source *from, uint32_t at, void *buf, uint32_t len)
{
	int rc = FLASH_OK;

	if (at > room(from) || len > room(from) - at)
		return FLASH_ERR_RANGE;
	if (from->ram != 0)
		memcpy(buf, from->ram + at, len);
	else
		rc = flash_read(slot_offset(from->image, from->slot) + from->start + at, buf, len);
	if (rc == FLASH_OK && from->decrypt != 0)
		from->decrypt(from, at, buf, len);
	return rc;
}

#ifdef DECOMPRESS

/* Nordic's MCUboot: LZMA2, in the secondary of the only image, in overwrite mode; never with encryption here. */
static bool may_be_compressed(const struct image_header *h, unsigned slot)
{
	uint32_t how = h->flags & IMAGE_F_COMPRESSED & ~IMAGE_F_COMPRESSED_THUMB;

	return how == IMAGE_F_COMPRESSED_LZMA2 && (h->flags & IMAGE_F_ENCRYPTED) == 0 && slot == 1 &&
	       mode_of(provisioned())->way == WAY_OVERWRITE && provisioned()->images == 1;
}

#else
#define may_be_compressed(header, slot) false
#endif

/* MCUboot's header rules, plus a minimum header size that it does not check. Unknown flags pass, as there. */
enum verify_reason header_check(const struct image_header *h, unsigned image, unsigned slot)
{
	uint64_t covered = (uint64_t)h->hdr_size + h->img_size + h->protect_tlv_size;
	uint32_t encrypted = h->flags & IMAGE_F_ENCRYPTED;

	if (h->magic != IMAGE_MAGIC || h->hdr_size < IMAGE_HEADER_MIN)
		return VERIFY_HEADER;
	if (OPTION(provisioned(), WEAK_LENGTHS))
		covered = (uint32_t)covered;
	if (covered >= slot_size(image, slot))
		return VERIFY_SIZE;
	if (((h->flags & IMAGE_F_COMPRESSED) && !may_be_compressed(h, slot)) || encrypted == IMAGE_F_ENCRYPTED ||
	    (encrypted != 0 && provisioned()->wrap == WRAP_NONE))
		return VERIFY_FLAGS;
	return VERIFY_OK;
}

/* The 4 bytes before a TLV area: its magic, and its length with these 4 bytes. 0 if they do not fit. */
static uint32_t area_length(const struct image_source *from, uint32_t at, uint16_t *magic)
{
	uint16_t words[2];

	if (source_read(from, at, words, sizeof(words)) != FLASH_OK)
		return 0;
	*magic = words[0];
	return words[1] >= sizeof(words) && words[1] <= room(from) - at ? words[1] : 0;
}

/* Finds both areas. The protected one is announced twice, in the header and in the area, and both must agree. */
static enum verify_reason find_areas(const struct image_source *from, struct image_info *info)
{
	uint32_t at = info->header.hdr_size + info->header.img_size, length;
	uint16_t magic = 0;

	info->tlv_off = at;
	length = area_length(from, at, &magic);
	if (magic == TLV_PROT_INFO_MAGIC) {
		if (length == 0 ||
		    (length != info->header.protect_tlv_size && !OPTION(provisioned(), WEAK_LENGTHS)))
			return VERIFY_TLV;
		at += length;
		length = area_length(from, at, &magic);
	} else if (info->header.protect_tlv_size != 0) {
		return VERIFY_TLV;
	}
	if (length == 0 || magic != TLV_INFO_MAGIC)
		return VERIFY_TLV;
	info->protected_end = at;
	info->end = at + length;
	return VERIFY_OK;
}

void tlv_begin(struct tlv_walk *w, const struct image_source *from, const struct image_info *info)
{
	*w = (struct tlv_walk){
		.from = from,
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
	if (area_end - w->at < sizeof(head) || source_read(w->from, w->at, head, sizeof(head)) != FLASH_OK)
		return -1;
	w->type = head[0];
	w->len = head[1];
	w->value = w->at + sizeof(head);
	if (w->len > area_end - w->value) {
		if (!OPTION(provisioned(), WEAK_LENGTHS))
			return -1;
		w->len = (uint16_t)(area_end - w->value);
	}
	/* MCUboot calls a TLV protected if its value begins inside: an empty last one counts as unprotected. */
	w->is_protected = w->value < w->protected_end;
	w->at = w->value + w->len;
	if (w->at == w->protected_end)
		w->at += TLV_INFO_SIZE;
	return 1;
}

int tlv_read(const struct tlv_walk *w, void *buf, uint32_t max)
{
	return w->len <= max && source_read(w->from, w->value, buf, w->len) == FLASH_OK ? 0 : -1;
}

/* Hash and counter, the first of each. */
static enum verify_reason collect(const struct image_source *from, struct image_info *info)
{
	struct tlv_walk w;
	int more;

	for (tlv_begin(&w, from, info); (more = tlv_next(&w)) > 0;) {
		if (w.type == TLV_SHA256 && w.len == SHA256_SIZE && !info->has_hash)
			info->has_hash = tlv_read(&w, info->hash, SHA256_SIZE) == 0;
		if (w.type == TLV_SEC_CNT && w.is_protected && w.len == sizeof(info->counter) && !info->has_counter)
			info->has_counter = tlv_read(&w, &info->counter, sizeof(info->counter)) == 0;
	}
	return more == 0 ? VERIFY_OK : VERIFY_TLV;
}

enum verify_reason source_parse(const struct image_source *from, struct image_info *info)
{
	enum verify_reason reason;

	memset(info, 0, sizeof(*info));
	if (source_read(from, 0, &info->header, sizeof(info->header)) != FLASH_OK)
		return VERIFY_HEADER;
	reason = header_check(&info->header, from->image, from->slot);
	if (reason == VERIFY_OK)
		reason = find_areas(from, info);
	if (reason == VERIFY_OK)
		reason = collect(from, info);
	return reason;
}

enum verify_reason image_read(unsigned image, unsigned slot, struct image_info *info)
{
	struct image_source from = image_in_slot(image, slot);

	return source_parse(&from, info);
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
		[VERIFY_KEY] = "decryption-key",
		[VERIFY_ADDRESS] = "load-address",
		[VERIFY_TRIAL] = "not-confirmed",
#ifdef DECOMPRESS
		[VERIFY_UNPACK] = "decompression",
		[VERIFY_COUNTER_EXHAUSTED] = "counter-exhausted",
#endif
	};

	return (unsigned)reason < sizeof(TEXT) / sizeof(TEXT[0]) ? TEXT[reason] : "unknown";
}
