/* SPDX-License-Identifier: Apache-2.0 */
/* Where everything lives that does not depend on the geometry; the slots are in geometry.c. The host's layout.ts has the
 * same numbers. */
#ifndef LAYOUT_H
#define LAYOUT_H

#define FLASH_SECTOR 0x1000u    /* bytes erased at once outside the slots */
#define FLASH_SIZE 0x100000u    /* bytes of emulated flash that are used; offsets below count from its start */
#define MAX_IMAGES 2u

#define SETTINGS_OFFSET 0x80000u /* settings store, two sectors used in turn */
#define SETTINGS_SIZE 0x4000u
#define FILES_OFFSET 0x90000u /* file store */
#define FILES_SIZE 0x10000u
#define COUNTERS_OFFSET 0xa0000u /* security counters: two sectors, A and B */
#define COUNTERS_SIZE 0x2000u
#define PROVISION_OFFSET 0xa2000u /* what the factory wrote: keys and policy, see provision.h */
#define PROVISION_SIZE 0x1000u
#define SCRATCH_OFFSET 0xb0000u /* for swap using scratch */

#define RAM_WINDOW 0x20000u      /* bytes that images can be loaded to in RAM load mode */

/* mps2-an385 */
#define QEMU_FLASH_BASE 0x21000000u  /* PSRAM, a host file */
#define QEMU_SLOT_SIZE 0x20000u      /* the slots that applications are linked for: the first two of GEOMETRY_EVEN */
#define QEMU_RAM_BASE 0x20000000u
#define QEMU_RAM_SIZE 0x003ff000u
#define QEMU_RAM_LOAD 0x20100000u    /* where images are loaded to in RAM load mode */
#define QEMU_RETAINED 0x203ff000u    /* survives every reset, not a power cut */
#define QEMU_STRAPS 0x203ff800u      /* words written by the loader at each reset */
#define IMAGE_HEADER_SIZE 0x200u     /* of the fixture images; the bootloader takes any */

#endif
