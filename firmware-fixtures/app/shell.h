/* SPDX-License-Identifier: Apache-2.0 */
/* A few commands in words, for `shell exec`. */
#ifndef SHELL_H
#define SHELL_H
#include "../smp/text.h"

#define SHELL_LINE_MAX 128u /* all arguments joined with spaces */
#define SHELL_ARGS_MAX 8u

/* Runs a command line; `line` is cut up in place. Returns the command's result, 0 or as errno, negative; what it
 * says goes to `out`. */
int shell_run(char *line, struct text *out);

#endif
