/* SPDX-License-Identifier: Apache-2.0 */
/* Time, reset, watchdog, retained memory and the jump into an image. */
#include <string.h>

#include "../layout.h"
#include "../machine.h"
#include "../port.h"
#include "../retained.h"
#include "mps2.h"
#include "state.h"
#include "uart.h"

#define STATE_ADDRESS (QEMU_RETAINED + 0x400u)

_Static_assert(sizeof(struct retained) <= 0x400u, "the machine's own state follows");
_Static_assert(STATE_ADDRESS + sizeof(struct machine_state) <= QEMU_STRAPS, "the straps follow");

struct machine_state *machine_state(void)
{
	return (struct machine_state *)STATE_ADDRESS;
}

const struct machine_straps *machine_straps(void)
{
	return (const struct machine_straps *)QEMU_STRAPS;
}

uint32_t port_millis(void)
{
	static uint32_t millis, counted; /* counter value up to which `millis` has counted */
	uint32_t passed = (FPGAIO_COUNTER - counted) / TICKS_PER_MS;

	millis += passed;
	counted += passed * TICKS_PER_MS;
	return millis;
}

/* The counter of port_millis wraps after 171 s; SysTick reaches 0.67 s, so no sleep is long enough to miss it. */
static void sleep_for(uint32_t ms)
{
	uint32_t longest = SYST_MAX / TICKS_PER_MS;

	SYST_RVR = (ms < longest ? ms : longest) * TICKS_PER_MS;
	SYST_CVR = 0;
	SYST_CSR = 7u; /* enabled, interrupt, CPU clock */
	/* With interrupts off a pending one still ends WFI: none can slip in between the look and the sleep. */
	__asm__ volatile("cpsid i" ::: "memory");
	if (!uart_has_input())
		__asm__ volatile("wfi" ::: "memory");
	__asm__ volatile("cpsie i\n isb" ::: "memory");
	SYST_CSR = 0;
}

void machine_sleep(int32_t ms)
{
	uint32_t start = port_millis();
	uint32_t slept = 0;

	while (slept < (uint32_t)ms && !uart_has_input()) {
		sleep_for((uint32_t)ms - slept);
		slept = port_millis() - start;
		if (ms == FW_IDLE)
			slept = 0;
	}
}

void machine_retained_read(void *to, uint32_t len)
{
	memcpy(to, (const void *)QEMU_RETAINED, len);
}

void machine_retained_write(const void *from, uint32_t len)
{
	memcpy((void *)QEMU_RETAINED, from, len);
}

static _Noreturn void system_reset(void)
{
	__asm__ volatile("dsb" ::: "memory");
	SCB_AIRCR = SCB_AIRCR_SYSRESETREQ;
	for (;;)
		;
}

_Noreturn void machine_reset(uint8_t cause)
{
	struct retained r;

	retained_load(&r);
	r.reset_cause = cause;
	retained_store(&r);
	system_reset();
}

_Noreturn void port_reset(void)
{
	machine_reset(RESET_SOFTWARE);
}

_Noreturn void port_crash(void)
{
	__builtin_trap();
}

_Noreturn void port_hang(void)
{
	NVIC_ICER = 0xffffffffu; /* nothing but the watchdog's NMI may end the sleep */
	SYST_CSR = 0;
	for (;;)
		__asm__ volatile("wfi");
}

void port_watchdog_start(uint32_t timeout_ms)
{
	WATCHDOG_LOCK = WATCHDOG_UNLOCK;
	WATCHDOG_LOAD = timeout_ms * TICKS_PER_MS;
	WATCHDOG_CONTROL = WATCHDOG_INTEN | WATCHDOG_RESEN;
}

void port_watchdog_feed(void)
{
	WATCHDOG_INTCLR = 1;
}

/* ADP_Stopped_ApplicationExit through SYS_EXIT_EXTENDED: QEMU is gone at this very instruction. */
_Noreturn void machine_power_cut(void)
{
	static const uint32_t block[2] = {0x20026u, 42u};

	__asm__ volatile("mov r0, #0x20\n mov r1, %0\n bkpt 0xab" : : "r"(block) : "r0", "r1", "memory");
	for (;;)
		;
}

static int is_startable(const uint32_t *vectors, uint32_t len)
{
	uint32_t base = (uint32_t)vectors, stack, entry;

	if (len < 8u || (base & 0x7fu) != 0)
		return 0;
	stack = vectors[0];
	entry = vectors[1];
	return stack > QEMU_RAM_BASE && stack <= QEMU_RAM_BASE + QEMU_RAM_SIZE && (stack & 3u) == 0 && (entry & 1u) != 0 &&
	       entry - 1u >= base + 8u && entry - 1u < base + len;
}

__attribute__((naked, noreturn)) static void jump(uint32_t stack, uint32_t entry)
{
	__asm__ volatile("msr msp, r0\n cpsie i\n isb\n bx r1");
	(void)stack;
	(void)entry;
}

/* The image finds the core as a reset leaves it: nothing enabled, nothing pending. */
static _Noreturn void start_at(const uint32_t *vectors, uint32_t len)
{
	if (!is_startable(vectors, len)) {
		port_log("stack or entry point of the image lies outside its place\n");
		port_crash();
	}
	__asm__ volatile("cpsid i" ::: "memory");
	SYST_CSR = 0;
	NVIC_ICER = 0xffffffffu;
	uart_off();
	NVIC_ICPR = 0xffffffffu;
	SCB_ICSR = SCB_ICSR_PENDSTCLR;
	SCB_VTOR = (uint32_t)vectors;
	__asm__ volatile("dsb\n isb" ::: "memory");
	jump(vectors[0], vectors[1]);
}

_Noreturn void port_start_image(uint32_t flash_off, uint32_t len)
{
	start_at((const uint32_t *)port_flash_address(flash_off), len);
}

_Noreturn void port_start_ram(uint32_t address, const uint8_t *body, uint32_t len)
{
	(void)body;
	start_at((const uint32_t *)address, len);
}

uint8_t *port_ram_window(uint32_t start, uint32_t size)
{
	return start >= QEMU_RAM_LOAD && size <= RAM_WINDOW && start <= QEMU_RAM_LOAD + RAM_WINDOW - size ? (uint8_t *)start : 0;
}

uint32_t port_flash_address(uint32_t flash_off)
{
	return QEMU_FLASH_BASE + flash_off;
}
