/* SPDX-License-Identifier: Apache-2.0 */
#include "server.h"

#include <string.h>

#define VERSION_NEWEST 1u

static void read_header(const uint8_t *from, struct smp_header *h)
{
	h->op = from[0] & 7u;
	h->version = (from[0] >> 3) & 3u;
	h->length = (uint16_t)(from[2] << 8 | from[3]);
	h->group = (uint16_t)(from[4] << 8 | from[5]);
	h->seq = from[6];
	h->id = from[7];
}

static void write_header(const struct smp_header *h, size_t length, uint8_t *to)
{
	uint8_t op = h->op == OP_READ ? OP_READ_RSP : OP_WRITE_RSP;
	uint8_t version = h->version > VERSION_NEWEST ? VERSION_NEWEST : h->version;

	to[0] = (uint8_t)(version << 3 | op);
	to[1] = 0;
	to[2] = (uint8_t)(length >> 8);
	to[3] = (uint8_t)length;
	to[4] = (uint8_t)(h->group >> 8);
	to[5] = (uint8_t)h->group;
	to[6] = h->seq;
	to[7] = h->id;
}

int smp_fail(struct smp_exchange *x, uint16_t group, uint16_t error, const char *reason)
{
	x->error_group = group;
	x->error = error;
	x->reason = reason;
	put_text(&x->out, "err");
	put_map(&x->out);
	put_uint_at(&x->out, "group", group);
	put_uint_at(&x->out, "rc", error);
	put_end(&x->out);
	return RC_OK;
}

static smp_handler *find_command(const struct smp_server *s, const struct smp_header *h)
{
	for (size_t i = 0; i < s->count; i++) {
		const struct smp_command *c = &s->commands[i];

		if (c->group == h->group && c->id == h->id && (c->op == h->op || c->op == OP_ANY))
			return c->run;
	}
	return NULL;
}

/* {"rc": n, "rsn": text?} in place of whatever the handler wrote. */
static void put_rc(struct cbor_out *out, int rc, const char *reason)
{
	out->at = out->start;
	out->overflow = false;
	put_map(out);
	put_uint_at(out, "rc", (uint64_t)rc);
	if (reason != NULL) {
		put_text_at(out, "rsn", reason);
	}
	put_end(out);
}

static int run_command(const struct smp_server *s, struct smp_exchange *x)
{
	smp_handler *run = find_command(s, &x->header);

	return run == NULL ? RC_NOT_SUPPORTED : run(x);
}

/* The part of the message that is this request's; RC_OK, or why there is none. */
static int bound_request(const struct smp_server *s, const uint8_t *message, size_t len, struct smp_exchange *x,
			 size_t *used)
{
	size_t length = x->header.length, rest = len - SMP_HEADER;

	*used = len;
	if (s->manner == SMP_LIKE_MCUBOOT) {
		cbor_in_init(&x->in, message + SMP_HEADER, rest);
		return RC_OK;
	}
	if (length > rest)
		return RC_CORRUPT;
	*used = SMP_HEADER + length;
	cbor_in_init(&x->in, message + SMP_HEADER, length);
	return x->header.version > VERSION_NEWEST ? RC_TOO_NEW : RC_OK;
}

static bool is_silent(const struct smp_server *s, const struct smp_header *h, size_t len)
{
	if (s->manner != SMP_LIKE_MCUBOOT)
		return false;
	return (h->op != OP_READ && h->op != OP_WRITE) || h->length < len - SMP_HEADER;
}

/* Turns what the handler left behind into the final body. True = the request went well. */
static bool finish_body(struct smp_exchange *x, int rc)
{
	if (rc == RC_OK && x->error != 0 && x->header.version == 0)
		put_rc(&x->out, smp_v1_code(x->error_group, x->error), x->reason);
	else if (rc != RC_OK)
		put_rc(&x->out, rc, x->reason);
	else
		put_end(&x->out);
	if (x->out.overflow) {
		put_rc(&x->out, RC_TOO_LARGE, NULL);
		return false;
	}
	return rc == RC_OK && x->error == 0;
}

