/* SPDX-License-Identifier: Apache-2.0 */
/* What a machine offers to the bootloader and the application. port/qemu and port/wasm implement it. */
#ifndef PORT_H
#define PORT_H
#include <stddef.h>
#include <stdint.h>

#define FW_IDLE 0x7fffffff /* fw_step: nothing to do until a byte arrives */

/* Implemented by the program (bootloader or application), driven by the machine. */
void fw_init(void);
/* One non-blocking step. Returns the milliseconds after which it wants to be called again even if no byte
 * arrives: 0 = at once, FW_IDLE = never. The machine calls it earlier whenever UART input is waiting. */
int32_t fw_step(void);

/* Implemented by the machine. */
uint32_t port_millis(void);                            /* since this reset */
size_t port_uart_read(uint8_t *buf, size_t max);       /* SMP UART; takes what is there, may be 0 */
void port_uart_write(const uint8_t *buf, size_t len);  /* SMP UART; returns when all is taken */
void port_log(const char *text);                       /* log UART, no newline added */
_Noreturn void port_reset(void);                       /* warm reset: flash and retained memory stay */
_Noreturn void port_start_image(uint32_t flash_off, uint32_t len); /* run the image body at this flash offset */
/* Run the image body that has been loaded to `address`, where this program sees it as `body`. */
_Noreturn void port_start_ram(uint32_t address, const uint8_t *body, uint32_t len);
uint8_t *port_ram_window(uint32_t start, uint32_t size); /* RAM that images are loaded to; 0: this machine has none there */
uint32_t port_flash_address(uint32_t flash_off);       /* as images that are fixed to a place see it */
void port_watchdog_start(uint32_t timeout_ms);         /* resets the machine unless fed in time */
void port_watchdog_feed(void);
_Noreturn void port_hang(void);                        /* a program stuck for ever: only the watchdog helps */
_Noreturn void port_crash(void);                       /* an illegal instruction; the machine resets */

#endif
