/* SPDX-License-Identifier: Apache-2.0 */
#include "lzma2.h"

#include <stdbool.h>
#include <stddef.h>

#define INPUT_CHUNK 256u
#define OUTPUT_CHUNK 1024u

#define MODEL_TOTAL_BITS 11u
#define MODEL_START (1u << (MODEL_TOTAL_BITS - 1u))
#define MOVE_BITS 5u
#define NORMAL_RANGE 0x1000000u
#define STATES 12u
#define LITERAL_STATES 7u
#define POSITION_STATES 16u
#define LITERAL_CONTEXTS 16u /* LZMA2: lc + lp is at most 4 */
#define LITERAL_MODELS 0x300u
#define MATCH_MIN 2u
#define LENGTH_KINDS 4u
#define FIRST_ALIGNED_SLOT 14u
#define ALIGN_BITS 4u

typedef uint16_t model; /* how likely a 0 is, of 2048 */

struct length_models {
	model choice[2];
	model low[POSITION_STATES][8], mid[POSITION_STATES][8], high[256];
};

/* Only models, so that all of it can be reset alike. */
struct models {
	model literal[LITERAL_CONTEXTS][LITERAL_MODELS];
	model is_match[STATES][POSITION_STATES], is_repeat[STATES], is_repeat0[STATES];
	model is_repeat0_long[STATES][POSITION_STATES], is_repeat1[STATES], is_repeat2[STATES];
	struct length_models match_length, repeat_length;
	model slot[LENGTH_KINDS][64], special[1 + 128], align[1u << ALIGN_BITS];
};

static struct {
	const struct lzma2_io *io;
	int error; /* the first that happened; from then on everything reads as 0 */
	uint8_t in[INPUT_CHUNK];
	uint32_t in_at, in_len;
	/* what was unpacked: a ring */
	uint8_t dictionary[LZMA2_DICTIONARY];
	uint32_t at, flushed; /* written since the dictionary was fresh; of that, handed on */
	bool needs_dictionary, needs_properties;
	uint8_t lc, lp_mask, pb_mask;
	/* range coder, within a chunk */
	uint32_t range, code, packed_left;
	uint32_t state, distance[4];
	struct models models;
} d;

static void fail(int error)
{
	if (d.error == LZMA2_OK)
		d.error = error;
}

/* --- bytes in, bytes out ---------------------------------------------------------------------------------------- */

static uint8_t next_byte(void)
{
	if (d.error != LZMA2_OK)
		return 0;
	if (d.in_at == d.in_len) {
		int got = d.io->read(d.io->context, d.in, sizeof(d.in));

		if (got <= 0) {
			fail(got < 0 ? got : LZMA2_DAMAGED);
			return 0;
		}
		d.in_at = 0;
		d.in_len = (uint32_t)got;
	}
	return d.in[d.in_at++];
}

static uint32_t next_u16(void)
{
	uint32_t high = next_byte();

	return high << 8 | next_byte();
}

/* In pieces that do not run over the ring's end. */
static void flush(void)
{
	while (d.error == LZMA2_OK && d.flushed < d.at) {
		uint32_t from = d.flushed % LZMA2_DICTIONARY, len = d.at - d.flushed;
		int rc;

		if (len > LZMA2_DICTIONARY - from)
			len = LZMA2_DICTIONARY - from;
		rc = d.io->write(d.io->context, d.dictionary + from, len);
		if (rc != 0)
			fail(rc);
		d.flushed += len;
	}
}

static void put(uint8_t byte)
{
	d.dictionary[d.at++ % LZMA2_DICTIONARY] = byte;
	if (d.at - d.flushed == OUTPUT_CHUNK)
		flush();
}

static bool is_behind(uint32_t distance)
{
	return distance < d.at && distance < LZMA2_DICTIONARY;
}

static uint8_t byte_behind(uint32_t distance)
{
	return is_behind(distance) ? d.dictionary[(d.at - distance - 1u) % LZMA2_DICTIONARY] : 0;
}

/* --- bits ---------------------------------------------------------------------------------------------------------- */

