/* SPDX-License-Identifier: Apache-2.0 */
/* Date and time of day. There is no battery: a reset forgets it. */
#ifndef CLOCK_H
#define CLOCK_H
#include <stdbool.h>

#include "../smp/cbor.h"
#include "../smp/text.h"

#define CLOCK_TEXT_MIN 19u /* YYYY-MM-DDTHH:MM:SS */
#define CLOCK_TEXT_MAX 25u /* with a fraction, which is dropped */

/* False when the text is no time between 1970 and 2099. */
bool clock_set(struct span text);
/* False when the clock was not set since the reset. */
bool clock_text(struct text *to);

#endif
