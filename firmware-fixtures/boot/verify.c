/* SPDX-License-Identifier: Apache-2.0 */
/* Full validation of a slot. Source: MCUboot image_validate.c; where this is stricter, the comment says so. */
#include <string.h>

#include "../flash/flash.h"
#include "counter.h"
#include "encrypt.h"
#include "entry.h"
#include "image.h"
#include "modes.h"
#include "tlv.h"
#include "trailer.h"
#ifdef DECOMPRESS
#include "unpack/unpack.h"
#endif

#define SIGNATURE_MAX 384u

/* What the walk over the TLVs has found out so far. */
struct verdict {
	const struct provision *policy;
	const uint8_t *digest;
	uint32_t stored_counter;
	const struct provision_key *key; /* picked by the last KEYHASH, used up by the signature after it */
	bool hash_ok, counter_ok, signature_seen, signature_ok, unknown_key;
};

int flash_sha256(uint32_t off, uint32_t len, uint8_t out[SHA256_SIZE])
{
	uint8_t chunk[256];
	struct sha256 s;

	sha256_init(&s);
	for (uint32_t part; len > 0; off += part, len -= part) {
		part = len < sizeof(chunk) ? len : (uint32_t)sizeof(chunk);
		int rc = flash_read(off, chunk, part);

		if (rc != FLASH_OK)
			return rc;
		sha256_update(&s, chunk, part);
	}
	sha256_final(&s, out);
	return FLASH_OK;
}

void key_hash(const struct provision_key *key, uint8_t out[SHA256_SIZE])
{
	struct sha256 s;

	sha256_init(&s);
	sha256_update(&s, key->der, key->len <= KEY_MAX ? key->len : 0);
	sha256_final(&s, out);
}

/* --- one function per TLV type that decides something -------------------------------------------------------- */

static enum verify_reason check_hash(struct verdict *v, const struct tlv_walk *w)
{
	uint8_t hash[SHA256_SIZE];

	if (w->len != sizeof(hash) || tlv_read(w, hash, sizeof(hash)) != 0)
		return VERIFY_HASH;
	if (!equal_constant_time(hash, v->digest, sizeof(hash)))
		return VERIFY_HASH; /* also when an earlier one was right */
	v->hash_ok = true;
	return VERIFY_OK;
}

/* MCUboot compares as many bytes as the TLV has, so that an empty one picks the first key; here all count. */
static enum verify_reason pick_key(struct verdict *v, const struct tlv_walk *w)
{
	uint8_t wanted[SHA256_SIZE], have[SHA256_SIZE];

	v->key = 0;
	if (tlv_read(w, wanted, sizeof(wanted)) != 0)
		return VERIFY_TLV;
	for (unsigned i = 0; w->len == sizeof(wanted) && v->key == 0 && i < MAX_KEYS; i++) {
		const struct provision_key *key = &v->policy->keys[i];

		if (key->len == 0)
			continue;
		key_hash(key, have);
		if (memcmp(have, wanted, sizeof(have)) == 0)
			v->key = key;
	}
	v->unknown_key = v->key == 0;
	return VERIFY_OK;
}

/* The signature TLV of each key type, and the lengths that are worth a look. */
static const struct {
	uint16_t tlv;
	uint8_t key;
	uint16_t min, max;
} SIGNATURES[] = {
	{TLV_ED25519, KEY_ED25519, 64, 64},
	{TLV_ECDSA_SIG, KEY_ECDSA_P256, 64, 128},
	{TLV_RSA2048_PSS, KEY_RSA_2048, 256, 256},
	{TLV_RSA3072_PSS, KEY_RSA_3072, 384, 384},
};

/* Of several signatures the last one that follows a known key's hash decides; one without a key is passed over. */
static enum verify_reason check_signature(struct verdict *v, const struct tlv_walk *w)
{
	uint8_t sig[SIGNATURE_MAX];
	const struct provision_key *key = v->key;

	for (unsigned i = 0; key != 0 && i < sizeof(SIGNATURES) / sizeof(SIGNATURES[0]); i++) {
		if (SIGNATURES[i].tlv != w->type || SIGNATURES[i].key != key->type)
			continue;
		if (w->len < SIGNATURES[i].min || w->len > SIGNATURES[i].max || tlv_read(w, sig, sizeof(sig)) != 0)
			return VERIFY_SIGNATURE;
		v->signature_seen = true;
		v->signature_ok = signature_verify(key->type, key->der, key->len, v->digest, sig, w->len) == 1;
		v->key = 0;
	}
	return VERIFY_OK;
}

/* Every protected one must be high enough. Unlike MCUboot's check, an unprotected one never counts. */
static enum verify_reason check_counter(struct verdict *v, const struct tlv_walk *w)
{
	uint32_t counter;

