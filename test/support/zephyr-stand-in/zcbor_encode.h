/* Stand-in. */
#pragma once
#include <string.h>
#include <zcbor_common.h>

bool zcbor_tstr_encode_ptr(zcbor_state_t *state, const char *text, size_t len);
bool zcbor_uint32_put(zcbor_state_t *state, uint32_t value);
bool zcbor_map_start_encode(zcbor_state_t *state, size_t max_num);
bool zcbor_map_end_encode(zcbor_state_t *state, size_t max_num);
bool zcbor_list_start_encode(zcbor_state_t *state, size_t max_num);
bool zcbor_list_end_encode(zcbor_state_t *state, size_t max_num);
