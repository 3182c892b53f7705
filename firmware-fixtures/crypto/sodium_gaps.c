/* SPDX-License-Identifier: Apache-2.0 */
/* The four functions of libsodium that its Ed25519 verification calls and whose own files need an operating system. */
#include <stddef.h>
#include <stdint.h>

#include "crypto.h"
#include "crypto_hash_sha512.h"
#include "sign_ed25519_ref10.h"
#include "utils.h"

int sodium_memcmp(const void *const a, const void *const b, size_t len)
{
	return equal_constant_time(a, b, len) ? 0 : -1;
}

int sodium_is_zero(const unsigned char *bytes, const size_t len)
{
	uint8_t any = 0;

	for (size_t i = 0; i < len; i++)
		any |= bytes[i];
	return any == 0;
}

void sodium_memzero(void *const where, const size_t len)
{
	volatile uint8_t *bytes = where;

	for (size_t i = 0; i < len; i++)
		bytes[i] = 0;
}

void _crypto_sign_ed25519_ref10_hinit(crypto_hash_sha512_state *state, int prehashed)
{
	(void)prehashed; /* only the plain form is called, see crypto_sign_ed25519_verify_detached */
	crypto_hash_sha512_init(state);
}
