/* SPDX-License-Identifier: Apache-2.0 */
/* SMP over console: messages as base64 lines with a length and a CRC, among any other text on the wire.
 * Source: Zephyr smp_transport.rst and serial_util.c, MCUboot boot_serial.c. */
#ifndef CONSOLE_H
#define CONSOLE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"

#define CONSOLE_LINE_MAX 128u    /* CONFIG_UART_MCUMGR_RX_BUF_SIZE, MCUboot's BOOT_MAX_LINE_INPUT_LEN */
#define CONSOLE_OVERHEAD 4u      /* length and CRC share the server buffer with the message */

/* What was heard and not used; a wrong packet is never answered, so these counts are the only trace it leaves. */
struct console_counts {
	uint32_t messages, foreign_lines, long_lines, bad_base64, bad_length, bad_crc, stray_lines;
};

struct console_rx {
	size_t limit;    /* server buffer, bytes: length + message + CRC */
	size_t line_len; /* of the line being gathered */
	size_t held;     /* decoded bytes of the packet being gathered; 0 = none started */
	bool line_too_long;
	struct console_counts counts;
	uint8_t line[CONSOLE_LINE_MAX];
	uint8_t packet[SMP_BUFFER_MAX];
};

void console_rx_init(struct console_rx *rx, size_t buf_size);

/* One received byte. Returns the length of a whole message with a right CRC, which then lies at *message until the
 * next call; 0 otherwise. Damage of any kind drops the packet silently and waits for the next one. */
size_t console_rx_byte(struct console_rx *rx, uint8_t byte, const uint8_t **message);

/* How a sender cuts a packet into lines; receivers take any cut. Zephyr never divides the CRC and uses shorter
 * continuation lines; MCUboot fills every line. */
enum console_split { CONSOLE_SPLIT_ZEPHYR, CONSOLE_SPLIT_MCUBOOT };

typedef void console_writer(const uint8_t *bytes, size_t len);

/* Sends one message as lines, one call of `write` a line. len <= SMP_BUFFER_MAX. */
void console_send(const uint8_t *message, size_t len, enum console_split split, console_writer *write);

#endif
