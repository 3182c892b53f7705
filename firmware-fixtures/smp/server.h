/* SPDX-License-Identifier: Apache-2.0 */
/* One SMP request in, one answer out. What is served is a table of rows; bootloader and application have their own. */
#ifndef SERVER_H
#define SERVER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cbor.h"
#include "codes.h"

#define SMP_HEADER 8u
#define OP_ANY 0xffu /* a row of MCUboot's: the id decides, reads and writes alike */

struct smp_header {
	uint8_t op, version; /* version 0 = SMP v1, 1 = SMP v2 */
	uint16_t length, group;
	uint8_t seq, id;
};

/* A request while it is being answered. The answer's map is open; a handler writes keys and values into `out`. */
struct smp_exchange {
	struct smp_header header;
	struct cbor_in in;
	struct cbor_out out;
	uint16_t error_group, error; /* set by smp_fail */
	const char *reason;
};

/* Returns an smp_rc. Anything but RC_OK replaces the answer by {"rc": n}. */
typedef int smp_handler(struct smp_exchange *x);

struct smp_command {
	uint16_t group;
	uint8_t id, op;
	smp_handler *run;
};

/* How the server behaves where Zephyr's and MCUboot's differ. */
enum smp_manner {
	SMP_LIKE_ZEPHYR,  /* strict header, errors of groups, several requests in one message */
	SMP_LIKE_MCUBOOT, /* sloppy header, only rc */
};

struct smp_counts {
	uint32_t requests, answers, errors;
};

struct smp_server {
	const struct smp_command *commands;
	size_t count;
	enum smp_manner manner;
	size_t answer_max; /* bytes; a longer answer becomes rc 7 */
	struct smp_counts counts;
};

/* The group's own error: {"err": {"group", "rc"}} for SMP v2, after which a handler may add keys; {"rc": translated}
 * for v1, with `reason` (may be 0) as "rsn". Returns RC_OK, for `return smp_fail(...)`. */
int smp_fail(struct smp_exchange *x, uint16_t group, uint16_t error, const char *reason);

/* Takes the next request off a message (it may hold several) and writes its answer, at most `room` bytes.
 * Returns the answer's length; 0 = no answer. *used is how much of the message it took; all of it after an error. */
size_t smp_serve(struct smp_server *s, const uint8_t *message, size_t len, uint8_t *answer, size_t room, size_t *used);

/* What a v1 client gets for a group's error code. */
int smp_v1_code(uint16_t group, uint16_t error);

#endif
