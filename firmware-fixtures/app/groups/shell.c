/* SPDX-License-Identifier: Apache-2.0 */
/* Group 9. */
#include "../shell.h"

#include "groups.h"

#define OUTPUT_MAX 400u
#define RESULT_ROOM 24u /* the keys and the result, which must fit behind the output */

/* Joins the arguments with spaces. RC_OK, RC_INVALID, or an error of the group in *error. */
static int join(struct cbor_in *list, char line[SHELL_LINE_MAX], uint16_t *error)
{
	struct cbor_group g;
	struct span word;
	struct text t;
	size_t len = 0;

	text_init(&t, line, SHELL_LINE_MAX);
	if (!cbor_open_list(list, &g))
		return RC_INVALID;
	while (cbor_more(list, &g)) {
		if (!cbor_text(list, &word))
			return RC_INVALID;
		len += word.len + 1;
		if (len >= SHELL_LINE_MAX)
			*error = SHELL_COMMAND_TOO_LONG;
		if (t.at != line)
			text_add(&t, " ");
		text_add_bytes(&t, word.data, word.len);
	}
	if (t.at == line)
		*error = SHELL_EMPTY_COMMAND;
	return list->failed ? RC_INVALID : RC_OK;
}

int shell_exec(struct smp_exchange *x)
{
	char line[SHELL_LINE_MAX], output[OUTPUT_MAX];
	struct cbor_in argv;
	struct field fields[] = {{"argv", FIELD_LIST, &argv, false}};
	size_t room = (size_t)(x->out.end - x->out.at);
	uint16_t error = 0;
	struct text t;
	int rc, result;

	if (!cbor_fields(&x->in, fields, 1) || !fields[0].found)
		return RC_INVALID;
	rc = join(&argv, line, &error);
	if (rc != RC_OK)
		return rc;
	if (error != 0)
		return smp_fail(x, GROUP_SHELL, error, NULL);
	if (room <= RESULT_ROOM)
		return RC_TOO_LARGE;
	room -= RESULT_ROOM;
	text_init(&t, output, room < sizeof(output) ? room : sizeof(output));
	result = shell_run(line, &t);
	put_text_at(&x->out, "o", output);
	put_text(&x->out, "ret");
	put_int(&x->out, result);
	return RC_OK;
}
