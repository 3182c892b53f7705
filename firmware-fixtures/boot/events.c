/* SPDX-License-Identifier: Apache-2.0 */
#include "events.h"

#include <string.h>

#include "../port/port.h"
#include "image.h"

#define LINE_MAX 120u

struct line {
	char text[LINE_MAX + 2];
	size_t len;
};

static void add(struct line *line, const char *words)
{
	size_t len = strlen(words);

	if (len > LINE_MAX - line->len)
		len = LINE_MAX - line->len;
	memcpy(line->text + line->len, words, len);
	line->len += len;
}

static void add_number(struct line *line, uint32_t number)
{
	char digits[11];
	size_t at = sizeof(digits) - 1;

	digits[at] = '\0';
	do {
		digits[--at] = (char)('0' + number % 10u);
		number /= 10u;
	} while (number > 0);
	add(line, digits + at);
}

static void end(struct line *line)
{
	line->text[line->len] = '\n';
	line->text[line->len + 1] = '\0';
	port_log(line->text);
}

void log_words(const char *first, const char *second)
{
	struct line line = {.len = 0};

	add(&line, first);
	add(&line, second);
	end(&line);
}

void log_number(const char *first, uint32_t number)
{
	struct line line = {.len = 0};

	add(&line, first);
	add_number(&line, number);
	end(&line);
}

const char *event_type_text(enum event_type type)
{
	static const char *const TEXT[] = {
		[EVENT_VERIFY_FAILED] = "verify-failed",
		[EVENT_SWAPPED] = "swapped",
		[EVENT_REVERTED] = "reverted",
		[EVENT_COUNTER_ADVANCED] = "counter-advanced",
		[EVENT_ERASED] = "erased",
		[EVENT_SWAP_RESUMED] = "swap-resumed",
		[EVENT_RECOVERY] = "recovery",
		[EVENT_STARTED] = "started",
		[EVENT_DOWNGRADE_REFUSED] = "downgrade-refused",
		[EVENT_DEPENDENCY] = "dependency",
	};

	return (unsigned)type < sizeof(TEXT) / sizeof(TEXT[0]) && TEXT[type] != 0 ? TEXT[type] : "unknown";
}

static void say(enum event_type type, unsigned image, unsigned slot, enum verify_reason reason, uint32_t value)
{
	struct line line = {.len = 0};

	add(&line, "boot: image ");
	add_number(&line, image);
	add(&line, " slot ");
	add_number(&line, slot);
	add(&line, ": ");
	add(&line, event_type_text(type));
	if (reason != VERIFY_OK) {
		add(&line, ", reason ");
		add(&line, verify_reason_text(reason));
	}
	if (value != 0) {
		add(&line, ", value ");
		add_number(&line, value);
	}
	end(&line);
}

void event_record(enum event_type type, unsigned image, unsigned slot, enum verify_reason reason, uint32_t value)
{
	struct retained r;

	retained_load(&r);
	r.events[r.event_count % RETAINED_EVENTS] = (struct boot_event){
		.type = (uint8_t)type,
		.image = (uint8_t)image,
		.slot = (uint8_t)slot,
		.reason = (uint8_t)reason,
		.value = value,
	};
	r.event_count++;
	retained_store(&r);
	say(type, image, slot, reason, value);
}
