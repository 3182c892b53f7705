/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the mps2-an385 we use. Source: Arm AN385 (memory map, CMSDK peripherals), ARMv7-M ARM (B3). */
#ifndef MPS2_H
#define MPS2_H
#include <stdint.h>

#define CPU_HZ 25000000u
#define TICKS_PER_MS (CPU_HZ / 1000u)

#define REG(address) (*(volatile uint32_t *)(address))

/* CMSDK UART: 0 carries SMP, 1 the log */
struct uart {
	volatile uint32_t data, state, ctrl, intstatus, bauddiv;
};
#define UART0 ((struct uart *)0x40004000u)
#define UART1 ((struct uart *)0x40005000u)
#define UART_STATE_TX_FULL 1u
#define UART_STATE_RX_FULL 2u
#define UART_CTRL_TX 1u
#define UART_CTRL_RX 2u
#define UART_CTRL_RX_INT 8u
#define UART_INT_RX 2u
#define UART_BAUDDIV_115200 217u /* below 16 counts as a guest error; otherwise without effect in QEMU */
#define UART0_RX_IRQ 0u

/* CMSDK watchdog: the first expiry is an NMI, the second a reset */
#define WATCHDOG_LOAD REG(0x40008000u)
#define WATCHDOG_CONTROL REG(0x40008008u)
#define WATCHDOG_INTCLR REG(0x4000800cu) /* any write reloads the count */
#define WATCHDOG_LOCK REG(0x40008c00u)
#define WATCHDOG_UNLOCK 0x1acce551u
#define WATCHDOG_INTEN 1u
#define WATCHDOG_RESEN 2u

#define FPGAIO_COUNTER REG(0x40028018u) /* 25 MHz, counts up from reset, wraps after 171 s */

/* Cortex-M3 */
#define SYST_CSR REG(0xe000e010u)
#define SYST_RVR REG(0xe000e014u)
#define SYST_CVR REG(0xe000e018u)
#define SYST_MAX 0x00ffffffu
#define NVIC_ISER REG(0xe000e100u)
#define NVIC_ICER REG(0xe000e180u)
#define NVIC_ISPR REG(0xe000e200u)
#define NVIC_ICPR REG(0xe000e280u)
#define SCB_ICSR REG(0xe000ed04u)
#define SCB_ICSR_PENDSTCLR (1u << 25)
#define SCB_VTOR REG(0xe000ed08u)
#define SCB_AIRCR REG(0xe000ed0cu)
#define SCB_AIRCR_SYSRESETREQ 0x05fa0004u
#define SCB_CCR REG(0xe000ed14u)
#define SCB_CCR_UNALIGN_TRP (1u << 3)

#endif