	if (!w->is_protected || (v->policy->policy & (POLICY_NO_COUNTER | WEAK_COUNTER_IGNORED)))
		return VERIFY_OK;
	if (w->len != sizeof(counter) || tlv_read(w, &counter, sizeof(counter)) != 0)
		return VERIFY_COUNTER_MISSING;
	if (counter < v->stored_counter)
		return VERIFY_COUNTER_LOW;
	v->counter_ok = true;
	return VERIFY_OK;
}

typedef enum verify_reason (*tlv_check)(struct verdict *v, const struct tlv_walk *w);

static const struct {
	uint16_t type;
	tlv_check check;
} CHECKS[] = {
	{TLV_SHA256, check_hash},	   {TLV_KEYHASH, pick_key},	       {TLV_ED25519, check_signature},
	{TLV_ECDSA_SIG, check_signature},  {TLV_RSA2048_PSS, check_signature}, {TLV_RSA3072_PSS, check_signature},
	{TLV_SEC_CNT, check_counter},
};

/* Types that may stand outside the hashed part (MCUBOOT_USE_TLV_ALLOW_LIST): hashes, keys, signatures, wrapped keys. */
static bool allowed_unprotected(uint16_t type)
{
	static const uint16_t ALLOWED[] = {0x01, 0x02, 0x10, 0x11, 0x12, 0x20, 0x21,
					   0x22, 0x23, 0x24, 0x30, 0x31, 0x32, 0x33};

	for (unsigned i = 0; i < sizeof(ALLOWED) / sizeof(ALLOWED[0]); i++) {
		if (ALLOWED[i] == type)
			return true;
	}
	return false;
}

static enum verify_reason check_tlv(struct verdict *v, const struct tlv_walk *w)
{
	if (!w->is_protected && !(v->policy->policy & POLICY_NO_ALLOW_LIST) && !allowed_unprotected(w->type))
		return VERIFY_TLV_NOT_ALLOWED;
	for (unsigned i = 0; i < sizeof(CHECKS) / sizeof(CHECKS[0]); i++) {
		if (CHECKS[i].type == w->type)
			return CHECKS[i].check(v, w);
	}
	return VERIFY_OK;
}

/* --- what must have been found when all TLVs are read --------------------------------------------------------- */

static enum verify_reason missing(const struct verdict *v)
{
	uint32_t policy = v->policy->policy;

	if (!v->hash_ok)
		return VERIFY_HASH;
	if (!(policy & POLICY_NO_SIGNATURE) && !v->signature_ok) {
		if (v->signature_seen)
			return VERIFY_SIGNATURE;
		return v->unknown_key ? VERIFY_UNKNOWN_KEY : VERIFY_NO_SIGNATURE;
	}
	if (!(policy & (POLICY_NO_COUNTER | WEAK_COUNTER_IGNORED)) && !v->counter_ok)
		return VERIFY_COUNTER_MISSING;
	return VERIFY_OK;
}

static enum verify_reason check_all(struct verdict *v, const struct image_source *from, const struct image_info *info)
{
	struct tlv_walk w;
	enum verify_reason reason;
	int more;

	for (tlv_begin(&w, from, info); (more = tlv_next(&w)) > 0;) {
		reason = check_tlv(v, &w);
		if (reason != VERIFY_OK)
			return reason;
	}
	return more == 0 ? missing(v) : VERIFY_TLV;
}

static int source_sha256(const struct image_source *from, uint32_t len, uint8_t out[SHA256_SIZE])
{
	uint8_t chunk[256];
	struct sha256 s;

	sha256_init(&s);
	for (uint32_t at = 0, part; at < len; at += part) {
		part = len - at < sizeof(chunk) ? len - at : (uint32_t)sizeof(chunk);
		int rc = source_read(from, at, chunk, part);

		if (rc != FLASH_OK)
			return rc;
		sha256_update(&s, chunk, part);
	}
	sha256_final(&s, out);
	return FLASH_OK;
}

/* An image that lies encrypted in the secondary is judged by what it will be. In the primary, and in RAM, it is plain
 * already. */
static bool is_to_decrypt(const struct image_source *from, const struct image_info *info)
{
	return from->slot == 1 && from->ram == 0 && is_encrypted(&info->header) && mode_of(provisioned())->way != WAY_FIXED;
}

static void decrypt(const struct image_source *from, uint32_t at, uint8_t *bytes, uint32_t len)
{
	body_crypt(provisioned(), from->cipher, at, bytes, len);
}

