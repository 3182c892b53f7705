/* SPDX-License-Identifier: Apache-2.0 */
/* Both libraries include this; a bare arm-none-eabi-gcc has only one that asks for the C library's. */
#ifndef GAPS_LIMITS_H
#define GAPS_LIMITS_H

#define CHAR_BIT __CHAR_BIT__
#define INT_MAX __INT_MAX__
#define INT_MIN (-__INT_MAX__ - 1)
#define UINT_MAX (__INT_MAX__ * 2u + 1u)
#define LONG_MAX __LONG_MAX__
#define ULONG_MAX (__LONG_MAX__ * 2ul + 1ul)

#endif
