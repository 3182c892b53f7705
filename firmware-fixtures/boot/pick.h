/* SPDX-License-Identifier: Apache-2.0 */
/* Direct-XIP and RAM load: either slot of an image may run, and the bootloader picks. */
#ifndef PICK_H
#define PICK_H
#include <stdbool.h>
#include "image.h"

struct picked {
	unsigned slot;
	struct image_header header;
	const uint8_t *ram; /* the image's copy, or 0: it runs from its slot */
};

/* Picks the highest version of each image that is good, and erases what is not. RAM load: it has been loaded. The stored
 * counters are raised. False: nothing can be started. */
bool pick_all(const struct provision *p, struct picked picked[]);

#endif
