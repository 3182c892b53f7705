/* SPDX-License-Identifier: Apache-2.0 */
#include "retained.h"

#include <string.h>

#include "machine.h"

_Static_assert(sizeof(struct retained) == 20 + 8 * RETAINED_EVENTS, "no padding: the wasm host knows the offsets");

void retained_load(struct retained *r)
{
	machine_retained_read(r, sizeof(*r));
	if (r->magic == RETAINED_MAGIC)
		return;
	memset(r, 0, sizeof(*r));
	r->magic = RETAINED_MAGIC;
}

void retained_store(const struct retained *r)
{
	machine_retained_write(r, sizeof(*r));
}
