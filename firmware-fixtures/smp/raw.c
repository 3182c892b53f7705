/* SPDX-License-Identifier: Apache-2.0 */
#include "raw.h"

#include <string.h>

#include "server.h"

void raw_rx_init(struct raw_rx *rx, size_t buf_size)
{
	rx->held = 0;
	rx->limit = buf_size < SMP_BUFFER_MAX ? buf_size : SMP_BUFFER_MAX;
}

static size_t drop(struct raw_rx *rx)
{
	rx->held = 0;
	return 0;
}

size_t raw_rx_bytes(struct raw_rx *rx, const uint8_t *bytes, size_t count, const uint8_t **message)
{
	size_t whole;

	if (rx->held + count > rx->limit)
		return drop(rx);
	memcpy(rx->message + rx->held, bytes, count);
	rx->held += count;
	if (rx->held < SMP_HEADER)
		return 0;
	whole = SMP_HEADER + (size_t)(rx->message[2] << 8 | rx->message[3]);
	if (whole > rx->limit || (rx->message[0] & 7u) > OP_WRITE_RSP || rx->held > whole)
		return drop(rx);
	if (rx->held < whole)
		return 0;
	*message = rx->message;
	rx->held = 0;
	return whole;
}
