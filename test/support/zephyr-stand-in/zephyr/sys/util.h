/* Stand-in. */
#pragma once
#define ARRAY_SIZE(array)	  (sizeof(array) / sizeof((array)[0]))
#define BUILD_ASSERT(expr, text) _Static_assert(expr, text)
