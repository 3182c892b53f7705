/* SPDX-License-Identifier: Apache-2.0 */
#include "console.h"

#include <string.h>

#define START_1 0x06u
#define START_2 0x09u
#define NEXT_1 0x04u
#define NEXT_2 0x14u
#define MARKER 2u
#define LENGTH 2u
#define CRC 2u
#define LINE_RAW 93u          /* decoded bytes in a full line of 127: marker, 124 characters, LF */
#define ZEPHYR_NEXT_RAW 90u   /* Zephyr takes 3 off its budget after the first line and never puts them back */
#define LINE_WIRE (MARKER + LINE_RAW / 3u * 4u + 1u)

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* CRC-16/XMODEM: polynomial 0x1021, start 0, not reflected. */
static uint16_t crc16(uint16_t crc, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		crc ^= (uint16_t)(bytes[i] << 8);
		for (int bit = 0; bit < 8; bit++)
			crc = (uint16_t)((crc << 1) ^ ((crc & 0x8000u) ? 0x1021u : 0u));
	}
	return crc;
}

void console_rx_init(struct console_rx *rx, size_t buf_size)
{
	memset(rx, 0, sizeof(*rx));
	rx->limit = buf_size < SMP_BUFFER_MAX ? buf_size : SMP_BUFFER_MAX;
}

