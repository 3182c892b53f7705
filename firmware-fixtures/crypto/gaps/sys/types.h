/* SPDX-License-Identifier: Apache-2.0 */
/* libsodium includes this and uses nothing of it that is not in stddef.h. */
#include <stddef.h>
