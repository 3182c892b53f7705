/* SPDX-License-Identifier: Apache-2.0 */
#include "endpoint.h"

#include "../port/port.h"

#define READ_AT_ONCE 128u /* bounds one step; what is not read waits in the machine, never lost */

void endpoint_init(struct endpoint *e, const struct smp_command *commands, size_t count, enum smp_manner manner,
		   size_t buf_size, console_writer *write)
{
	if (buf_size < ENDPOINT_BUFFER_MIN)
		buf_size = ENDPOINT_BUFFER_MIN;
	console_rx_init(&e->rx, buf_size);
	raw_rx_init(&e->raw, buf_size);
	e->server = (struct smp_server){
		.commands = commands,
		.count = count,
		.manner = manner,
		.answer_max = buf_size < sizeof(e->answer) ? buf_size : sizeof(e->answer),
	};
	e->write = write;
	e->split = manner == SMP_LIKE_ZEPHYR ? CONSOLE_SPLIT_ZEPHYR : CONSOLE_SPLIT_MCUBOOT;
}

void endpoint_be_raw(struct endpoint *e)
{
	e->is_raw = true;
}

static void send_answer(struct endpoint *e, size_t len)
{
	if (e->is_raw)
		e->write(e->answer, len);
	else
		console_send(e->answer, len, e->split, e->write);
}

static void answer_message(struct endpoint *e, const uint8_t *message, size_t len)
{
	while (len > 0) {
		size_t used, answer = smp_serve(&e->server, message, len, e->answer, sizeof(e->answer), &used);

		if (answer > 0)
			send_answer(e, answer);
		message += used;
		len -= used;
	}
}

static void take_raw(struct endpoint *e, const uint8_t *bytes, size_t count)
{
	const uint8_t *message;
	size_t len = raw_rx_bytes(&e->raw, bytes, count, &message);

	if (len > 0)
		answer_message(e, message, len);
}

static void take_console(struct endpoint *e, const uint8_t *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const uint8_t *message;
		size_t len = console_rx_byte(&e->rx, bytes[i], &message);

		if (len > 0)
			answer_message(e, message, len);
	}
}

bool endpoint_step(struct endpoint *e)
{
	uint8_t bytes[READ_AT_ONCE];
	size_t count = port_uart_read(bytes, sizeof(bytes));

	if (e->is_raw)
		take_raw(e, bytes, count);
	else
		take_console(e, bytes, count);
	return count == sizeof(bytes);
}