/* 0..63, or -1. */
static int sextet(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

/* Four characters to at most three bytes; how many, or 0 when they are not base64. Padding: only `last` may have it. */
static size_t decode_quad(const uint8_t *text, bool last, uint8_t out[3])
{
	size_t bytes = 3;
	uint32_t bits = 0;

	if (last && text[3] == '=')
		bytes = text[2] == '=' ? 1 : 2;
	for (size_t i = 0; i < 4; i++) {
		int six = i <= bytes ? sextet(text[i]) : 0;

		if (six < 0)
			return 0;
		bits = (bits << 6) | (uint32_t)six;
	}
	out[0] = (uint8_t)(bits >> 16);
	out[1] = (uint8_t)(bits >> 8);
	out[2] = (uint8_t)bits;
	return bytes;
}

static bool drop(struct console_rx *rx, uint32_t *why)
{
	(*why)++;
	rx->held = 0;
	return false;
}

/* Appends a line's decoded bytes to the packet. Each line is decodable alone. */
static bool append_line(struct console_rx *rx, const uint8_t *text, size_t len)
{
	if (len == 0 || len % 4 != 0)
		return drop(rx, &rx->counts.bad_base64);
	for (size_t i = 0; i < len; i += 4) {
		uint8_t bytes[3];
		size_t n = decode_quad(text + i, i + 4 == len, bytes);

		if (n == 0)
			return drop(rx, &rx->counts.bad_base64);
		if (rx->held + n > rx->limit)
			return drop(rx, &rx->counts.bad_length);
		memcpy(rx->packet + rx->held, bytes, n);
		rx->held += n;
	}
	return true;
}

/* The message's length once the packet is whole and right; 0 while it is not. */
static size_t finish_packet(struct console_rx *rx, const uint8_t **message)
{
	size_t announced, held = rx->held;

	if (held < LENGTH) {
		drop(rx, &rx->counts.bad_length);
		return 0;
	}
	announced = (size_t)(rx->packet[0] << 8 | rx->packet[1]);
	if (held - LENGTH < announced)
		return 0;
	if (held - LENGTH > announced || announced <= CRC) {
		drop(rx, &rx->counts.bad_length);
		return 0;
	}
	/* the CRC over message and CRC together is 0 */
	if (crc16(0, rx->packet + LENGTH, announced) != 0) {
		drop(rx, &rx->counts.bad_crc);
		return 0;
	}
	rx->held = 0;
	rx->counts.messages++;
	*message = rx->packet + LENGTH;
	return announced - CRC;
}

/* Lines that are not ours leave a started packet alone: log text may come between its lines. */
static size_t take_line(struct console_rx *rx, const uint8_t **message)
{
	const uint8_t *line = rx->line;
	size_t len = rx->line_len;
	bool starts, continues;

	if (len > 0 && line[len - 1] == '\r')
		len--;
	starts = len >= MARKER && line[0] == START_1 && line[1] == START_2;
	continues = len >= MARKER && line[0] == NEXT_1 && line[1] == NEXT_2;
	if (!starts && !continues) {
		rx->counts.foreign_lines++;
		return 0;
	}
	if (continues && rx->held == 0) {
		rx->counts.stray_lines++;
		return 0;
	}
	if (starts)
		rx->held = 0;
	return append_line(rx, line + MARKER, len - MARKER) ? finish_packet(rx, message) : 0;
}

size_t console_rx_byte(struct console_rx *rx, uint8_t byte, const uint8_t **message)
{
	size_t len = 0;

	if (byte != '\n') {
		if (rx->line_len < sizeof(rx->line))
			rx->line[rx->line_len++] = byte;
		else
			rx->line_too_long = true;
		return 0;
	}
	if (rx->line_too_long)
		rx->counts.long_lines++;
	else
		len = take_line(rx, message);
	rx->line_len = 0;
	rx->line_too_long = false;
	return len;
}

/* The packet as one run of bytes: length, message, CRC. */
struct packet {
	const uint8_t *message;
	size_t len; /* of the message */
	uint16_t crc;
};

static uint8_t packet_byte(const struct packet *p, size_t i)
{
	size_t announced = p->len + CRC;

	if (i < LENGTH)
		return (uint8_t)(i == 0 ? announced >> 8 : announced);
	if (i < LENGTH + p->len)
		return p->message[i - LENGTH];
	return (uint8_t)(i == LENGTH + p->len ? p->crc >> 8 : p->crc);
}

static uint8_t *encode_quad(uint8_t *to, const uint8_t bytes[3], size_t count)
{
	uint32_t bits = (uint32_t)(bytes[0] << 16 | bytes[1] << 8 | bytes[2]);

	to[0] = (uint8_t)alphabet[bits >> 18];
	to[1] = (uint8_t)alphabet[(bits >> 12) & 63u];
	to[2] = (uint8_t)(count > 1 ? alphabet[(bits >> 6) & 63u] : '=');
	to[3] = (uint8_t)(count > 2 ? alphabet[bits & 63u] : '=');
	return to + 4;
}

static void send_line(const struct packet *p, size_t from, size_t count, console_writer *write)
{
	uint8_t line[LINE_WIRE], *to = line;

	*to++ = from == 0 ? START_1 : NEXT_1;
	*to++ = from == 0 ? START_2 : NEXT_2;
	for (size_t i = 0; i < count; i += 3) {
		size_t n = count - i < 3 ? count - i : 3;
		uint8_t bytes[3] = {0};

		for (size_t k = 0; k < n; k++)
			bytes[k] = packet_byte(p, from + i + k);
		to = encode_quad(to, bytes, n);
	}
	*to++ = '\n';
	write(line, (size_t)(to - line));
}

static size_t line_share(size_t from, size_t total, enum console_split split)
{
	size_t budget = split == CONSOLE_SPLIT_ZEPHYR && from > 0 ? ZEPHYR_NEXT_RAW : LINE_RAW;
	size_t left = total - from;

	if (left <= budget)
		return left;
	/* all but (a part of) the CRC would fit: Zephyr moves three bytes more to the next line */
	if (split == CONSOLE_SPLIT_ZEPHYR && left - CRC <= budget)
		return budget - 3;
	return budget;
}

void console_send(const uint8_t *message, size_t len, enum console_split split, console_writer *write)
{
	struct packet p = {message, len, crc16(0, message, len)};
	size_t total = LENGTH + len + CRC, share;

	for (size_t from = 0; from < total; from += share) {
		share = line_share(from, total, split);
		send_line(&p, from, share, write);
	}
}
