/* SPDX-License-Identifier: Apache-2.0 */
/* CBOR (RFC 8949) as SMP uses it: maps with text keys, unsigned and small negative integers, booleans, text, bytes,
 * lists. Nothing is copied: a span points into the message. A reader that failed once fails for ever. */
#ifndef CBOR_H
#define CBOR_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CBOR_DEPTH 32u /* deepest nesting that cbor_skip follows; deeper is an error */

struct span {
	const uint8_t *data;
	uint32_t len;
};

bool span_is(struct span s, const char *text);
/* Copies into a zero-terminated buffer; false when it does not fit or holds a zero byte. */
bool span_text(struct span s, char *to, size_t size);

struct cbor_in {
	const uint8_t *at, *end;
	bool failed;
};

/* A map or list that is being read. */
struct cbor_group {
	uint64_t left; /* items (pairs in a map) still to come; meaningless when indefinite */
	bool indefinite;
};

void cbor_in_init(struct cbor_in *in, const void *data, size_t len);
bool cbor_open_map(struct cbor_in *in, struct cbor_group *g);
bool cbor_open_list(struct cbor_in *in, struct cbor_group *g);
bool cbor_more(struct cbor_in *in, struct cbor_group *g); /* another item, or pair, follows; takes the break */
bool cbor_uint(struct cbor_in *in, uint32_t *value);      /* false also above 32 bits */
bool cbor_bool(struct cbor_in *in, bool *value);
bool cbor_text(struct cbor_in *in, struct span *value);   /* definite length only */
bool cbor_bytes(struct cbor_in *in, struct span *value);  /* the same */
bool cbor_skip(struct cbor_in *in);                       /* one item of any kind, with all that is in it */

/* The request map of a command, as a table: unknown keys are skipped, a key of the wrong kind or sent twice is an
 * error, absent ones stay not found. */
enum field_kind { FIELD_UINT, FIELD_BOOL, FIELD_TEXT, FIELD_BYTES, FIELD_LIST };
struct field {
	const char *key;
	enum field_kind kind;
	void *value; /* uint32_t, bool, struct span, struct span, struct cbor_in at the list */
	bool found;
};
bool cbor_fields(struct cbor_in *in, struct field *fields, size_t count);

/* A writer that ran out of room swallows the rest and says so. Maps and lists are indefinite, as Zephyr and MCUboot
 * write them. */
struct cbor_out {
	uint8_t *start, *at, *end;
	bool overflow;
};

void cbor_out_init(struct cbor_out *out, void *to, size_t room);
void put_map(struct cbor_out *out);
void put_list(struct cbor_out *out);
void put_end(struct cbor_out *out);
void put_uint(struct cbor_out *out, uint64_t value);
void put_int(struct cbor_out *out, int32_t value);
void put_bool(struct cbor_out *out, bool value);
void put_text(struct cbor_out *out, const char *text);
void put_text_span(struct cbor_out *out, struct span text);
void put_bytes(struct cbor_out *out, const void *data, size_t len);
/* A key with its value. */
void put_uint_at(struct cbor_out *out, const char *key, uint64_t value);
void put_bool_at(struct cbor_out *out, const char *key, bool value);
void put_text_at(struct cbor_out *out, const char *key, const char *value);
void put_bytes_at(struct cbor_out *out, const char *key, const void *data, size_t len);
/* Room for `len` bytes of a byte string that the caller fills in; 0 when it does not fit. */
uint8_t *put_bytes_room(struct cbor_out *out, size_t len);

#endif
