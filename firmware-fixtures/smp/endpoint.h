/* SPDX-License-Identifier: Apache-2.0 */
/* A server on the board's SMP UART: bytes in, lines out. Bootloader and application each have one. */
#ifndef ENDPOINT_H
#define ENDPOINT_H
#include "console.h"
#include "server.h"

struct endpoint {
	struct smp_server server;
	struct console_rx rx;
	enum console_split split;
	console_writer *write;
	uint8_t answer[CONSOLE_BUFFER_MAX];
};

#define ENDPOINT_BUFFER_MIN 64u /* smaller buffers hold no useful answer; a board provisioned so gets this */

/* buf_size: the server buffer, bytes; what MCUmgr params reports. An answer may fill it, a request is 4 smaller.
 * `write` sends one console line; normally port_uart_write. */
void endpoint_init(struct endpoint *e, const struct smp_command *commands, size_t count, enum smp_manner manner,
		   size_t buf_size, console_writer *write);

/* Reads what the UART holds, up to a bounded amount, and answers each message at once. True = there may be more. */
bool endpoint_step(struct endpoint *e);

#endif
