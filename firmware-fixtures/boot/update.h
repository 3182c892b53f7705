/* SPDX-License-Identifier: Apache-2.0 */
/* What to do with the slots of each image before anything is started, and doing it. */
#ifndef UPDATE_H
#define UPDATE_H
#include <stdbool.h>
#include "../port/provision.h"

/* Finishes what a power cut interrupted, then installs or reverts what the trailers ask for, if it is good. */
void update_all(const struct provision *p);

/* Raises the stored counter to that of the image in a slot, unless the board keeps none. False: impossible. */
bool store_counter(const struct provision *p, unsigned image, unsigned slot);

/* The stored counter follows the image in the primary. False: that is impossible, do not start. */
bool update_counter(const struct provision *p, unsigned image);

#endif
