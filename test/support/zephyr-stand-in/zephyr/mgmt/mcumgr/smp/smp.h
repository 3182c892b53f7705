/* Stand-in. */
#pragma once
#include <zcbor_common.h>

struct cbor_nb_writer {
	zcbor_state_t zs[1];
};

struct smp_streamer {
	struct cbor_nb_writer *writer;
};
