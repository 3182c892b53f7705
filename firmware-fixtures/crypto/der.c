/* SPDX-License-Identifier: Apache-2.0 */
#include "der.h"

size_t der_enter(const uint8_t *der, size_t len, size_t *at, uint8_t tag)
{
	size_t size, bytes = 0;

	if (len - *at < 2 || der[*at] != tag)
		return 0;
	size = der[*at + 1];
	*at += 2;
	if (size >= 0x80) {
		bytes = size & 0x7fu;
		if (bytes < 1 || bytes > 2 || len - *at < bytes)
			return 0;
		for (size = 0; bytes > 0; bytes--)
			size = size << 8 | der[(*at)++];
	}
	return size <= len - *at ? size : 0;
}
