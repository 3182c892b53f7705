/* SPDX-License-Identifier: Apache-2.0 */
/* A few typed settings: a tree in RAM, and a copy in flash that survives resets and torn writes. A write changes
 * RAM only; save makes it last. */
#ifndef SETTINGS_H
#define SETTINGS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../smp/cbor.h"

#define SETTING_NAME_MAX 32u
#define SETTING_VALUE_MAX 64u

enum settings_result {
	SETTINGS_OK,
	SETTINGS_NO_KEY,
	SETTINGS_NO_ROOT,  /* nothing at all below the first part of the name */
	SETTINGS_NO_READ,
	SETTINGS_NO_WRITE,
	SETTINGS_BAD_VALUE, /* wrong size, or out of range */
	SETTINGS_FLASH,
};

void settings_init(void); /* defaults, then what flash holds */

enum settings_result settings_read(struct span name, struct span *value);
enum settings_result settings_write(struct span name, struct span value);
enum settings_result settings_delete(struct span name); /* back to the default; saves at once, all of them */
enum settings_result settings_load(void);               /* flash over RAM */
enum settings_result settings_save(void);
enum settings_result settings_erase(void);              /* the whole flash area; RAM stays as it is */

uint8_t settings_log_console(void); /* enum log_console */
void settings_set_log_console(uint8_t value);

#endif
