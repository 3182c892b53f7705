/* SPDX-License-Identifier: Apache-2.0 */
/* SMP without framing: messages told apart by the length in their headers, as Zephyr 4.4 does it on a raw UART. There is
 * no check sum, and nothing marks where a message begins. Source: Zephyr serial_util.c. */
#ifndef RAW_H
#define RAW_H
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"

struct raw_rx {
	size_t limit; /* server buffer, bytes: the longest message */
	size_t held;  /* bytes of the message being gathered */
	uint8_t message[SMP_BUFFER_MAX];
};

void raw_rx_init(struct raw_rx *rx, size_t buf_size);

/* What was received at once. Returns the length of a whole message, which then lies at *message until the next call;
 * 0 otherwise. As Zephyr's server it drops everything it holds when the header cannot be one, or when more came than
 * one message: a client must wait for each answer. */
size_t raw_rx_bytes(struct raw_rx *rx, const uint8_t *bytes, size_t count, const uint8_t **message);

#endif
