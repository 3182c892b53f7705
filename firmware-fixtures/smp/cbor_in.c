/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "cbor.h"

enum major { UNSIGNED = 0, NEGATIVE = 1, BYTES = 2, TEXT = 3, LIST = 4, MAP = 5, TAG = 6, SIMPLE = 7 };

#define INFO_ONE_BYTE 24u
#define INFO_EIGHT_BYTES 27u
#define INFO_INDEFINITE 31u
#define BREAK 0xffu
#define SIMPLE_FALSE 20u
#define SIMPLE_TRUE 21u

/* The first bytes of an item: its major type and argument. */
struct head {
	uint8_t major;
	bool indefinite;
	uint64_t argument;
};

bool span_is(struct span s, const char *text)
{
	return s.len == strlen(text) && memcmp(s.data, text, s.len) == 0;
}

bool span_text(struct span s, char *to, size_t size)
{
	if (s.len >= size)
		return false;
	for (uint32_t i = 0; i < s.len; i++) {
		if (s.data[i] == 0)
			return false;
		to[i] = (char)s.data[i];
	}
	to[s.len] = '\0';
	return true;
}

void cbor_in_init(struct cbor_in *in, const void *data, size_t len)
{
	in->at = data;
	in->end = in->at + len;
	in->failed = false;
}

static bool fail(struct cbor_in *in)
{
	in->failed = true;
	return false;
}

static size_t left(const struct cbor_in *in)
{
	return (size_t)(in->end - in->at);
}

static bool may_be_indefinite(uint8_t major)
{
	return major >= BYTES && major <= MAP;
}

static bool take_argument(struct cbor_in *in, uint8_t info, uint64_t *argument)
{
	size_t size;

	if (info < INFO_ONE_BYTE) {
		*argument = info;
		return true;
	}
	if (info > INFO_EIGHT_BYTES)
		return fail(in);
	size = (size_t)1 << (info - INFO_ONE_BYTE);
	if (left(in) < size)
		return fail(in);
	*argument = 0;
	while (size-- > 0)
		*argument = (*argument << 8) | *in->at++;
	return true;
}

static bool take_head(struct cbor_in *in, struct head *h)
{
	uint8_t first;

	if (in->failed || left(in) == 0)
		return fail(in);
	first = *in->at++;
	h->major = first >> 5;
	h->argument = 0;
	h->indefinite = (first & 31u) == INFO_INDEFINITE && may_be_indefinite(h->major);
	return h->indefinite || take_argument(in, first & 31u, &h->argument);
}

static bool open_group(struct cbor_in *in, uint8_t major, struct cbor_group *g)
{
	struct head h;

	if (!take_head(in, &h) || h.major != major)
		return fail(in);
	g->indefinite = h.indefinite;
	g->left = h.argument;
	return true;
}

bool cbor_open_map(struct cbor_in *in, struct cbor_group *g)
{
	return open_group(in, MAP, g);
}

bool cbor_open_list(struct cbor_in *in, struct cbor_group *g)
{
	return open_group(in, LIST, g);
}

bool cbor_more(struct cbor_in *in, struct cbor_group *g)
{
	if (in->failed)
		return false;
	if (!g->indefinite)
		return g->left > 0 && g->left-- > 0;
	if (left(in) == 0)
		return fail(in);
	if (*in->at != BREAK)
		return true;
	in->at++;
	return false;
}

bool cbor_uint(struct cbor_in *in, uint32_t *value)
{
	struct head h;

	if (!take_head(in, &h) || h.major != UNSIGNED || h.argument > UINT32_MAX)
		return fail(in);
	*value = (uint32_t)h.argument;
	return true;
}

bool cbor_bool(struct cbor_in *in, bool *value)
{
	struct head h;

	if (!take_head(in, &h) || h.major != SIMPLE || (h.argument != SIMPLE_FALSE && h.argument != SIMPLE_TRUE))
		return fail(in);
	*value = h.argument == SIMPLE_TRUE;
	return true;
}

static bool take_string(struct cbor_in *in, uint8_t major, struct span *value)
{
	struct head h;

	if (!take_head(in, &h) || h.major != major || h.indefinite || h.argument > left(in))
		return fail(in);
	value->data = in->at;
	value->len = (uint32_t)h.argument;
	in->at += h.argument;
	return true;
}

bool cbor_text(struct cbor_in *in, struct span *value)
{
	return take_string(in, TEXT, value);
}

bool cbor_bytes(struct cbor_in *in, struct span *value)
{
	return take_string(in, BYTES, value);
}

/* How many items follow inside an item of this head: the pairs of a map count twice, a tag is followed by one. */
static bool items_inside(const struct head *h, struct cbor_group *g)
{
	g->indefinite = h->indefinite;
	g->left = h->argument;
	if (h->major == MAP && !h->indefinite)
		g->left = h->argument > UINT32_MAX ? UINT64_MAX : h->argument * 2;
	if (h->major == TAG)
		g->left = 1;
	return h->major == LIST || h->major == MAP || h->major == TAG || h->indefinite;
}

/* A stack instead of recursion, so that hostile nesting costs a bounded amount of memory. */
bool cbor_skip(struct cbor_in *in)
{
	struct cbor_group open[CBOR_DEPTH];
	size_t depth = 0;

	do {
		struct head h;
		struct cbor_group inside;

		if (!take_head(in, &h))
			return false;
		if (items_inside(&h, &inside)) {
			if (depth == CBOR_DEPTH)
				return fail(in);
			open[depth++] = inside;
		} else if (h.major == BYTES || h.major == TEXT) {
			if (h.argument > left(in))
				return fail(in);
			in->at += h.argument;
		}
		while (depth > 0 && !cbor_more(in, &open[depth - 1]))
			depth--;
	} while (depth > 0);
	return !in->failed;
}

static bool take_list(struct cbor_in *in, struct cbor_in *list)
{
	struct cbor_group g;

	*list = *in;
	return open_group(&(struct cbor_in){in->at, in->end, in->failed}, LIST, &g) ? cbor_skip(in) : fail(in);
}

static bool take_field(struct cbor_in *in, struct field *f)
{
	if (f->found)
		return fail(in);
	f->found = true;
	switch (f->kind) {
	case FIELD_UINT:
		return cbor_uint(in, f->value);
	case FIELD_BOOL:
		return cbor_bool(in, f->value);
	case FIELD_TEXT:
		return cbor_text(in, f->value);
	case FIELD_BYTES:
		return cbor_bytes(in, f->value);
	case FIELD_LIST:
		return take_list(in, f->value);
	}
	return fail(in);
}

static struct field *find_field(struct field *fields, size_t count, struct span key)
{
	for (size_t i = 0; i < count; i++) {
		if (span_is(key, fields[i].key))
			return &fields[i];
	}
	return NULL;
}

bool cbor_fields(struct cbor_in *in, struct field *fields, size_t count)
{
	struct cbor_group map;

	if (!cbor_open_map(in, &map))
		return false;
	while (cbor_more(in, &map)) {
		struct span key;
		struct field *f;

		if (!cbor_text(in, &key))
			return false;
		f = find_field(fields, count, key);
		if (f == NULL ? !cbor_skip(in) : !take_field(in, f))
			return false;
	}
	return !in->failed;
}
