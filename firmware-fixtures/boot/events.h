/* SPDX-License-Identifier: Apache-2.0 */
/* What the bootloader did, kept in retained memory for the application to report, and said on the log UART. */
#ifndef EVENTS_H
#define EVENTS_H
#include <stdint.h>
#include "../port/retained.h"

/* Appends to the ring in retained memory and writes one line of words to the log UART. */
void event_record(enum event_type type, unsigned image, unsigned slot, enum verify_reason reason, uint32_t value);

/* A word for a type, as in group 200 events: "verify-failed", "swapped", ... */
const char *event_type_text(enum event_type type);

/* One line on the log UART: the parts joined, then a newline. At most 120 bytes are kept. */
void log_words(const char *first, const char *second);
void log_number(const char *first, uint32_t number);

#endif
