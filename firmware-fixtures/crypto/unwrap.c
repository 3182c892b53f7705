/* SPDX-License-Identifier: Apache-2.0 */
/* Content keys of encrypted images. Source: MCUboot docs/encrypted_images.md. */
#include <bearssl.h>
#include <string.h>

#include "crypto.h"
#include "der.h"

#define TAG_SIZE SHA256_SIZE
#define KEY_MAX_SIZE 32u

/* --- ECIES: the sender's ephemeral public key, a tag, the encrypted content key -------------------------------- */

/* HKDF over the shared secret, without salt: a key for the content key, then one for the tag. */
static void derive(const uint8_t *shared, size_t shared_len, uint8_t *out, size_t len)
{
	static const char info[] = "MCUBoot_ECIES_v1";
	br_hkdf_context hkdf;

	br_hkdf_init(&hkdf, &br_sha256_vtable, BR_HKDF_NO_SALT, 0);
	br_hkdf_inject(&hkdf, shared, shared_len);
	br_hkdf_flip(&hkdf);
	br_hkdf_produce(&hkdf, info, sizeof(info) - 1, out, len);
}

static int is_tagged(const uint8_t *key, const uint8_t *data, size_t len, const uint8_t tag[TAG_SIZE])
{
	br_hmac_key_context keyed;
	br_hmac_context hmac;
	uint8_t wanted[TAG_SIZE];

	br_hmac_key_init(&keyed, &br_sha256_vtable, key, SHA256_SIZE);
	br_hmac_init(&hmac, &keyed, 0);
	br_hmac_update(&hmac, data, len);
	br_hmac_out(&hmac, wanted);
	return equal_constant_time(wanted, tag, sizeof(wanted));
}

static int open_envelope(const uint8_t *shared, const uint8_t *tag, uint8_t *key, size_t key_len)
{
	uint8_t derived[KEY_MAX_SIZE + SHA256_SIZE];

	derive(shared, 32, derived, key_len + SHA256_SIZE);
	if (!is_tagged(derived + key_len, tag + TAG_SIZE, key_len, tag))
		return 0;
	memcpy(key, tag + TAG_SIZE, key_len);
	aes_ctr(derived, key_len, 0, key, key_len);
	return 1;
}

static int unwrap_x25519(const uint8_t *own, size_t own_len, const uint8_t *wrapped, size_t wrapped_len, uint8_t *key,
			 size_t key_len)
{
	static const uint8_t none[32];
	uint8_t point[32];

	if (own_len != 32 || wrapped_len != 32 + TAG_SIZE + key_len)
		return 0;
	memcpy(point, wrapped, sizeof(point));
	if (br_ec_c25519_m31.mul(point, sizeof(point), own, own_len, BR_EC_curve25519) != 1)
		return 0;
	/* a point of small order gives the same secret to everybody */
	return !equal_constant_time(point, none, sizeof(point)) && open_envelope(point, wrapped + 32, key, key_len);
}

static int unwrap_p256(const uint8_t *own, size_t own_len, const uint8_t *wrapped, size_t wrapped_len, uint8_t *key,
		       size_t key_len)
{
	uint8_t point[65];

	if (own_len != 32 || wrapped_len != sizeof(point) + TAG_SIZE + key_len)
		return 0;
	memcpy(point, wrapped, sizeof(point));
	if (br_ec_p256_m31.mul(point, sizeof(point), own, own_len, BR_EC_secp256r1) != 1)
		return 0;
	return open_envelope(point + 1, wrapped + sizeof(point), key, key_len);
}

/* --- RSA-OAEP ---------------------------------------------------------------------------------------------------- */

struct integer {
	const uint8_t *bytes;
	size_t len;
};

static int next_integer(const uint8_t *der, size_t len, size_t *at, struct integer *out)
{
	out->len = der_enter(der, len, at, 0x02);
	out->bytes = der + *at;
	*at += out->len;
	while (out->len > 1 && out->bytes[0] == 0) {
		out->bytes++;
		out->len--;
	}
	return out->len > 0;
}

/* RSAPrivateKey ::= SEQUENCE { version, n, e, d, p, q, dp, dq, qi }, PKCS#1. The modulus must have 2048 bits. */
static int rsa_private(const uint8_t *der, size_t len, br_rsa_private_key *out)
{
	enum { VERSION, N, E, D, P, Q, DP, DQ, QI, PARTS };
	struct integer parts[PARTS];
	size_t at = 0;

	if (der_enter(der, len, &at, 0x30) != len - at || at == len)
		return 0;
	for (int i = 0; i < PARTS; i++) {
		if (!next_integer(der, len, &at, &parts[i]))
			return 0;
	}
	if (at != len || parts[N].len != 256 || parts[N].bytes[0] < 0x80)
		return 0;
	/* the library takes pointers it does not write through */
#define SET(field, part) (out->field = (unsigned char *)(uintptr_t)parts[part].bytes, out->field##len = parts[part].len)
	SET(p, P);
	SET(q, Q);
	SET(dp, DP);
	SET(dq, DQ);
	SET(iq, QI);
#undef SET
	out->n_bitlen = 2048;
	return 1;
}

static int unwrap_rsa(const uint8_t *own, size_t own_len, const uint8_t *wrapped, size_t wrapped_len, uint8_t *key,
		      size_t key_len)
{
	br_rsa_private_key private;
	uint8_t block[256];
	size_t len = wrapped_len;

	if (len != sizeof(block) || !rsa_private(own, own_len, &private))
		return 0;
	memcpy(block, wrapped, sizeof(block));
	if (br_rsa_i31_oaep_decrypt(&br_sha256_vtable, 0, 0, &private, block, &len) != 1 || len != key_len)
		return 0;
	memcpy(key, block, key_len);
	return 1;
}

typedef int (*unwrap_function)(const uint8_t *own, size_t own_len, const uint8_t *wrapped, size_t wrapped_len, uint8_t *key,
			       size_t key_len);

/* by provision.wrap */
static const unwrap_function UNWRAP[] = {0, unwrap_x25519, unwrap_p256, unwrap_rsa};

int key_unwrap(uint8_t type, const uint8_t *own, size_t own_len, const uint8_t *wrapped, size_t wrapped_len, uint8_t *key,
	       size_t key_len)
{
	if (type == 0 || type >= sizeof(UNWRAP) / sizeof(UNWRAP[0]) || key_len > KEY_MAX_SIZE)
		return 0;
	return UNWRAP[type](own, own_len, wrapped, wrapped_len, key, key_len);
}
