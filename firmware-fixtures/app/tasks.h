/* SPDX-License-Identifier: Apache-2.0 */
/* The activities of the step loop, as task statistics show them. There is no scheduler; what is counted is real. */
#ifndef TASKS_H
#define TASKS_H
#include <stdint.h>

enum task_id { TASK_SMP, TASK_HOUSEKEEPING, TASK_COUNT };

struct task {
	const char *name;
	uint32_t runs, runtime_ms;
};

const struct task *task_get(enum task_id id);
uint32_t task_enter(void);                           /* the time, for task_leave */
void task_leave(enum task_id id, uint32_t entered);

#endif
