/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DER_H
#define DER_H
#include <stddef.h>
#include <stdint.h>

/* One DER element at *at: checks the tag, moves *at to the content, returns its length. 0 if it does not fit. */
size_t der_enter(const uint8_t *der, size_t len, size_t *at, uint8_t tag);

#endif
