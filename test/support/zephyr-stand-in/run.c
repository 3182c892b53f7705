/* Asks the trust group one question and prints the answer: `run ID ROOM [KEY=BYTES]...`, KEY and BYTES in hex. Prints
 * "rc N" or the payload in hex; for ID -1 group number, count and name. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <zephyr/mgmt/mcumgr/mgmt/mgmt.h>
#include <zephyr/mgmt/mcumgr/smp/smp.h>
#include <zephyr/retention/blinfo.h>
#include <zcbor_encode.h>

extern void (*const trust_mgmt_handler)(void);

static struct mgmt_group *registered;
static char **shared;
static int shared_count;

void mgmt_register_group(struct mgmt_group *group)
{
	registered = group;
}

int blinfo_lookup(uint16_t key, char *val, int val_len_max)
{
	for (int i = 0; i < shared_count; i++) {
		char *bytes;
		int len;

		if (strtoul(shared[i], &bytes, 16) != key)
			continue;
		bytes++; /* = */
		len = (int)(strlen(bytes) / 2);
		if (len > val_len_max)
			return -EOVERFLOW;
		for (int b = 0; b < len; b++) {
			char digits[3] = {bytes[2 * b], bytes[2 * b + 1], 0};

			val[b] = (char)strtoul(digits, NULL, 16);
		}
		return len;
	}
	return -EIO;
}

static bool put(zcbor_state_t *state, uint8_t byte)
{
	if (state->at == state->end)
		return false;
	*state->at++ = byte;
	return true;
}

static bool put_head(zcbor_state_t *state, uint8_t major, uint32_t value)
{
	if (value < 24)
		return put(state, (uint8_t)(major << 5 | value));
	if (value < 256)
		return put(state, (uint8_t)(major << 5 | 24)) && put(state, (uint8_t)value);
	return put(state, (uint8_t)(major << 5 | 26)) && put(state, (uint8_t)(value >> 24)) &&
	       put(state, (uint8_t)(value >> 16)) && put(state, (uint8_t)(value >> 8)) && put(state, (uint8_t)value);
}

bool zcbor_tstr_encode_ptr(zcbor_state_t *state, const char *text, size_t len)
{
	bool ok = put_head(state, 3, (uint32_t)len);

	for (size_t i = 0; ok && i < len; i++)
		ok = put(state, (uint8_t)text[i]);
	return ok;
}

bool zcbor_uint32_put(zcbor_state_t *state, uint32_t value)
{
	return put_head(state, 0, value);
}

bool zcbor_map_start_encode(zcbor_state_t *state, size_t max_num)
{
	(void)max_num;
	return put(state, 0xbf);
}

bool zcbor_list_start_encode(zcbor_state_t *state, size_t max_num)
{
	(void)max_num;
	return put(state, 0x9f);
}

bool zcbor_map_end_encode(zcbor_state_t *state, size_t max_num)
{
	(void)max_num;
	return put(state, 0xff);
}

bool zcbor_list_end_encode(zcbor_state_t *state, size_t max_num)
{
	return zcbor_map_end_encode(state, max_num);
}

int main(int argc, char **argv)
{
	uint8_t payload[512];
	struct cbor_nb_writer writer = {.zs = {{payload, payload}}};
	struct smp_streamer streamer = {&writer};
	int id = atoi(argv[1]), rc;

	writer.zs[0].end += atoi(argv[2]);
	shared = argv + 3;
	shared_count = argc - 3;
	trust_mgmt_handler();
	if (id < 0) {
		printf("%u %u %s\n", registered->mg_group_id, registered->mg_handlers_count, registered->mg_group_name);
		return 0;
	}
	if (id >= registered->mg_handlers_count || registered->mg_handlers[id].mh_read == NULL) {
		printf("rc 8\n");
		return 0;
	}
	/* The server opens and closes the map of the answer. */
	rc = put(writer.zs, 0xbf) ? registered->mg_handlers[id].mh_read(&streamer) : MGMT_ERR_EMSGSIZE;
	if (rc != 0) {
		printf("rc %d\n", rc);
		return 0;
	}
	put(writer.zs, 0xff);
	for (uint8_t *byte = payload; byte < writer.zs[0].at; byte++)
		printf("%02x", *byte);
	printf("\n");
	return 0;
}
