/* SPDX-License-Identifier: Apache-2.0 */
/* The only door to the signature, hash and cipher libraries that crypto/fetch.sh takes from Debian. */
#ifndef CRYPTO_H
#define CRYPTO_H
#include <stddef.h>
#include <stdint.h>

#define SHA256_SIZE 32u

/* Room for the library's state; crypto.c asserts that it fits. */
struct sha256 {
	uint64_t state[16];
};

void sha256_init(struct sha256 *s);
void sha256_update(struct sha256 *s, const void *data, size_t len);
void sha256_final(struct sha256 *s, uint8_t out[SHA256_SIZE]);

/* provision_key.type, and the signature TLV each signs with (MCUboot image.h) */
enum key_type { KEY_NONE = 0, KEY_ED25519 = 1, KEY_ECDSA_P256 = 2, KEY_RSA_2048 = 3, KEY_RSA_3072 = 4 };

/* Does `sig` sign the image whose SHA-256 is `digest`? `key` is the encoding MCUboot hashes: SPKI, for RSA PKCS#1.
 * Ed25519 signs the digest as its message; ECDSA and RSA-PSS sign the image, of which `digest` is the hash.
 * 1 = yes; 0 = no, or a key or signature that is not well formed. */
int signature_verify(enum key_type type, const uint8_t *key, size_t key_len, const uint8_t digest[SHA256_SIZE],
		     const uint8_t *sig, size_t sig_len);

/* The content key that a sender wrapped for the private key `own`: ECIES over a curve as MCUboot has it (ephemeral public
 * key, tag, encrypted key), or RSA-OAEP. `type` is provision.wrap; `own` a bare scalar, or an RSAPrivateKey.
 * 1 = `key` holds `key_len` bytes; 0 = not for this key, damaged, or not well formed. */
int key_unwrap(uint8_t type, const uint8_t *own, size_t own_len, const uint8_t *wrapped, size_t wrapped_len, uint8_t *key,
	       size_t key_len);

/* AES-CTR from byte `off` of the stream on, whose counter block begins at zero. Encrypting and decrypting are one. */
void aes_ctr(const uint8_t *key, size_t key_len, uint32_t off, uint8_t *data, size_t len);

/* No early exit, so that time says nothing about where they differ. */
int equal_constant_time(const void *a, const void *b, size_t len);

#endif
