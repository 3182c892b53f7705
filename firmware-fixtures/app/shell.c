/* SPDX-License-Identifier: Apache-2.0 */
#include "shell.h"

#include <string.h>

#include "../port/port.h"
#include "board.h"
#include "log.h"
#include "settings.h"
#include "traits.h"

#define NOT_A_COMMAND (-8) /* -ENOEXEC, what Zephyr's shell returns */
#define BAD_ARGUMENT (-22) /* -EINVAL */

struct arguments {
	int count;
	char *at[SHELL_ARGS_MAX];
};

typedef int shell_command(const struct arguments *a, struct text *out);

struct command {
	const char *name, *help;
	shell_command *run;
};

static bool is(const struct arguments *a, int i, const char *word)
{
	return i < a->count && strlen(a->at[i]) == strlen(word) && memcmp(a->at[i], word, strlen(word)) == 0;
}

static int run_version(const struct arguments *a, struct text *out)
{
	(void)a;
	text_add(out, "bootproof-fixture ");
	text_add(out, traits.label);
	text_add(out, " ");
	text_version(out, &board_image()->header.version);
	text_add(out, " ballast ");
	text_number(out, ballast_sum());
	text_add(out, "\r\n");
	return 0;
}

static int run_uptime(const struct arguments *a, struct text *out)
{
	(void)a;
	text_add(out, "Uptime: ");
	text_number(out, port_millis());
	text_add(out, " ms\r\n");
	return 0;
}

static int run_kernel(const struct arguments *a, struct text *out)
{
	if (is(a, 1, "version"))
		return run_version(a, out);
	return is(a, 1, "uptime") ? run_uptime(a, out) : BAD_ARGUMENT;
}

static int run_echo(const struct arguments *a, struct text *out)
{
	for (int i = 1; i < a->count; i++) {
		text_add(out, i > 1 ? " " : "");
		text_add(out, a->at[i]);
	}
	text_add(out, "\r\n");
	return 0;
}

static int run_log(const struct arguments *a, struct text *out)
{
	if (is(a, 1, "off"))
		settings_set_log_console(LOG_CONSOLE_OFF);
	else if (is(a, 1, "on"))
		settings_set_log_console(LOG_CONSOLE_LINES);
	else if (is(a, 1, "prompt"))
		settings_set_log_console(LOG_CONSOLE_PROMPT);
	else
		return BAD_ARGUMENT;
	text_add(out, "log on the SMP console: ");
	text_add(out, a->at[1]);
	text_add(out, "\r\n");
	return 0;
}

static int run_fail(const struct arguments *a, struct text *out)
{
	(void)a;
	text_add(out, "failed, as asked\r\n");
	return -5;
}

static int run_health(const struct arguments *a, struct text *out)
{
	(void)a;
	text_add(out, traits.health == 0 ? "healthy\r\n" : "sick: the self-test of this image fails\r\n");
	return traits.health;
}

static int run_help(const struct arguments *a, struct text *out);

static const struct command commands[] = {
	{"help", "this list", run_help},
	{"health", "self-test: returns 0 when all is well", run_health},
	{"version", "which image this is", run_version},
	{"uptime", "since the last reset", run_uptime},
	{"kernel", "version | uptime", run_kernel},
	{"echo", "says its arguments", run_echo},
	{"log", "on | off | prompt: log text on the SMP console", run_log},
	{"fail", "returns -5", run_fail},
};

static int run_help(const struct arguments *a, struct text *out)
{
	(void)a;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		text_add(out, commands[i].name);
		text_add(out, ": ");
		text_add(out, commands[i].help);
		text_add(out, "\r\n");
	}
	return 0;
}

static void split(char *line, struct arguments *a)
{
	a->count = 0;
	while (*line != '\0' && a->count < (int)SHELL_ARGS_MAX) {
		if (*line == ' ') {
			line++;
			continue;
		}
		a->at[a->count++] = line;
		while (*line != '\0' && *line != ' ')
			line++;
		if (*line == ' ')
			*line++ = '\0';
	}
}

int shell_run(char *line, struct text *out)
{
	struct arguments a;

	split(line, &a);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (is(&a, 0, commands[i].name))
			return commands[i].run(&a, out);
	}
	text_add(out, a.count > 0 ? a.at[0] : "");
	text_add(out, ": command not found\r\n");
	return NOT_A_COMMAND;
}
