/* SPDX-License-Identifier: Apache-2.0 */
/* Group 2: counters that the program keeps anyway. */
#include "../../port/port.h"
#include "../nor.h"
#include "../server.h"
#include "../tasks.h"
#include "groups.h"

struct stat_group {
	const char *name;
	void (*put)(struct cbor_out *out);
};

static void put_smp(struct cbor_out *out)
{
	const struct smp_counts *s = &app_endpoint()->server.counts;
	const struct console_counts *c = &app_endpoint()->rx.counts;

	put_uint_at(out, "rx", c->messages);
	put_uint_at(out, "requests", s->requests);
	put_uint_at(out, "tx", s->answers);
	put_uint_at(out, "errors", s->errors);
	put_uint_at(out, "crc_errors", c->bad_crc);
	put_uint_at(out, "length_errors", c->bad_length);
	put_uint_at(out, "base64_errors", c->bad_base64);
	put_uint_at(out, "foreign_lines", c->foreign_lines);
	put_uint_at(out, "long_lines", c->long_lines);
	put_uint_at(out, "stray_lines", c->stray_lines);
}

static void put_flash(struct cbor_out *out)
{
	const struct nor_counts *n = nor_counts();

	put_uint_at(out, "writes", n->writes);
	put_uint_at(out, "erases", n->erases);
	put_uint_at(out, "errors", n->errors);
}

static void put_app(struct cbor_out *out)
{
	put_uint_at(out, "uptime_ms", port_millis());
	put_uint_at(out, "steps", task_get(TASK_SMP)->runs);
}

static const struct stat_group groups[] = {
	{"smp", put_smp},
	{"flash", put_flash},
	{"app", put_app},
};
#define STAT_GROUPS (sizeof(groups) / sizeof(groups[0]))

int stat_read(struct smp_exchange *x)
{
	struct span name = {0};
	struct field fields[] = {{"name", FIELD_TEXT, &name, false}};

	if (!cbor_fields(&x->in, fields, 1) || name.len == 0)
		return RC_INVALID;
	for (size_t i = 0; i < STAT_GROUPS; i++) {
		if (!span_is(name, groups[i].name))
			continue;
		put_text_at(&x->out, "name", groups[i].name);
		put_text(&x->out, "fields");
		put_map(&x->out);
		groups[i].put(&x->out);
		put_end(&x->out);
		return RC_OK;
	}
	/* Zephyr answers this, and not INVALID_GROUP, for a group it does not have */
	return smp_fail(x, GROUP_STAT, STAT_INVALID_NAME, NULL);
}

int stat_list(struct smp_exchange *x)
{
	put_text(&x->out, "stat_list");
	put_list(&x->out);
	for (size_t i = 0; i < STAT_GROUPS; i++)
		put_text(&x->out, groups[i].name);
	put_end(&x->out);
	return RC_OK;
}
