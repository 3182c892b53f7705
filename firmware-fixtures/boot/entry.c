/* SPDX-License-Identifier: Apache-2.0 */
#include "entry.h"

#include "../flash/flash.h"
#include "../port/layout.h"
#include "modes.h"

#ifdef __wasm__

/* A WebAssembly module: its magic and its version. */
bool entry_plausible(const struct image_source *from, const struct image_header *header)
{
	uint32_t words[2];

	if (header->img_size < sizeof(words) || source_read(from, header->hdr_size, words, sizeof(words)) != FLASH_OK)
		return false;
	return words[0] == 0x6d736100u && words[1] == 1u;
}

#else

/* A Cortex-M vector table: a stack in RAM, a Thumb entry point inside the body, and room for VTOR's alignment. */
static uint32_t body_address(const struct image_source *from, const struct image_header *header)
{
	const struct mode *mode = mode_of(provisioned());

	if (mode->ram)
		return header->load_addr + header->hdr_size;
	if (mode->way == WAY_PICK || mode->way == WAY_FIXED)
		return QEMU_FLASH_BASE + slot_offset(from->image, from->slot) + header->hdr_size;
	return QEMU_FLASH_BASE + slot_offset(0, 0) + header->hdr_size;
}

bool entry_plausible(const struct image_source *from, const struct image_header *header)
{
	uint32_t words[2], body = body_address(from, header);

	if (header->img_size < sizeof(words) || header->hdr_size % 128u != 0 ||
	    source_read(from, header->hdr_size, words, sizeof(words)) != FLASH_OK)
		return false;
	if (words[0] <= QEMU_RAM_BASE || words[0] > QEMU_RAM_BASE + QEMU_RAM_SIZE || words[0] % 4u != 0)
		return false;
	return (words[1] & 1u) != 0 && words[1] > body && words[1] < body + header->img_size;
}

#endif
