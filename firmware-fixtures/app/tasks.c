/* SPDX-License-Identifier: Apache-2.0 */
#include "tasks.h"

#include "../port/port.h"

static struct task tasks[TASK_COUNT] = {
	[TASK_SMP] = {.name = "smp"},
	[TASK_HOUSEKEEPING] = {.name = "housekeeping"},
};

const struct task *task_get(enum task_id id)
{
	return &tasks[id];
}

uint32_t task_enter(void)
{
	return port_millis();
}

void task_leave(enum task_id id, uint32_t entered)
{
	tasks[id].runs++;
	tasks[id].runtime_ms += port_millis() - entered;
}