/* Where the plain image is read from: `from` itself, or through the cipher. */
static enum verify_reason open_plain(const struct provision *p, const struct image_source *from,
				     const struct image_info *info, struct body_cipher *cipher,
				     struct image_source *plain)
{
	*plain = *from;
	if (!is_to_decrypt(from, info))
		return VERIFY_OK;
	*cipher = (struct body_cipher){.on = true, .body = info->header.hdr_size, .body_end = info->tlv_off};
	plain->decrypt = decrypt;
	plain->cipher = cipher;
	return content_key_of(p, from, info, cipher->key, 0) ? VERIFY_OK : VERIFY_KEY;
}

/* Up to the end of the protected TLVs; weak on purpose, what the header alone says of it. */
static uint32_t hashed_length(const struct provision *p, const struct image_info *info)
{
	if (OPTION(p, WEAK_LENGTHS))
		return info->tlv_off + info->header.protect_tlv_size;
	return info->protected_end;
}

#ifdef DECOMPRESS

/* --- a compressed image: what it unpacks to is judged before anything is overwritten ---------------------------- */

static int take_in(void *to, const uint8_t *bytes, uint32_t len)
{
	sha256_update(to, bytes, len);
	return 0;
}

/* By the key that the last KEYHASH picks, as for the compressed image around it. */
static enum verify_reason check_plain_signature(struct verdict *v, const struct plain_image *plain)
{
	struct tlv_walk w;
	const struct provision_key *key = 0;

	for (tlv_begin(&w, plain->from, plain->info); tlv_next(&w) > 0;) {
		if (!w.is_protected && w.type == TLV_KEYHASH && pick_key(v, &w) == VERIFY_OK && v->key != 0)
			key = v->key;
	}
	v->key = key;
	w = plain->signature;
	for (unsigned i = 0; key != 0 && i < sizeof(SIGNATURES) / sizeof(SIGNATURES[0]); i++) {
		if (SIGNATURES[i].key == key->type)
			w.type = SIGNATURES[i].tlv;
	}
	v->signature_ok = false;
	return w.len > 0 && check_signature(v, &w) == VERIFY_OK && v->signature_ok ? VERIFY_OK : VERIFY_SIGNATURE;
}

static enum verify_reason check_unpacked(const struct provision *p, const struct image_source *from,
					 const struct image_info *info)
{
	uint8_t digest[SHA256_SIZE], stated[SHA256_SIZE];
	struct verdict v = {.policy = p, .digest = digest};
	struct plain_image plain;
	enum verify_reason reason = plain_image_of(p, from, info, &plain);
	struct sha256 sha;

	if (reason != VERIFY_OK)
		return reason;
	sha256_init(&sha);
	reason = unpack_hashed(p, &plain, take_in, &sha);
	if (reason != VERIFY_OK)
		return reason;
	sha256_final(&sha, digest);
	if (tlv_read(&plain.hash, stated, sizeof(stated)) != 0)
		return VERIFY_HASH;
	if (!(p->policy & WEAK_UNPACKED_HASH) && !equal_constant_time(digest, stated, sizeof(digest)))
		return VERIFY_HASH;
	if (p->policy & (POLICY_NO_SIGNATURE | WEAK_UNPACKED_SIGNATURE))
		return VERIFY_OK;
	return check_plain_signature(&v, &plain);
}

#endif

enum verify_reason source_verify(const struct provision *p, const struct image_source *from, struct image_info *info)
{
	uint8_t digest[SHA256_SIZE];
	struct verdict v = {.policy = p, .digest = digest, .stored_counter = counter_read(from->image)};
	enum verify_reason reason = source_parse(from, info);
	struct body_cipher cipher;
	struct image_source plain;

	if (reason != VERIFY_OK)
		return reason;
	if (info->end > image_max_size(p))
		return VERIFY_SIZE;
	reason = open_plain(p, from, info, &cipher, &plain);
	if (reason == VERIFY_OK && source_sha256(&plain, hashed_length(p, info), digest) != FLASH_OK)
		reason = VERIFY_HASH;
	if (reason == VERIFY_OK)
		reason = check_all(&v, from, info);
#ifdef DECOMPRESS
	/* its vectors are seen when it lies in the primary, as in Nordic's MCUboot */
	if (reason == VERIFY_OK && is_compressed(&info->header))
		return check_unpacked(p, from, info);
#endif
	if (reason == VERIFY_OK && from->image == 0 && !entry_plausible(&plain, &info->header))
		reason = VERIFY_ENTRY;
	return reason;
}

enum verify_reason image_verify(const struct provision *p, unsigned image, unsigned slot, struct image_info *info)
{
	struct image_source from = image_in_slot(image, slot);
	struct image_info own;

	return source_verify(p, &from, info != 0 ? info : &own);
}
