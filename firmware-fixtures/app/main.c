/* SPDX-License-Identifier: Apache-2.0 */
/* The application: an SMP server that never blocks, and whatever else its traits make it do. */
#include "../boot/trailer.h"
#include "../port/port.h"
#include "../smp/endpoint.h"
#include "../smp/text.h"
#include "../smp/trust.h"
#include "acts.h"
#include "board.h"
#include "files.h"
#include "groups/groups.h"
#include "log.h"
#include "server.h"
#include "settings.h"
#include "tasks.h"
#include "traits.h"

#define FEED_MS 500 /* a quarter of the watchdog's time */
#define ANNOUNCEMENT_MAX 96u

static struct endpoint endpoint;

const struct endpoint *app_endpoint(void)
{
	return &endpoint;
}

static void announce(void)
{
	char line[ANNOUNCEMENT_MAX];
	struct text t;

	text_init(&t, line, sizeof(line));
	text_add(&t, traits.label);
	text_add(&t, " ");
	text_version(&t, &board_image()->header.version);
	text_add(&t, " started on ");
	text_add(&t, (const char *)board_provision()->board);
	log_line(line);
}

void fw_init(void)
{
	board_init();
	settings_init();
	files_init();
	trust_init(board_provision(), false);
	endpoint_init(&endpoint, app_commands, app_command_count, SMP_LIKE_ZEPHYR, board_provision()->buf_size,
		      log_smp_writer);
	if (board_provision()->framing == FRAMING_RAW)
		endpoint_be_raw(&endpoint);
	port_watchdog_start(traits.watchdog_ms != 0 ? traits.watchdog_ms : WATCHDOG_MS);
	announce();
	if (traits.confirms_itself)
		boot_set_next(board_provision(), 0, board_slot(0), true, true);
#ifdef APP_ACTS
	act_at_start();
#endif
}

static int32_t sooner(int32_t a, int32_t b)
{
	return a < b ? a : b;
}

/* Milliseconds from now to a moment after start; FW_IDLE when it is past or never comes. */
static int32_t until(uint32_t at_ms)
{
	uint32_t now = port_millis();

	return at_ms > now ? (int32_t)(at_ms - now) : FW_IDLE;
}

static bool has_come(uint32_t at_ms)
{
	return at_ms != 0 && port_millis() >= at_ms;
}

static void misbehave(void)
{
	if (has_come(traits.hangs_at_ms)) {
		log_line("hangs now");
		port_hang();
	}
	if (has_come(traits.crashes_at_ms)) {
		log_line("crashes now");
		port_crash();
	}
}

/* Watchdog, traits, a reset that is due. Returns when it wants to run again. */
static int32_t keep_house(void)
{
	int32_t due = board_reset_due(), next = FEED_MS;

	misbehave();
	port_watchdog_feed();
	if (due == 0)
		port_reset();
	if (due > 0)
		next = sooner(next, due);
	next = sooner(next, until(traits.hangs_at_ms));
	return sooner(next, until(traits.crashes_at_ms));
}

/* Bytes that come while the image is silent wait in the machine. */
static bool is_silent(void)
{
	return port_millis() < traits.silent_ms;
}

static bool serve(void)
{
	uint32_t entered = task_enter();
	bool more = endpoint_step(&endpoint);

	task_leave(TASK_SMP, entered);
	return more;
}

int32_t fw_step(void)
{
	uint32_t entered = task_enter();
	int32_t next = keep_house();

	task_leave(TASK_HOUSEKEEPING, entered);
	if (is_silent())
		return sooner(next, until(traits.silent_ms));
	if (serve())
		return 0;
	/* serving may just have asked for a reset */
	return board_reset_due() >= 0 ? sooner(next, board_reset_due()) : next;
}
