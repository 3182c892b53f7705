/* SPDX-License-Identifier: Apache-2.0 */
/* A server on the board's SMP UART: bytes in, bytes out. Bootloader and application each have one. */
#ifndef ENDPOINT_H
#define ENDPOINT_H
#include "console.h"
#include "raw.h"
#include "server.h"

struct endpoint {
	struct smp_server server;
	bool is_raw;
	struct console_rx rx;
	struct raw_rx raw;
	enum console_split split;
	console_writer *write;
	uint8_t answer[SMP_BUFFER_MAX];
};

#define ENDPOINT_BUFFER_MIN 64u /* smaller buffers hold no useful answer; a board provisioned so gets this */

/* buf_size: the server buffer, bytes; what MCUmgr params reports. An answer may fill it, a request is 4 smaller.
 * `write` sends one console line, or a whole raw message; normally port_uart_write. */
void endpoint_init(struct endpoint *e, const struct smp_command *commands, size_t count, enum smp_manner manner,
		   size_t buf_size, console_writer *write);

/* From here on messages come and go without framing. */
void endpoint_be_raw(struct endpoint *e);

/* Reads what the UART holds, up to a bounded amount, and answers each message at once. True = there may be more. */
bool endpoint_step(struct endpoint *e);

#endif
