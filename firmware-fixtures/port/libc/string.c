/* SPDX-License-Identifier: Apache-2.0 */
/* Compiled with -fno-builtin, or the compiler would turn each loop into a call of the function it stands in. */
#include <stdint.h>
#include <string.h>

typedef uint32_t __attribute__((may_alias)) word; /* of whatever is being copied */

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
	return memmove(to, from, n);
}

static int both_aligned(const void *a, const void *b)
{
	return (((uintptr_t)a | (uintptr_t)b) & 3u) == 0;
}

void *memmove(void *to, const void *from, size_t n)
{
	uint8_t *d = to;
	const uint8_t *s = from;

	if (d > s && d < s + n) {
		while (n > 0) {
			n--;
			d[n] = s[n];
		}
		return to;
	}
	if (both_aligned(d, s)) {
		for (; n >= 4; n -= 4, d += 4, s += 4)
			*(word *)(void *)d = *(const word *)(const void *)s;
	}
	for (; n > 0; n--)
		*d++ = *s++;
	return to;
}

void *memset(void *to, int byte, size_t n)
{
	uint8_t *d = to;

	for (; n > 0; n--)
		*d++ = (uint8_t)byte;
	return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;

	for (; n > 0; n--, x++, y++) {
		if (*x != *y)
			return *x - *y;
	}
	return 0;
}

size_t strlen(const char *text)
{
	size_t n = 0;

	while (text[n] != '\0')
		n++;
	return n;
}