static void normalize(void)
{
	if (d.range >= NORMAL_RANGE)
		return;
	if (d.packed_left == 0) {
		fail(LZMA2_DAMAGED);
		return;
	}
	d.packed_left--;
	d.range <<= 8;
	d.code = d.code << 8 | next_byte();
}

static uint32_t bit(model *m)
{
	uint32_t bound = (d.range >> MODEL_TOTAL_BITS) * *m, value = d.code >= bound;

	if (value == 0) {
		d.range = bound;
		*m = (model)(*m + (((1u << MODEL_TOTAL_BITS) - *m) >> MOVE_BITS));
	} else {
		d.range -= bound;
		d.code -= bound;
		*m = (model)(*m - (*m >> MOVE_BITS));
	}
	normalize();
	return value;
}

/* Bits of which both values are as likely. */
static uint32_t direct_bits(uint32_t count)
{
	uint32_t value = 0;

	for (; count > 0; count--) {
		uint32_t one;

		d.range >>= 1;
		one = d.code >= d.range;
		if (one)
			d.code -= d.range;
		value = value << 1 | one;
		normalize();
	}
	return value;
}

static uint32_t tree(model *m, uint32_t bits)
{
	uint32_t symbol = 1;

	for (uint32_t left = bits; left > 0; left--)
		symbol = symbol << 1 | bit(&m[symbol]);
	return symbol - (1u << bits);
}

/* Lowest bit first. */
static uint32_t reverse_tree(model *m, uint32_t bits)
{
	uint32_t symbol = 1, value = 0;

	for (uint32_t i = 0; i < bits; i++) {
		uint32_t one = bit(&m[symbol]);

		symbol = symbol << 1 | one;
		value |= one << i;
	}
	return value;
}

/* --- literals and matches -------------------------------------------------------------------------------------------- */

static void literal(void)
{
	uint32_t before = d.at > 0 ? byte_behind(0) : 0;
	model *m = d.models.literal[((d.at & d.lp_mask) << d.lc) + (before >> (8 - d.lc))];
	uint32_t symbol = 1;

	/* After a match the byte that would have gone on with it is a hint, as long as it holds. */
	for (uint32_t hint = byte_behind(d.distance[0]); d.state >= LITERAL_STATES && symbol < 0x100u; hint <<= 1) {
		uint32_t hinted = hint >> 7 & 1u, value = bit(&m[((1u + hinted) << 8) + symbol]);

		symbol = symbol << 1 | value;
		if (value != hinted)
			break;
	}
	while (symbol < 0x100u)
		symbol = symbol << 1 | bit(&m[symbol]);
	put((uint8_t)symbol);
	d.state = d.state < 4 ? 0 : d.state < 10 ? d.state - 3 : d.state - 6;
}

static uint32_t length(struct length_models *m, uint32_t position)
{
	if (bit(&m->choice[0]) == 0)
		return MATCH_MIN + tree(m->low[position], 3);
	if (bit(&m->choice[1]) == 0)
		return MATCH_MIN + 8 + tree(m->mid[position], 3);
	return MATCH_MIN + 16 + tree(m->high, 8);
}

static uint32_t distance_of(uint32_t len)
{
	uint32_t kind = len - MATCH_MIN < LENGTH_KINDS ? len - MATCH_MIN : LENGTH_KINDS - 1;
	uint32_t slot = tree(d.models.slot[kind], 6), bits, base;

	if (slot < 4)
		return slot;
	bits = (slot >> 1) - 1;
	base = (2u | (slot & 1u)) << bits;
	if (slot < FIRST_ALIGNED_SLOT)
		return base + reverse_tree(&d.models.special[base - slot], bits);
	base += direct_bits(bits - ALIGN_BITS) << ALIGN_BITS;
	return base + reverse_tree(d.models.align, ALIGN_BITS);
}

static void use_distance(unsigned index)
{
	uint32_t chosen = d.distance[index];

	for (; index > 0; index--)
		d.distance[index] = d.distance[index - 1];
	d.distance[0] = chosen;
}

