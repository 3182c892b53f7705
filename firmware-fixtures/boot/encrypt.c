/* SPDX-License-Identifier: Apache-2.0 */
#include "encrypt.h"

#include <string.h>

#include "tlv.h"

#define TAG_SIZE 32u

/* One row for each way a content key can be wrapped; MCUboot image.h and enc_key_public.h. */
static const struct {
	uint16_t tlv;
	uint16_t public_size; /* of the ephemeral key in front; 0: the whole value is one block of `fixed` bytes */
	uint16_t fixed;
} WRAPS[] = {
	[WRAP_NONE] = {0, 0, 0},
	[WRAP_X25519] = {0x33, 32, 0},
	[WRAP_P256] = {0x32, 65, 0},
	[WRAP_RSA_2048] = {0x30, 0, 256},
};

uint32_t wrapped_key_size(const struct provision *p)
{
	if (p->wrap == WRAP_NONE)
		return 0;
	return WRAPS[p->wrap].fixed != 0 ? WRAPS[p->wrap].fixed : WRAPS[p->wrap].public_size + TAG_SIZE + p->content_key;
}

bool content_key_unwrap(const struct provision *p, const uint8_t *wrapped, uint8_t key[CONTENT_KEY_MAX])
{
	return key_unwrap(p->wrap, p->wrap_key, p->wrap_len, wrapped, wrapped_key_size(p), key, p->content_key) == 1;
}

bool is_encrypted(const struct image_header *h)
{
	return (h->flags & IMAGE_F_ENCRYPTED) != 0;
}

/* The first TLV of the board's type decides, wherever it stands. */
bool content_key_of(const struct provision *p, const struct image_source *from, const struct image_info *info,
		    uint8_t key[CONTENT_KEY_MAX], uint8_t *wrapped)
{
	uint8_t value[WRAPPED_KEY_MAX];
	struct tlv_walk w;

	if (p->wrap == WRAP_NONE)
		return false;
	for (tlv_begin(&w, from, info); tlv_next(&w) > 0;) {
		if (w.type != WRAPS[p->wrap].tlv)
			continue;
		if (w.len != wrapped_key_size(p) || tlv_read(&w, value, sizeof(value)) != 0)
			return false;
		if (wrapped != 0)
			memcpy(wrapped, value, w.len);
		return content_key_unwrap(p, value, key);
	}
	return false;
}

void body_crypt(const struct provision *p, const struct body_cipher *cipher, uint32_t at, uint8_t *bytes, uint32_t len)
{
	uint32_t first = at < cipher->body ? cipher->body : at;
	uint32_t end = at + len < cipher->body_end ? at + len : cipher->body_end;

	if (cipher->on && first < end)
		aes_ctr(cipher->key, p->content_key, first - cipher->body, bytes + (first - at), end - first);
}
