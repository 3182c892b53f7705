/* SPDX-License-Identifier: Apache-2.0 */
/* From the reset vector to the program's steps, and what happens when a program breaks. */
#include <stdint.h>
#include <string.h>

#include "../layout.h"
#include "../port.h"
#include "../retained.h"
#include "mps2.h"
#include "state.h"
#include "uart.h"

#define EXCEPTIONS 16u
#define IRQS 32u

extern uint8_t data_load[], data_start[], data_end[], bss_start[], bss_end[], stack_top[];
void reset_handler(void);

__attribute__((used)) static void fault_handler(void)
{
	machine_reset(RESET_FAULT);
}

/* The stack may be what broke, so it is put back before any C runs. */
__attribute__((naked)) static void fault_entry(void)
{
	__asm__("ldr r0, =stack_top\n msr msp, r0\n b fault_handler");
}

/* A program that does not feed the watchdog is no longer trusted with anything, its stack included. */
__attribute__((used)) static void watchdog_handler(void)
{
	machine_reset(RESET_WATCHDOG);
}

__attribute__((naked)) static void watchdog_entry(void)
{
	__asm__("ldr r0, =stack_top\n msr msp, r0\n b watchdog_handler");
}

/* SysTick only has to end a WFI. */
static void tick_handler(void)
{
	SYST_CSR = 0;
}

typedef void (*vector)(void);

__attribute__((section(".vectors"), used)) static const vector vectors[EXCEPTIONS + IRQS] = {
	[0] = (vector)(uintptr_t)stack_top,
	[1] = reset_handler,
	[2] = watchdog_entry, /* NMI */
	[3 ... 14] = fault_entry,
	[15] = tick_handler,
	[EXCEPTIONS + UART0_RX_IRQ] = uart_rx_handler,
	[EXCEPTIONS + UART0_RX_IRQ + 1 ... EXCEPTIONS + IRQS - 1] = fault_entry,
};

void reset_handler(void)
{
	/* Unaligned access is a fault here, as on a Cortex-M0+: the M3 would forgive it. */
	SCB_CCR |= SCB_CCR_UNALIGN_TRP;
	memcpy(data_start, data_load, (size_t)(data_end - data_start));
	memset(bss_start, 0, (size_t)(bss_end - bss_start));
	if (SCB_VTOR == 0) /* straight from reset: the bootloader */
		machine_state()->range_count = 0;
	uart_init();
	fw_init();
	for (;;)
		machine_sleep(fw_step());
}
