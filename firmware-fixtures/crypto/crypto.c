/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto.h"

#include <bearssl.h>
#include <string.h>

#include "crypto_sign_ed25519.h"
#include "der.h"

_Static_assert(sizeof(br_sha256_context) <= sizeof(struct sha256), "the library's state fits");

void sha256_init(struct sha256 *s)
{
	br_sha256_init((br_sha256_context *)(void *)s);
}

void sha256_update(struct sha256 *s, const void *data, size_t len)
{
	br_sha256_update((br_sha256_context *)(void *)s, data, len);
}

void sha256_final(struct sha256 *s, uint8_t out[SHA256_SIZE])
{
	br_sha256_out((const br_sha256_context *)(const void *)s, out);
}

int equal_constant_time(const void *a, const void *b, size_t len)
{
	const uint8_t *x = a, *y = b;
	uint8_t differ = 0;

	for (size_t i = 0; i < len; i++)
		differ |= x[i] ^ y[i];
	return differ == 0;
}

static int starts_with(const uint8_t *bytes, size_t len, const uint8_t *prefix, size_t prefix_len)
{
	return len >= prefix_len && memcmp(bytes, prefix, prefix_len) == 0;
}

/* --- Ed25519 ------------------------------------------------------------------------------------------------ */

/* SubjectPublicKeyInfo of an Ed25519 key, RFC 8410: all that comes before the 32 bytes. */
static const uint8_t ED25519_SPKI[] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};

/* libsodium refuses an S of the group order and above, so a signature cannot be malleated. */
static int verify_ed25519(const uint8_t *key, size_t key_len, const uint8_t *digest, const uint8_t *sig, size_t sig_len)
{
	if (key_len != sizeof(ED25519_SPKI) + 32 || !starts_with(key, key_len, ED25519_SPKI, sizeof(ED25519_SPKI)))
		return 0;
	if (sig_len != 64)
		return 0;
	return crypto_sign_ed25519_verify_detached(sig, digest, SHA256_SIZE, key + sizeof(ED25519_SPKI)) == 0;
}

/* --- ECDSA P-256 -------------------------------------------------------------------------------------------- */

/* SubjectPublicKeyInfo of a P-256 key, RFC 5480: all that comes before the uncompressed point. */
static const uint8_t P256_SPKI[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
				    0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00};
#define P256_POINT 65u

/* Older imgtool pads the DER with zeros to 72 bytes (--pad-sig). The length that counts is the DER's own. */
static size_t der_length(const uint8_t *sig, size_t sig_len)
{
	size_t len;

	if (sig_len < 2 || sig[1] >= 0x80)
		return 0;
	len = 2u + sig[1];
	if (len > sig_len)
		return 0;
	for (size_t i = len; i < sig_len; i++) {
		if (sig[i] != 0)
			return 0;
	}
	return len;
}

static int verify_p256(const uint8_t *key, size_t key_len, const uint8_t *digest, const uint8_t *sig, size_t sig_len)
{
	uint8_t point[P256_POINT];
	br_ec_public_key pub = {.curve = BR_EC_secp256r1, .q = point, .qlen = sizeof(point)};
	size_t len = der_length(sig, sig_len);

	if (key_len != sizeof(P256_SPKI) + P256_POINT || !starts_with(key, key_len, P256_SPKI, sizeof(P256_SPKI)))
		return 0;
	if (len == 0)
		return 0;
	memcpy(point, key + sizeof(P256_SPKI), sizeof(point));
	return br_ecdsa_i31_vrfy_asn1(&br_ec_p256_m31, digest, SHA256_SIZE, &pub, sig, len) == 1;
}

/* --- RSA-PSS ------------------------------------------------------------------------------------------------ */

#define RSA_MAX 384u
#define PSS_SALT 32u

/* RSAPublicKey ::= SEQUENCE { modulus INTEGER, publicExponent INTEGER }, PKCS#1. The modulus must be `bytes` long. */
static int rsa_key(const uint8_t *der, size_t len, size_t bytes, br_rsa_public_key *out)
{
	size_t at = 0, n_len, n_at, e_len;

	if (der_enter(der, len, &at, 0x30) != len - at || at == len)
		return 0;
	n_len = der_enter(der, len, &at, 0x02);
	n_at = at;
	if (n_len != bytes + 1 || der[n_at] != 0)
		return 0;
	at += n_len;
	e_len = der_enter(der, len, &at, 0x02);
	if (e_len == 0 || at + e_len != len)
		return 0;
	/* the library takes pointers it does not write through */
	out->n = (unsigned char *)(uintptr_t)(der + n_at + 1);
	out->nlen = bytes;
	out->e = (unsigned char *)(uintptr_t)(der + at);
	out->elen = e_len;
	return 1;
}

