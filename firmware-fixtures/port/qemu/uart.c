/* SPDX-License-Identifier: Apache-2.0 */
/* UART0 receives by interrupt into a ring. The ring never drops: when it is full the byte stays in the UART with the
 * interrupt masked, QEMU stops reading the host, and the host waits. UART1 is the log, output only. */
#include "uart.h"

#include <stddef.h>
#include <stdint.h>

#include "../port.h"
#include "mps2.h"

#define RING_SIZE 4096u /* a power of two */

static uint8_t ring[RING_SIZE];
static volatile uint32_t head, tail; /* ever put in by the interrupt, ever taken out by the program */
static volatile uint8_t is_masked;

/* Reception starts with the first read: a bootloader that starts an image has not taken bytes meant for that. */
static uint8_t is_receiving;

void uart_init(void)
{
	UART0->bauddiv = UART_BAUDDIV_115200;
	UART0->ctrl = UART_CTRL_TX;
	UART1->bauddiv = UART_BAUDDIV_115200;
	UART1->ctrl = UART_CTRL_TX;
}

static void receive(void)
{
	is_receiving = 1;
	is_masked = 0;
	UART0->ctrl = UART_CTRL_TX | UART_CTRL_RX | UART_CTRL_RX_INT;
	NVIC_ISER = 1u << UART0_RX_IRQ;
	/* A byte that is there already raises nothing by itself. */
	NVIC_ISPR = 1u << UART0_RX_IRQ;
}

void uart_off(void)
{
	UART0->ctrl = 0;
	UART1->ctrl = 0;
}

int uart_has_input(void)
{
	return head != tail;
}

void uart_rx_handler(void)
{
	UART0->intstatus = UART_INT_RX; /* before draining: a byte that comes meanwhile must raise it again */
	while (UART0->state & UART_STATE_RX_FULL) {
		if (head - tail == RING_SIZE) {
			UART0->ctrl = UART_CTRL_TX | UART_CTRL_RX;
			is_masked = 1;
			return;
		}
		ring[head % RING_SIZE] = (uint8_t)UART0->data;
		head++;
	}
}

size_t port_uart_read(uint8_t *buf, size_t max)
{
	size_t n = 0;

	while (n < max && tail != head) {
		buf[n++] = ring[tail % RING_SIZE];
		tail++;
	}
	if (!is_receiving || (n > 0 && is_masked))
		receive();
	return n;
}

static void send(struct uart *uart, uint8_t byte)
{
	while (uart->state & UART_STATE_TX_FULL)
		;
	uart->data = byte;
}

void port_uart_write(const uint8_t *buf, size_t len)
{
	for (size_t i = 0; i < len; i++)
		send(UART0, buf[i]);
}

void port_log(const char *text)
{
	for (; *text != '\0'; text++)
		send(UART1, (uint8_t)*text);
}
