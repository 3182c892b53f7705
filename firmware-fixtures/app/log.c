/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"

#include <string.h>

#include "../port/port.h"
#include "../smp/text.h"
#include "settings.h"

#define LINE_MAX 120u
#define CONTINUATION 0x04u /* first byte of a line that continues a message */

static const char prompt[] = "uart:~$ ";

static void write_uart(const char *text)
{
	port_uart_write((const uint8_t *)text, strlen(text));
}

void log_line(const char *text)
{
	char line[LINE_MAX];
	struct text t;

	text_init(&t, line, sizeof(line) - 2);
	text_add(&t, "[");
	text_padded(&t, port_millis(), 6);
	text_add(&t, "] app: ");
	text_add(&t, text);
	memcpy(t.at, "\r\n", 3);
	port_log(line);
	if (settings_log_console() != LOG_CONSOLE_OFF)
		write_uart(line);
}

void log_smp_writer(const uint8_t *line, size_t len)
{
	if (settings_log_console() != LOG_CONSOLE_OFF && line[0] == CONTINUATION)
		log_line("between two lines of a message");
	if (settings_log_console() == LOG_CONSOLE_PROMPT && line[0] != CONTINUATION)
		write_uart(prompt);
	port_uart_write(line, len);
}
