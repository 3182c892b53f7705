/* SPDX-License-Identifier: Apache-2.0 */
/* The application's end of the SMP UART, for those who count or look. */
#ifndef APP_SERVER_H
#define APP_SERVER_H
#include "../smp/endpoint.h"

const struct endpoint *app_endpoint(void);

#endif
