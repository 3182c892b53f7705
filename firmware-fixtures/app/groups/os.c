/* SPDX-License-Identifier: Apache-2.0 */
/* Group 0. */
#include <string.h>

#include "../../boot/modes.h"
#include "../../boot/trailer.h"
#include "../../port/retained.h"
#include "../../smp/text.h"
#include "../board.h"
#include "../clock.h"
#include "../tasks.h"
#include "../traits.h"
#include "groups.h"

#define INFO_MAX 256u /* of the info text; CONFIG_MCUMGR_GRP_OS_INFO_MAX_RESPONSE_SIZE's default order */

#if defined(__wasm__)
#define MACHINE_NAME "wasm32"
#define PROCESSOR_NAME "webassembly"
#elif defined(__arm__)
#define MACHINE_NAME "arm"
#define PROCESSOR_NAME "cortex-m3"
#else
#define MACHINE_NAME "host"
#define PROCESSOR_NAME "host"
#endif

int os_echo(struct smp_exchange *x)
{
	struct span text = {(const uint8_t *)"", 0};
	struct field fields[] = {{"d", FIELD_TEXT, &text, false}};

	if (!cbor_fields(&x->in, fields, 1))
		return RC_INVALID;
	put_text(&x->out, "r");
	put_text_span(&x->out, text);
	return RC_OK;
}

#define TASK_QUEUED 0x80u /* Zephyr's state bit of a task that runs or could */

int os_tasks(struct smp_exchange *x)
{
	put_text(&x->out, "tasks");
	put_map(&x->out);
	for (unsigned i = 0; i < TASK_COUNT; i++) {
		const struct task *t = task_get((enum task_id)i);

		put_text(&x->out, t->name);
		put_map(&x->out);
		put_uint_at(&x->out, "prio", i);
		put_uint_at(&x->out, "tid", i);
		put_uint_at(&x->out, "state", TASK_QUEUED);
		put_uint_at(&x->out, "cswcnt", t->runs);
		put_uint_at(&x->out, "runtime", t->runtime_ms);
		put_end(&x->out);
	}
	put_end(&x->out);
	return RC_OK;
}

int os_datetime_read(struct smp_exchange *x)
{
	char now[CLOCK_TEXT_MAX + 1];
	struct text t;

	text_init(&t, now, sizeof(now));
	if (!clock_text(&t))
		return smp_fail(x, GROUP_OS, OS_RTC_NOT_SET, NULL);
	put_text_at(&x->out, "datetime", now);
	return RC_OK;
}

int os_datetime_write(struct smp_exchange *x)
{
	struct span text = {0};
	struct field fields[] = {{"datetime", FIELD_TEXT, &text, false}};

	return cbor_fields(&x->in, fields, 1) && clock_set(text) ? RC_OK : RC_INVALID;
}

/* Everything in the request may be absent, even the map. `force` has no meaning here, nothing refuses a reset. */
int os_reset(struct smp_exchange *x)
{
	uint32_t mode = BOOT_REQUEST_NORMAL;
	struct field fields[] = {{"boot_mode", FIELD_UINT, &mode, false}};
	struct retained r;

	if (x->header.length > 0 && !cbor_fields(&x->in, fields, 1))
		return RC_INVALID;
	if (mode > UINT8_MAX)
		return RC_INVALID;
	if (fields[0].found) {
		retained_load(&r);
		r.boot_request = (uint8_t)mode;
		retained_store(&r);
	}
	board_reset_soon();
	return RC_OK;
}

int os_params(struct smp_exchange *x)
{
	put_uint_at(&x->out, "buf_size", board_provision()->buf_size);
	put_uint_at(&x->out, "buf_count", board_provision()->buf_count);
	return RC_OK;
}

static void add_kernel_name(struct text *t)
{
	text_add(t, "bootproof-fixture");
}

static void add_node_name(struct text *t)
{
	const char *serial = (const char *)board_provision()->serial;

	text_add(t, serial[0] != '\0' ? serial : "unknown");
}

static void add_release(struct text *t)
{
	text_add(t, traits.label);
}

static void add_version(struct text *t)
{
	text_version(t, &board_image()->header.version);
}

/* A build that gives the same bytes everywhere has no date. */
static void add_build_date(struct text *t)
{
	text_add(t, "undated");
}

static void add_machine(struct text *t)
{
	text_add(t, MACHINE_NAME);
}

static void add_processor(struct text *t)
{
	text_add(t, PROCESSOR_NAME);
}

static void add_board_name(struct text *t)
{
	text_add(t, (const char *)board_provision()->board);
}

static void add_operating_system(struct text *t)
{
	text_add(t, "none");
}

/* In the order of the answer, whatever the order of the question. */
static const struct {
	char letter;
	void (*add)(struct text *t);
} info_parts[] = {
	{'s', add_kernel_name}, {'n', add_node_name}, {'r', add_release},	{'v', add_version},
	{'b', add_build_date},	{'m', add_machine},   {'p', add_processor},	{'i', add_board_name},
	{'o', add_operating_system},
};
#define INFO_PARTS (sizeof(info_parts) / sizeof(info_parts[0]))
#define INFO_ALL ((1u << INFO_PARTS) - 1u)

static bool info_letter(uint8_t letter, uint32_t *wanted)
{
	if (letter == 'a') {
		*wanted = INFO_ALL;
		return true;
	}
	for (size_t i = 0; i < INFO_PARTS; i++) {
		if (letter == (uint8_t)info_parts[i].letter) {
			*wanted |= 1u << i;
			return true;
		}
	}
	return false;
}

static void put_info(struct smp_exchange *x, uint32_t wanted)
{
	char output[INFO_MAX];
	struct text t;

	text_init(&t, output, sizeof(output));
	for (size_t i = 0; i < INFO_PARTS; i++) {
		if ((wanted & (1u << i)) == 0)
			continue;
		if (output[0] != '\0')
			text_add(&t, " ");
		info_parts[i].add(&t);
	}
	put_text_at(&x->out, "output", output);
}

int os_info(struct smp_exchange *x)
{
	struct span format = {0};
	struct field fields[] = {{"format", FIELD_TEXT, &format, false}};
	uint32_t wanted = 0;

	if (!cbor_fields(&x->in, fields, 1))
		return RC_INVALID;
	if (format.len == 0)
		format = (struct span){(const uint8_t *)"s", 1};
	for (uint32_t i = 0; i < format.len; i++) {
		if (!info_letter(format.data[i], &wanted))
			return smp_fail(x, GROUP_OS, OS_INVALID_FORMAT, NULL);
	}
	put_info(x, wanted);
	return RC_OK;
}

/* The bootloader says honestly that it is not MCUboot; its mode has MCUboot's number. */
int os_bootloader(struct smp_exchange *x)
{
	struct span query = {(const uint8_t *)"", 0};
	struct field fields[] = {{"query", FIELD_TEXT, &query, false}};
	const struct provision *p = board_provision();

	if (!cbor_fields(&x->in, fields, 1))
		return RC_INVALID;
	if (query.len == 0) {
		put_text_at(&x->out, "bootloader", "bootproof-boot");
		return RC_OK;
	}
	if (!span_is(query, "mode"))
		return smp_fail(x, GROUP_OS, OS_NO_ANSWER, NULL);
	put_uint_at(&x->out, "mode", mode_of(p)->told);
	if (p->policy & (POLICY_DOWNGRADE_VERSION | POLICY_DOWNGRADE_COUNTER))
		put_bool_at(&x->out, "no-downgrade", true);
	return RC_OK;
}
