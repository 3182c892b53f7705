/* SPDX-License-Identifier: Apache-2.0 */
/* Could this machine start the body? MCUboot has it as MCUBOOT_VERIFY_IMG_ADDRESS. The recorded images have bodies of
 * noise, so the harness that replays them answers yes to all. */
#ifndef ENTRY_H
#define ENTRY_H
#include <stdbool.h>
#include "image.h"

/* `header` has passed header_check. The body is judged as it would lie where it is to run: at its load address, in its
 * own slot, or in the primary slot of image 0, as the mode has it. */
bool entry_plausible(const struct image_source *from, const struct image_header *header);

#endif
