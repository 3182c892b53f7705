/* SPDX-License-Identifier: Apache-2.0 */
/* Group 200: what the bootloader enforces, told over SMP. Shared by application and serial recovery; the format is
 * documented in README.md. */
#ifndef TRUST_H
#define TRUST_H
#include <stdbool.h>

#include "../port/provision.h"
#include "server.h"

/* `p` must outlive the server. */
void trust_init(const struct provision *p, bool in_recovery);

int trust_counters(struct smp_exchange *x);
int trust_keys(struct smp_exchange *x);
int trust_boot(struct smp_exchange *x);
int trust_events(struct smp_exchange *x);

#define TRUST_COMMANDS                              \
	{GROUP_TRUST, 0, OP_READ, trust_counters},  \
	{GROUP_TRUST, 1, OP_READ, trust_keys},      \
	{GROUP_TRUST, 2, OP_READ, trust_boot},      \
	{GROUP_TRUST, 3, OP_READ, trust_events}

#endif
