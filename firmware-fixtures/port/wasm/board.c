/* SPDX-License-Identifier: Apache-2.0 */
/* The machine whose parts are functions of the host: see "WebAssembly interface" in the README. */
#include <string.h>

#include "../../flash/flash.h"
#include "../layout.h"
#include "../machine.h"
#include "../port.h"
#include "../retained.h"

#define IMPORT(name) __attribute__((import_module("board"), import_name(#name))) extern

IMPORT(flash_read) int host_flash_read(uint32_t off, void *to, uint32_t len);
IMPORT(flash_write) int host_flash_write(uint32_t off, const void *from, uint32_t len);
IMPORT(flash_erase) int host_flash_erase(uint32_t off, uint32_t len);
IMPORT(flash_protect) void host_flash_protect(uint32_t off, uint32_t len);
IMPORT(uart_read) uint32_t host_uart_read(uint8_t *to, uint32_t max);
IMPORT(uart_write) void host_uart_write(const uint8_t *from, uint32_t len);
IMPORT(log_write) void host_log_write(const char *from, uint32_t len);
IMPORT(millis) uint32_t host_millis(void);
IMPORT(reset) _Noreturn void host_reset(void);
IMPORT(start_image) _Noreturn void host_start_image(uint32_t off, uint32_t len);
IMPORT(start_ram) _Noreturn void host_start_ram(const uint8_t *body, uint32_t len);
IMPORT(hang) _Noreturn void host_hang(void);
IMPORT(watchdog_start) void host_watchdog_start(uint32_t ms);
IMPORT(watchdog_feed) void host_watchdog_feed(void);
IMPORT(retained_read) void host_retained_read(void *to, uint32_t len);
IMPORT(retained_write) void host_retained_write(const void *from, uint32_t len);

int flash_read(uint32_t off, void *buf, uint32_t len)
{
	return host_flash_read(off, buf, len);
}

int flash_write(uint32_t off, const void *buf, uint32_t len)
{
	return host_flash_write(off, buf, len);
}

int flash_erase(uint32_t off, uint32_t len)
{
	return host_flash_erase(off, len);
}

void flash_protect(uint32_t off, uint32_t len)
{
	host_flash_protect(off, len);
}

size_t port_uart_read(uint8_t *buf, size_t max)
{
	return host_uart_read(buf, max);
}

void port_uart_write(const uint8_t *buf, size_t len)
{
	host_uart_write(buf, len);
}

void port_log(const char *text)
{
	host_log_write(text, strlen(text));
}

uint32_t port_millis(void)
{
	return host_millis();
}

_Noreturn void port_reset(void)
{
	struct retained r;

	retained_load(&r);
	r.reset_cause = RESET_SOFTWARE;
	retained_store(&r);
	host_reset();
}

_Noreturn void port_start_image(uint32_t flash_off, uint32_t len)
{
	host_start_image(flash_off, len);
}

_Noreturn void port_start_ram(uint32_t address, const uint8_t *body, uint32_t len)
{
	(void)address;
	host_start_ram(body, len);
}

uint8_t *port_ram_window(uint32_t start, uint32_t size)
{
	static uint8_t window[RAM_WINDOW];

	(void)start; /* addresses mean nothing to a module: the window is where the sector says it is */
	return size <= sizeof(window) ? window : 0;
}

uint32_t port_flash_address(uint32_t flash_off)
{
	return flash_off;
}

void port_watchdog_start(uint32_t timeout_ms)
{
	host_watchdog_start(timeout_ms);
}

void port_watchdog_feed(void)
{
	host_watchdog_feed();
}

_Noreturn void port_hang(void)
{
	host_hang();
}

_Noreturn void port_crash(void)
{
	__builtin_trap();
}

void machine_retained_read(void *to, uint32_t len)
{
	host_retained_read(to, len);
}

void machine_retained_write(const void *from, uint32_t len)
{
	host_retained_write(from, len);
}