/* MGF1 with SHA-256, RFC 8017 B.2.1, XORed over `data`. */
static void mgf1_xor(uint8_t *data, size_t len, const uint8_t seed[SHA256_SIZE])
{
	uint8_t mask[SHA256_SIZE], counter[4] = {0};
	struct sha256 s;

	for (size_t i = 0; i < len; i++) {
		if (i % SHA256_SIZE == 0) {
			sha256_init(&s);
			sha256_update(&s, seed, SHA256_SIZE);
			sha256_update(&s, counter, sizeof(counter));
			sha256_final(&s, mask);
			counter[3]++; /* 384 bytes need 12 blocks */
		}
		data[i] ^= mask[i % SHA256_SIZE];
	}
}

/* EMSA-PSS-VERIFY, RFC 8017 9.1.2, with SHA-256, MGF1-SHA-256 and a salt of 32 bytes; step numbers as there.
 * The modulus has 8 * `len` bits, so that the encoded message has 8 * `len` - 1 and one bit to mask. */
static int pss_verify(uint8_t *em, size_t len, const uint8_t digest[SHA256_SIZE])
{
	static const uint8_t zeros[8];
	size_t db_len = len - SHA256_SIZE - 1, salt_at = db_len - PSS_SALT;
	const uint8_t *h = em + db_len;
	uint8_t expected[SHA256_SIZE], rest = 0;
	struct sha256 s;

	if (em[len - 1] != 0xbc || (em[0] & 0x80u) != 0) /* 4, 6 */
		return 0;
	mgf1_xor(em, db_len, h); /* 7, 8 */
	em[0] &= 0x7f;		 /* 9 */
	for (size_t i = 0; i < salt_at - 1; i++) /* 10 */
		rest |= em[i];
	if (rest != 0 || em[salt_at - 1] != 0x01)
		return 0;
	sha256_init(&s); /* 12, 13 */
	sha256_update(&s, zeros, sizeof(zeros));
	sha256_update(&s, digest, SHA256_SIZE);
	sha256_update(&s, em + salt_at, PSS_SALT);
	sha256_final(&s, expected);
	return equal_constant_time(h, expected, SHA256_SIZE); /* 14 */
}

static int verify_rsa(size_t bytes, const uint8_t *key, size_t key_len, const uint8_t *digest, const uint8_t *sig,
		      size_t sig_len)
{
	uint8_t em[RSA_MAX];
	br_rsa_public_key pub;

	if (sig_len != bytes || !rsa_key(key, key_len, bytes, &pub))
		return 0;
	memcpy(em, sig, sig_len);
	return br_rsa_i31_public(em, sig_len, &pub) == 1 && pss_verify(em, sig_len, digest);
}

static int verify_rsa2048(const uint8_t *key, size_t key_len, const uint8_t *digest, const uint8_t *sig, size_t sig_len)
{
	return verify_rsa(256, key, key_len, digest, sig, sig_len);
}

static int verify_rsa3072(const uint8_t *key, size_t key_len, const uint8_t *digest, const uint8_t *sig, size_t sig_len)
{
	return verify_rsa(384, key, key_len, digest, sig, sig_len);
}

typedef int (*verify_function)(const uint8_t *key, size_t key_len, const uint8_t *digest, const uint8_t *sig,
			       size_t sig_len);

static const verify_function VERIFY[] = {
	[KEY_ED25519] = verify_ed25519,
	[KEY_ECDSA_P256] = verify_p256,
	[KEY_RSA_2048] = verify_rsa2048,
	[KEY_RSA_3072] = verify_rsa3072,
};

int signature_verify(enum key_type type, const uint8_t *key, size_t key_len, const uint8_t digest[SHA256_SIZE],
		     const uint8_t *sig, size_t sig_len)
{
	if ((unsigned)type >= sizeof(VERIFY) / sizeof(VERIFY[0]) || VERIFY[type] == 0)
		return 0;
	return VERIFY[type](key, key_len, digest, sig, sig_len);
}