/* A match at one of the last four distances; its length. */
static uint32_t repeat(uint32_t position)
{
	bool was_literal = d.state < LITERAL_STATES;

	if (bit(&d.models.is_repeat0[d.state]) == 0) {
		if (bit(&d.models.is_repeat0_long[d.state][position]) == 0) {
			d.state = was_literal ? 9 : 11;
			return 1;
		}
	} else if (bit(&d.models.is_repeat1[d.state]) == 0) {
		use_distance(1);
	} else {
		use_distance(bit(&d.models.is_repeat2[d.state]) == 0 ? 2 : 3);
	}
	d.state = was_literal ? 8 : 11;
	return length(&d.models.repeat_length, position);
}

static uint32_t match(uint32_t position)
{
	uint32_t len = length(&d.models.match_length, position);

	d.state = d.state < LITERAL_STATES ? 7 : 10;
	use_distance(3);
	d.distance[0] = distance_of(len);
	return len;
}

/* One literal or one match, of at most `left` bytes. How many. */
static uint32_t step(uint32_t left)
{
	uint32_t position = d.at & d.pb_mask, len;

	if (bit(&d.models.is_match[d.state][position]) == 0) {
		literal();
		return 1;
	}
	len = bit(&d.models.is_repeat[d.state]) == 0 ? match(position) : repeat(position);
	if (!is_behind(d.distance[0]) || len > left)
		fail(LZMA2_DAMAGED);
	for (uint32_t i = 0; i < len && d.error == LZMA2_OK; i++)
		put(byte_behind(d.distance[0]));
	return len;
}

/* --- chunks ------------------------------------------------------------------------------------------------------------ */

static void reset_state(void)
{
	model *m = (model *)&d.models;

	for (size_t i = 0; i < sizeof(d.models) / sizeof(model); i++)
		m[i] = MODEL_START;
	d.state = 0;
	for (unsigned i = 0; i < 4; i++)
		d.distance[i] = 0;
}

static void set_properties(uint8_t properties)
{
	uint8_t lc = properties % 9u, lp = properties / 9u % 5u, pb = properties / 45u;

	if (pb > 4 || lc + lp > 4) {
		fail(LZMA2_DAMAGED);
		return;
	}
	d.lc = lc;
	d.lp_mask = (uint8_t)((1u << lp) - 1u);
	d.pb_mask = (uint8_t)((1u << pb) - 1u);
	d.needs_properties = false;
	reset_state();
}

static void packed_chunk(uint8_t control)
{
	uint32_t unpacked = ((control & 0x1fu) << 16) + next_u16() + 1;

	d.packed_left = next_u16() + 1;
	if (control >= 0xc0u)
		set_properties(next_byte());
	else if (d.needs_properties)
		fail(LZMA2_DAMAGED);
	else if (control >= 0xa0u)
		reset_state();
	if (d.packed_left < 5 || next_byte() != 0)
		fail(LZMA2_DAMAGED);
	d.packed_left -= 5;
	d.range = 0xffffffffu;
	d.code = next_u16() << 16;
	d.code |= next_u16();
	while (unpacked > 0 && d.error == LZMA2_OK)
		unpacked -= step(unpacked);
	if (d.packed_left != 0 || d.code != 0)
		fail(LZMA2_DAMAGED);
}

static void plain_chunk(void)
{
	for (uint32_t left = next_u16() + 1; left > 0 && d.error == LZMA2_OK; left--)
		put(next_byte());
}

static void chunk(uint8_t control)
{
	if (control == 1 || control >= 0xe0u) {
		flush();
		d.at = d.flushed = 0;
		d.needs_dictionary = false;
		d.needs_properties = true;
	} else if (d.needs_dictionary) {
		fail(LZMA2_DAMAGED);
	}
	if (control >= 0x80u)
		packed_chunk(control);
	else if (control <= 2)
		plain_chunk();
	else
		fail(LZMA2_DAMAGED);
}

int lzma2_unpack(const struct lzma2_io *io)
{
	uint8_t control;

	d.io = io;
	d.error = LZMA2_OK;
	d.in_at = d.in_len = 0;
	d.at = d.flushed = 0;
	d.needs_dictionary = d.needs_properties = true;
	while ((control = next_byte()) != 0 && d.error == LZMA2_OK)
		chunk(control);
	flush();
	return d.error;
}
