/* SPDX-License-Identifier: Apache-2.0 */
/* The application's log: always on the log UART; on the SMP UART too when the setting log/console says so, so that
 * clients can be tested against a console that is shared. */
#ifndef LOG_H
#define LOG_H
#include <stddef.h>
#include <stdint.h>

enum log_console {
	LOG_CONSOLE_OFF = 0,
	LOG_CONSOLE_LINES = 1,  /* log lines, also between the lines of one message */
	LOG_CONSOLE_PROMPT = 2, /* and a shell prompt in front of each message, on its first line */
};

/* One line; the time is put in front, the line end behind. */
void log_line(const char *text);

/* Sends one console line of SMP, with whatever log/console mixes in. */
void log_smp_writer(const uint8_t *line, size_t len);

#endif
