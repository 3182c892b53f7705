/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BUFFER_H
#define BUFFER_H

#define SMP_BUFFER_MAX 4096u /* largest server buffer a board may be provisioned with */

#endif
