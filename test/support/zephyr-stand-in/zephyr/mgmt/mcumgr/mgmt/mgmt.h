/* Stand-in: see the README two folders up from `zephyr`. */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { MGMT_ERR_EOK = 0, MGMT_ERR_ENOENT = 5, MGMT_ERR_EMSGSIZE = 7 };

struct smp_streamer;
typedef int (*mgmt_handler_fn)(struct smp_streamer *ctxt);

struct mgmt_handler {
	mgmt_handler_fn mh_read, mh_write;
};

struct mgmt_group {
	const struct mgmt_handler *mg_handlers;
	uint16_t mg_handlers_count, mg_group_id;
	const char *mg_group_name;
};

void mgmt_register_group(struct mgmt_group *group);
