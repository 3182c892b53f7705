/* SPDX-License-Identifier: Apache-2.0 */
/* In flash: two sectors, each holding at most one snapshot {head, entries}. A save erases the sector without the
 * newest snapshot and writes there, so a power cut at any point leaves the old one. */
#include "settings.h"

#include <string.h>

#include "../flash/flash.h"
#include "../port/layout.h"
#include "board.h"
#include "../port/crc32.h"
#include "log.h"
#include "nor.h"

enum kind { KIND_U8, KIND_U32, KIND_TEXT, KIND_BYTES };
enum { READ_ONLY = 1, WRITE_ONLY = 2 };

struct setting {
	const char *name;
	uint8_t kind, flags, max; /* bytes, or for KIND_U8 the largest value */
	uint8_t len;
	uint8_t value[SETTING_VALUE_MAX];
};

enum { LOG_CONSOLE, APP_NAME, APP_INTERVAL, APP_TOKEN, ID_BOARD, ID_SERIAL, SETTINGS };

static struct setting settings[SETTINGS];

static const struct setting defaults[SETTINGS] = {
	[LOG_CONSOLE] = {.name = "log/console", .kind = KIND_U8, .max = LOG_CONSOLE_PROMPT, .len = 1},
	[APP_NAME] = {.name = "app/name", .kind = KIND_TEXT, .max = 32, .len = 9, .value = "bootproof"},
	[APP_INTERVAL] = {.name = "app/interval", .kind = KIND_U32, .max = 4, .len = 4, .value = {0xe8, 0x03}},
	[APP_TOKEN] = {.name = "app/token", .kind = KIND_BYTES, .flags = WRITE_ONLY, .max = 16},
	[ID_BOARD] = {.name = "id/board", .kind = KIND_TEXT, .flags = READ_ONLY, .max = 32},
	[ID_SERIAL] = {.name = "id/serial", .kind = KIND_TEXT, .flags = READ_ONLY, .max = 16},
};

#define SNAPSHOT_MAGIC 0x53455431u
#define SNAPSHOT_MAX 512u
#define NEVER 0xffffffffu

struct head {
	uint32_t magic, generation, len, crc; /* len and crc of the entries behind it */
};

static uint8_t entries[SNAPSHOT_MAX]; /* {name length, value length, name, value} ... */

static void set_text(struct setting *s, const uint8_t *text)
{
	s->len = (uint8_t)strlen((const char *)text);
	memcpy(s->value, text, s->len);
}

static struct setting *find(struct span name)
{
	for (size_t i = 0; i < SETTINGS; i++) {
		if (span_is(name, settings[i].name))
			return &settings[i];
	}
	return NULL;
}

static size_t root_len(const uint8_t *name, size_t len)
{
	size_t n = 0;

	while (n < len && name[n] != '/')
		n++;
	return n;
}

static enum settings_result why_missing(struct span name)
{
	size_t root = root_len(name.data, name.len);

	for (size_t i = 0; i < SETTINGS; i++) {
		const char *known = settings[i].name;

		if (root == root_len((const uint8_t *)known, strlen(known)) && memcmp(name.data, known, root) == 0)
			return SETTINGS_NO_KEY;
	}
	return SETTINGS_NO_ROOT;
}

enum settings_result settings_read(struct span name, struct span *value)
{
	const struct setting *s = find(name);

	if (s == NULL)
		return why_missing(name);
	if (s->flags & WRITE_ONLY)
		return SETTINGS_NO_READ;
	*value = (struct span){s->value, s->len};
	return SETTINGS_OK;
}

static bool fits(const struct setting *s, struct span value)
{
	switch (s->kind) {
	case KIND_U8:
		return value.len == 1 && value.data[0] <= s->max;
	case KIND_U32:
		return value.len == 4;
	default:
		return value.len <= s->max;
	}
}

static void set_value(struct setting *s, struct span value)
{
	if (value.len > 0)
		memcpy(s->value, value.data, value.len);
	s->len = (uint8_t)value.len;
}

enum settings_result settings_write(struct span name, struct span value)
{
	struct setting *s = find(name);

	if (s == NULL)
		return why_missing(name);
	if (s->flags & READ_ONLY)
		return SETTINGS_NO_WRITE;
	if (!fits(s, value))
		return SETTINGS_BAD_VALUE;
	set_value(s, value);
	return SETTINGS_OK;
}

