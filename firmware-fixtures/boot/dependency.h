/* SPDX-License-Identifier: Apache-2.0 */
/* Dependency TLVs: which version another image must have at least. */
#ifndef DEPENDENCY_H
#define DEPENDENCY_H
#include <stdbool.h>
#include "../port/provision.h"

/* All that the image in `slots[image]` asks for is met by what lies in `slots` of the others. False also for an image
 * that cannot be read. */
bool dependencies_met(const struct provision *p, unsigned image, const unsigned slots[]);

#endif
