/* SPDX-License-Identifier: Apache-2.0 */
#include <bearssl.h>
#include <string.h>

#include "crypto.h"

#define BLOCK 16u

void aes_ctr(const uint8_t *key, size_t key_len, uint32_t off, uint8_t *data, size_t len)
{
	static const uint8_t zero[12];
	uint8_t whole[BLOCK] = {0};
	uint32_t inside = off % BLOCK, block = off / BLOCK;
	br_aes_ct_ctr_keys keys;

	br_aes_ct_ctr_init(&keys, key, key_len);
	if (inside != 0) { /* the rest of a block that began before */
		size_t part = len < BLOCK - inside ? len : BLOCK - inside;

		memcpy(whole + inside, data, part);
		br_aes_ct_ctr_run(&keys, zero, block++, whole, BLOCK);
		memcpy(data, whole + inside, part);
		data += part;
		len -= part;
	}
	br_aes_ct_ctr_run(&keys, zero, block, data, len);
}