static uint32_t sector(unsigned which)
{
	return SETTINGS_OFFSET + which * FLASH_SECTOR;
}

/* Reads a snapshot into `entries`; its generation, or NEVER when the sector holds none that is whole. */
static uint32_t read_snapshot(unsigned which, uint32_t *len)
{
	struct head h;

	if (flash_read(sector(which), &h, sizeof(h)) != FLASH_OK || h.magic != SNAPSHOT_MAGIC)
		return NEVER;
	if (h.len > sizeof(entries) || flash_read(sector(which) + sizeof(h), entries, h.len) != FLASH_OK)
		return NEVER;
	*len = h.len;
	return crc32(0, entries, h.len) == h.crc ? h.generation : NEVER;
}

/* Which of the two sectors holds the newest snapshot; -1 = none. */
static int newest(uint32_t *generation)
{
	uint32_t len, a = read_snapshot(0, &len), b = read_snapshot(1, &len);

	if (a == NEVER && b == NEVER)
		return -1;
	if (b == NEVER || (a != NEVER && a > b)) {
		*generation = a;
		return 0;
	}
	*generation = b;
	return 1;
}

/* What flash holds is checked like what a client sends: the build that wrote it may have been another one. */
static void apply_entries(uint32_t len)
{
	uint32_t at = 0;

	while (at + 2 <= len) {
		struct span name = {entries + at + 2, entries[at]};
		struct span value = {entries + at + 2 + name.len, entries[at + 1]};

		at += 2 + name.len + value.len;
		if (at > len)
			return;
		settings_write(name, value);
	}
}

enum settings_result settings_load(void)
{
	uint32_t generation, len;
	int which = newest(&generation);

	if (which >= 0 && read_snapshot((unsigned)which, &len) == generation)
		apply_entries(len);
	return SETTINGS_OK;
}

static bool is_default(size_t i)
{
	return settings[i].len == defaults[i].len && memcmp(settings[i].value, defaults[i].value, settings[i].len) == 0;
}

static uint32_t put_entry(uint32_t at, const struct setting *s)
{
	size_t name_len = strlen(s->name);

	if (at + 2 + name_len + s->len > sizeof(entries))
		return at;
	entries[at] = (uint8_t)name_len;
	entries[at + 1] = s->len;
	memcpy(entries + at + 2, s->name, name_len);
	memcpy(entries + at + 2 + name_len, s->value, s->len);
	return at + 2 + (uint32_t)name_len + s->len;
}

static uint32_t gather_entries(void)
{
	uint32_t len = 0;

	for (size_t i = 0; i < SETTINGS; i++) {
		if ((settings[i].flags & READ_ONLY) == 0 && !is_default(i))
			len = put_entry(len, &settings[i]);
	}
	return len;
}

enum settings_result settings_save(void)
{
	struct head h = {SNAPSHOT_MAGIC, 1, 0, 0};
	uint32_t generation, to;
	struct nor_stream s;
	int which = newest(&generation);

	if (which >= 0)
		h.generation = generation + 1;
	to = sector(which == 0 ? 1 : 0);
	h.len = gather_entries();
	h.crc = crc32(0, entries, h.len);
	nor_open(&s, to, to, board_provision()->write_unit);
	if (nor_append(&s, &h, sizeof(h)) != FLASH_OK || nor_append(&s, entries, h.len) != FLASH_OK ||
	    nor_finish(&s) != FLASH_OK)
		return SETTINGS_FLASH;
	return SETTINGS_OK;
}

enum settings_result settings_delete(struct span name)
{
	struct setting *s = find(name);

	if (s == NULL)
		return SETTINGS_NO_KEY;
	if (s->flags & READ_ONLY)
		return SETTINGS_NO_WRITE;
	*s = defaults[s - settings];
	return settings_save();
}

enum settings_result settings_erase(void)
{
	return nor_erase(SETTINGS_OFFSET, SETTINGS_SIZE) == FLASH_OK ? SETTINGS_OK : SETTINGS_FLASH;
}

void settings_init(void)
{
	memcpy(settings, defaults, sizeof(settings));
	set_text(&settings[ID_BOARD], board_provision()->board);
	set_text(&settings[ID_SERIAL], board_provision()->serial);
	settings_load();
}

uint8_t settings_log_console(void)
{
	return settings[LOG_CONSOLE].value[0];
}

void settings_set_log_console(uint8_t value)
{
	settings[LOG_CONSOLE].value[0] = value;
}
