/* SPDX-License-Identifier: Apache-2.0 */
/* libsodium includes this for abort, which no function linked here calls. */
#ifndef GAPS_STDLIB_H
#define GAPS_STDLIB_H
#include <stddef.h>

_Noreturn void abort(void);

#endif
