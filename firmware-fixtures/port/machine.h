/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of port/ that both machines share need from the machine. Not for programs: those have port.h. */
#ifndef MACHINE_H
#define MACHINE_H
#include <stdint.h>

void machine_retained_read(void *to, uint32_t len);
void machine_retained_write(const void *from, uint32_t len);

#endif
