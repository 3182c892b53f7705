/* Stand-in: writes indefinite maps and lists, as Zephyr does by default. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
	uint8_t *at, *end;
} zcbor_state_t;
