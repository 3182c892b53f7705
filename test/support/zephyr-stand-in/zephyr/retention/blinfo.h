/* Stand-in. */
#pragma once
#include <stdint.h>
int blinfo_lookup(uint16_t key, char *val, int val_len_max);
