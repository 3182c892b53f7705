/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UART_H
#define UART_H

void uart_init(void);
void uart_off(void);
int uart_has_input(void);
void uart_rx_handler(void);

#endif
