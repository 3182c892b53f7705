/* SPDX-License-Identifier: Apache-2.0 */
/* Group 10: which groups there are. */
#include "groups.h"

int enum_count(struct smp_exchange *x)
{
	put_uint_at(&x->out, "count", group_count);
	return RC_OK;
}

int enum_list(struct smp_exchange *x)
{
	put_text(&x->out, "groups");
	put_list(&x->out);
	for (size_t i = 0; i < group_count; i++)
		put_uint(&x->out, group_names[i].group);
	put_end(&x->out);
	return RC_OK;
}

int enum_single(struct smp_exchange *x)
{
	uint32_t index = 0;
	struct field fields[] = {{"index", FIELD_UINT, &index, false}};

	if (!cbor_fields(&x->in, fields, 1))
		return RC_INVALID;
	if (index >= group_count)
		return smp_fail(x, GROUP_ENUM, ENUM_INDEX_TOO_LARGE, NULL);
	put_uint_at(&x->out, "group", group_names[index].group);
	if (index == group_count - 1)
		put_bool_at(&x->out, "end", true);
	return RC_OK;
}

/* Zephyr counts ids up to the highest, also those that nobody serves. */
static uint32_t handlers_of(uint16_t group)
{
	uint32_t count = 0;

	for (size_t i = 0; i < app_command_count; i++) {
		if (app_commands[i].group == group && app_commands[i].id >= count)
			count = app_commands[i].id + 1u;
	}
	return count;
}

static void put_details(struct cbor_out *out, const struct group_name *g)
{
	put_map(out);
	put_uint_at(out, "group", g->group);
	put_text_at(out, "name", g->name);
	put_uint_at(out, "handlers", handlers_of(g->group));
	put_end(out);
}

/* Each time from the list's start: it is short, and nothing need be kept. An empty list asks for all. False when
 * the list is broken. */
static bool is_wanted(struct cbor_in list, uint16_t group, bool *wanted)
{
	struct cbor_group g;
	uint32_t candidate;
	size_t count = 0;

	*wanted = false;
	if (!cbor_open_list(&list, &g))
		return false;
	for (; cbor_more(&list, &g); count++) {
		if (!cbor_uint(&list, &candidate))
			return false;
		*wanted = *wanted || candidate == group;
	}
	*wanted = *wanted || count == 0;
	return !list.failed;
}

int enum_details(struct smp_exchange *x)
{
	struct cbor_in list;
	struct field fields[] = {{"groups", FIELD_LIST, &list, false}};
	bool wanted = true;

	if (!cbor_fields(&x->in, fields, 1))
		return RC_INVALID;
	put_text(&x->out, "groups");
	put_list(&x->out);
	for (size_t i = 0; i < group_count; i++) {
		if (fields[0].found && !is_wanted(list, group_names[i].group, &wanted))
			return RC_INVALID;
		if (wanted)
			put_details(&x->out, &group_names[i]);
	}
	put_end(&x->out);
	return RC_OK;
}