size_t smp_serve(struct smp_server *s, const uint8_t *message, size_t len, uint8_t *answer, size_t room, size_t *used)
{
	struct smp_exchange x;
	size_t body;
	int rc;

	*used = len;
	if (len < SMP_HEADER || room < SMP_HEADER)
		return 0;
	memset(&x, 0, sizeof(x));
	read_header(message, &x.header);
	if (is_silent(s, &x.header, len))
		return 0;
	s->counts.requests++;
	cbor_out_init(&x.out, answer + SMP_HEADER, (room < s->answer_max ? room : s->answer_max) - SMP_HEADER);
	put_map(&x.out);
	rc = bound_request(s, message, len, &x, used);
	if (rc == RC_OK)
		rc = run_command(s, &x);
	if (!finish_body(&x, rc)) {
		s->counts.errors++;
		*used = len; /* the requests behind a failed one are not looked at */
	}
	s->counts.answers++;
	body = (size_t)(x.out.at - x.out.start);
	write_header(&x.header, body, answer);
	return SMP_HEADER + body;
}

/* Group codes that v1 clients get as something better than "unknown". Source: each group's translation in Zephyr,
 * as running servers show it. */
struct translation {
	uint16_t group;
	uint8_t error, rc;
};

static const struct translation v1_codes[] = {
	{GROUP_OS, OS_INVALID_FORMAT, RC_INVALID},
	{GROUP_OS, OS_NO_ANSWER, RC_NO_ENTRY},
	{GROUP_OS, OS_RTC_NOT_SET, RC_NO_ENTRY},
	{GROUP_IMAGE, IMAGE_NO_IMAGE, RC_NO_ENTRY},
	{GROUP_IMAGE, IMAGE_NO_FREE_SLOT, RC_BAD_STATE},
	{GROUP_IMAGE, IMAGE_INVALID_SLOT, RC_INVALID},
	{GROUP_IMAGE, IMAGE_INVALID_OFFSET, RC_INVALID},
	{GROUP_IMAGE, IMAGE_INVALID_LENGTH, RC_INVALID},
	{GROUP_IMAGE, IMAGE_INVALID_HEADER, RC_INVALID},
	{GROUP_IMAGE, IMAGE_INVALID_HASH, RC_INVALID},
	{GROUP_IMAGE, IMAGE_CURRENT_IS_NEWER, RC_BAD_STATE},
	{GROUP_IMAGE, IMAGE_ALREADY_PENDING, RC_BAD_STATE},
	{GROUP_STAT, STAT_INVALID_GROUP, RC_NO_ENTRY},
	{GROUP_STAT, STAT_INVALID_NAME, RC_NO_ENTRY},
	{GROUP_SETTINGS, SETTINGS_KEY_TOO_LONG, RC_INVALID},
	{GROUP_SETTINGS, SETTINGS_KEY_NOT_FOUND, RC_NO_ENTRY},
	{GROUP_FS, FS_INVALID_NAME, RC_INVALID},
	{GROUP_FS, FS_NOT_FOUND, RC_NO_ENTRY},
	{GROUP_FS, FS_OFFSET_LARGER_THAN_FILE, RC_INVALID},
	{GROUP_FS, FS_HASH_NOT_FOUND, RC_INVALID},
	{GROUP_SHELL, SHELL_COMMAND_TOO_LONG, RC_INVALID},
	{GROUP_SHELL, SHELL_EMPTY_COMMAND, RC_INVALID},
};

int smp_v1_code(uint16_t group, uint16_t error)
{
	for (size_t i = 0; i < sizeof(v1_codes) / sizeof(v1_codes[0]); i++) {
		if (v1_codes[i].group == group && v1_codes[i].error == error)
			return v1_codes[i].rc;
	}
	return RC_UNKNOWN;
}
