/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "cbor.h"

#define MAJOR_UNSIGNED 0x00u
#define MAJOR_NEGATIVE 0x20u
#define MAJOR_BYTES 0x40u
#define MAJOR_TEXT 0x60u
#define LIST_INDEFINITE 0x9fu
#define MAP_INDEFINITE 0xbfu
#define BREAK 0xffu
#define FALSE_BYTE 0xf4u
#define TRUE_BYTE 0xf5u

void cbor_out_init(struct cbor_out *out, void *to, size_t room)
{
	out->start = to;
	out->at = out->start;
	out->end = out->start + room;
	out->overflow = false;
}

static uint8_t *room_for(struct cbor_out *out, size_t len)
{
	uint8_t *at = out->at;

	if (out->overflow || len > (size_t)(out->end - at)) {
		out->overflow = true;
		return NULL;
	}
	out->at += len;
	return at;
}

static void put_byte(struct cbor_out *out, uint8_t byte)
{
	uint8_t *at = room_for(out, 1);

	if (at != NULL)
		*at = byte;
}

static void put_big_endian(struct cbor_out *out, uint64_t value, unsigned bytes)
{
	while (bytes-- > 0)
		put_byte(out, (uint8_t)(value >> (8 * bytes)));
}

static void put_head(struct cbor_out *out, uint8_t major, uint64_t argument)
{
	if (argument < 24) {
		put_byte(out, (uint8_t)(major | argument));
		return;
	}
	unsigned size = argument <= 0xff ? 0 : argument <= 0xffff ? 1 : argument <= 0xffffffffu ? 2 : 3;

	put_byte(out, (uint8_t)(major | (24u + size)));
	put_big_endian(out, argument, 1u << size);
}

void put_map(struct cbor_out *out)
{
	put_byte(out, MAP_INDEFINITE);
}

void put_list(struct cbor_out *out)
{
	put_byte(out, LIST_INDEFINITE);
}

void put_end(struct cbor_out *out)
{
	put_byte(out, BREAK);
}

void put_uint(struct cbor_out *out, uint64_t value)
{
	put_head(out, MAJOR_UNSIGNED, value);
}

void put_int(struct cbor_out *out, int32_t value)
{
	if (value < 0)
		put_head(out, MAJOR_NEGATIVE, (uint64_t)(-1 - (int64_t)value));
	else
		put_uint(out, (uint64_t)value);
}

void put_bool(struct cbor_out *out, bool value)
{
	put_byte(out, value ? TRUE_BYTE : FALSE_BYTE);
}

static void put_string(struct cbor_out *out, uint8_t major, const void *data, size_t len)
{
	uint8_t *at;

	put_head(out, major, len);
	at = room_for(out, len);
	if (at != NULL && len > 0)
		memcpy(at, data, len);
}

void put_text(struct cbor_out *out, const char *text)
{
	put_string(out, MAJOR_TEXT, text, strlen(text));
}

void put_text_span(struct cbor_out *out, struct span text)
{
	put_string(out, MAJOR_TEXT, text.data, text.len);
}

void put_bytes(struct cbor_out *out, const void *data, size_t len)
{
	put_string(out, MAJOR_BYTES, data, len);
}

uint8_t *put_bytes_room(struct cbor_out *out, size_t len)
{
	put_head(out, MAJOR_BYTES, len);
	return room_for(out, len);
}

void put_uint_at(struct cbor_out *out, const char *key, uint64_t value)
{
	put_text(out, key);
	put_uint(out, value);
}

void put_bool_at(struct cbor_out *out, const char *key, bool value)
{
	put_text(out, key);
	put_bool(out, value);
}

void put_text_at(struct cbor_out *out, const char *key, const char *value)
{
	put_text(out, key);
	put_text(out, value);
}

void put_bytes_at(struct cbor_out *out, const char *key, const void *data, size_t len)
{
	put_text(out, key);
	put_bytes(out, data, len);
}
