/* SPDX-License-Identifier: Apache-2.0 */
/* For the tests that replay MCUboot's recordings: the bootloader with the application's requests added, and without
 * recovery. Linked instead of recovery.c and entry.c, for WebAssembly only. */
#include "../flash/flash.h"
#include "../port/layout.h"
#include "../port/port.h"
#include "boot.h"
#include "counter.h"
#include "entry.h"
#include "recovery.h"
#include "trailer.h"

#define EXPORT(name) __attribute__((export_name(#name)))

static struct provision provision;
static int recovery;

/* The recorded images have bodies of noise. */
bool entry_plausible(const struct image_source *from, const struct image_header *header)
{
	(void)from;
	(void)header;
	return true;
}

void recovery_init(const struct provision *p, int why)
{
	(void)p;
	recovery = why;
}

int32_t recovery_step(void)
{
	return FW_IDLE;
}

bool recovery_wrote(unsigned image)
{
	(void)image;
	return false;
}

/* One boot. Returns why recovery was entered; otherwise it does not return, the machine starts the image. */
EXPORT(harness_boot) int harness_boot(void)
{
	fw_init();
	fw_step();
	return recovery;
}

EXPORT(harness_set_next) int harness_set_next(unsigned image, unsigned slot, int active, int confirm)
{
	provision_load(&provision);
	return boot_set_next(&provision, image, slot, active != 0, confirm != 0);
}

EXPORT(harness_set_pending) int harness_set_pending(unsigned image, int permanent)
{
	provision_load(&provision);
	return boot_set_pending(&provision, image, permanent != 0);
}

EXPORT(harness_swap_type) int harness_swap_type(unsigned image)
{
	provision_load(&provision);
	return swap_type_of(image);
}

/* magic, image_ok, copy_done and swap type of a trailer, a byte each */
EXPORT(harness_trailer) uint32_t harness_trailer(unsigned image, unsigned slot)
{
	struct trailer t;

	provision_load(&provision);
	trailer_read(image, slot, &t);
	return (uint32_t)t.magic << 24 | (uint32_t)t.image_ok << 16 | (uint32_t)t.copy_done << 8 | (uint32_t)t.swap_type;
}

EXPORT(harness_counter) uint32_t harness_counter(unsigned image)
{
	provision_load(&provision);
	return counter_read(image);
}

EXPORT(harness_counter_advance) int harness_counter_advance(unsigned image, uint32_t value)
{
	provision_load(&provision);
	return counter_advance(image, value);
}

/* Where RAM load puts images, for looking at. */
EXPORT(harness_ram) uint8_t *harness_ram(void)
{
	return port_ram_window(0, RAM_WINDOW);
}
