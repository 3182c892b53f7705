/* SPDX-License-Identifier: Apache-2.0 */
/* Encrypted images: the body is AES-CTR, its key travels wrapped in a TLV. Source: MCUboot encrypted.c and
 * docs/encrypted_images.md. */
#ifndef ENCRYPT_H
#define ENCRYPT_H
#include <stdbool.h>
#include <stdint.h>
#include "image.h"

#define CONTENT_KEY_MAX 32u
#define WRAPPED_KEY_MAX 256u

/* What turns a body into its other form. */
struct body_cipher {
	bool on;
	uint8_t key[CONTENT_KEY_MAX];
	uint32_t body, body_end; /* from the image's start */
};

/* Length of the TLV that this board takes content keys from; 0 without encryption. */
uint32_t wrapped_key_size(const struct provision *p);

/* The content key in a TLV's value of the right length. False: it is for another board, or damaged. */
bool content_key_unwrap(const struct provision *p, const uint8_t *wrapped, uint8_t key[CONTENT_KEY_MAX]);

bool is_encrypted(const struct image_header *h);

/* The content key of an image, and the TLV it came from if `wrapped` is not 0. False: none that this board can use. */
bool content_key_of(const struct provision *p, const struct image_source *from, const struct image_info *info,
		    uint8_t key[CONTENT_KEY_MAX], uint8_t *wrapped);

/* Encrypts or decrypts `len` bytes that begin at image byte `at`, as far as they lie in the body. */
void body_crypt(const struct provision *p, const struct body_cipher *cipher, uint32_t at, uint8_t *bytes, uint32_t len);

#endif
