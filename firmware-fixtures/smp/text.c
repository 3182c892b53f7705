/* SPDX-License-Identifier: Apache-2.0 */
#include "text.h"

#include <string.h>

#define DIGITS_MAX 10u

void text_init(struct text *t, char *to, size_t size)
{
	t->at = to;
	t->end = to + size - 1;
	*to = '\0';
}

void text_add_bytes(struct text *t, const uint8_t *bytes, size_t len)
{
	size_t room = (size_t)(t->end - t->at);

	if (len > room)
		len = room;
	if (len > 0)
		memcpy(t->at, bytes, len);
	t->at += len;
	*t->at = '\0';
}

void text_add(struct text *t, const char *more)
{
	text_add_bytes(t, (const uint8_t *)more, strlen(more));
}

void text_padded(struct text *t, uint32_t value, unsigned digits)
{
	uint8_t backwards[DIGITS_MAX];
	unsigned count = 0;

	do {
		backwards[count++] = (uint8_t)('0' + value % 10u);
		value /= 10u;
	} while (value > 0 && count < DIGITS_MAX);
	while (digits-- > count)
		text_add(t, "0");
	while (count-- > 0)
		text_add_bytes(t, &backwards[count], 1);
}

void text_number(struct text *t, uint32_t value)
{
	text_padded(t, value, 1);
}

void text_version(struct text *t, const struct image_version *v)
{
	text_number(t, v->major);
	text_add(t, ".");
	text_number(t, v->minor);
	text_add(t, ".");
	text_number(t, v->revision);
	if (v->build != 0) {
		text_add(t, ".");
		text_number(t, v->build);
	}
}
