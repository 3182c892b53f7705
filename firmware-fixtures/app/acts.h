/* SPDX-License-Identifier: Apache-2.0 */
/* What some images do at their start that nobody asked them for. Only main.c built with APP_ACTS calls it. */
#ifndef ACTS_H
#define ACTS_H

void act_at_start(void);

#endif
