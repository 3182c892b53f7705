/* SPDX-License-Identifier: Apache-2.0 */
/* Short texts put together in a fixed buffer; what does not fit is left out. Always zero-terminated. */
#ifndef TEXT_H
#define TEXT_H
#include <stddef.h>
#include <stdint.h>

#include "../boot/image.h"

struct text {
	char *at, *end;
};

void text_init(struct text *t, char *to, size_t size); /* size > 0 */
void text_add(struct text *t, const char *more);
void text_add_bytes(struct text *t, const uint8_t *bytes, size_t len);
void text_number(struct text *t, uint32_t value);
void text_padded(struct text *t, uint32_t value, unsigned digits); /* leading zeros */
/* "1.2.3", or "1.2.3.4" when the build number is not 0, as image list prints it. */
void text_version(struct text *t, const struct image_version *v);

#endif
