/* SPDX-License-Identifier: Apache-2.0 */
#include "trust.h"

#include "../boot/counter.h"
#include "../boot/events.h"
#include "../boot/image.h"
#include "../boot/modes.h"
#include "../port/retained.h"


static const struct provision *provision;
static bool recovery;

void trust_init(const struct provision *p, bool in_recovery)
{
	provision = p;
	recovery = in_recovery;
}

static unsigned slots(void)
{
	const struct mode *mode = mode_of(provision);

	return mode->way == WAY_FIXED && !mode->loader ? 1 : 2;
}

static void put_slot_counter(struct cbor_out *out, unsigned image, unsigned slot)
{
	struct image_info info;

	put_map(out);
	put_uint_at(out, "slot", slot);
	if (image_read(image, slot, &info) == VERIFY_OK && info.has_counter) {
		put_uint_at(out, "counter", info.counter);
	}
	put_end(out);
}

static void put_image_counters(struct cbor_out *out, unsigned image)
{
	put_map(out);
	put_uint_at(out, "image", image);
	if ((provision->policy & POLICY_NO_COUNTER) == 0) {
		put_uint_at(out, "counter", counter_read(image));
#ifdef DECOMPRESS
		if (counter_steps_left(image) != COUNTER_ENDLESS)
			put_uint_at(out, "steps-left", counter_steps_left(image));
#endif
	}
	put_text(out, "slots");
	put_list(out);
	for (unsigned slot = 0; slot < slots(); slot++)
		put_slot_counter(out, image, slot);
	put_end(out);
	put_end(out);
}

int trust_counters(struct smp_exchange *x)
{
	put_text(&x->out, "images");
	put_list(&x->out);
	for (unsigned image = 0; image < provision->images; image++)
		put_image_counters(&x->out, image);
	put_end(&x->out);
	return RC_OK;
}

static const char *key_type_text(uint8_t type)
{
	static const char *const names[] = {"none", "ed25519", "ecdsa-p256", "rsa-2048", "rsa-3072"};

	return type < sizeof(names) / sizeof(names[0]) ? names[type] : "unknown";
}

int trust_keys(struct smp_exchange *x)
{
	put_text(&x->out, "keys");
	put_list(&x->out);
	for (unsigned i = 0; i < MAX_KEYS; i++) {
		const struct provision_key *key = &provision->keys[i];
		uint8_t hash[SHA256_SIZE];

		if (key->len == 0)
			continue;
		key_hash(key, hash);
		put_map(&x->out);
		put_text_at(&x->out, "type", key_type_text(key->type));
		put_bytes_at(&x->out, "hash", hash, sizeof(hash));
		put_end(&x->out);
	}
	put_end(&x->out);
	return RC_OK;
}

static const char *cause_text(uint8_t cause)
{
	static const char *const names[] = {"power-on", "software", "watchdog", "fault"};

	return cause < sizeof(names) / sizeof(names[0]) ? names[cause] : "unknown";
}

int trust_boot(struct smp_exchange *x)
{
	struct retained r;

	retained_load(&r);
	put_uint_at(&x->out, "mode", mode_of(provision)->told);
	put_text_at(&x->out, "state", recovery ? "recovery" : "application");
	put_text_at(&x->out, "cause", cause_text(r.last_cause));
	put_uint_at(&x->out, "boots", r.boots);
#ifdef DECOMPRESS
	if (mode_of(provision)->way != WAY_OVERWRITE || provision->images != 1)
		return RC_OK;
	put_text(&x->out, "compression");
	put_list(&x->out);
	put_text(&x->out, "lzma2");
	put_text(&x->out, "arm-thumb");
	put_end(&x->out);
#endif
	return RC_OK;
}

static bool is_counter_reason(uint8_t reason)
{
#ifdef DECOMPRESS
	if (reason == VERIFY_COUNTER_EXHAUSTED)
		return true;
#endif
	return reason == VERIFY_COUNTER_LOW || reason == VERIFY_COUNTER_MISSING;
}

static bool has_reason(const struct boot_event *e)
{
	return e->type == EVENT_VERIFY_FAILED || e->type == EVENT_DOWNGRADE_REFUSED;
}

/* Which events say a number; retained.h documents it for each type. */
static bool has_value(const struct boot_event *e)
{
	switch (e->type) {
	case EVENT_VERIFY_FAILED:
		return is_counter_reason(e->reason);
	case EVENT_SWAPPED:
	case EVENT_COUNTER_ADVANCED:
	case EVENT_SWAP_RESUMED:
	case EVENT_RECOVERY:
	case EVENT_STARTED:
		return true;
	default:
		return false;
	}
}

static void put_event(struct cbor_out *out, const struct boot_event *e)
{
	put_map(out);
	put_text_at(out, "type", event_type_text((enum event_type)e->type));
	put_uint_at(out, "image", e->image);
	put_uint_at(out, "slot", e->slot);
	if (has_reason(e)) {
		put_text_at(out, "reason", verify_reason_text((enum verify_reason)e->reason));
	}
	if (has_value(e)) {
		put_uint_at(out, "value", e->value);
	}
	put_end(out);
}

/* The newest `count` events, oldest first. False when they do not fit, the end of the answer's map included. */
static bool put_events(struct cbor_out *out, const struct retained *r, uint32_t count)
{
	put_list(out);
	for (uint32_t i = r->event_count - count; i != r->event_count; i++)
		put_event(out, &r->events[i % RETAINED_EVENTS]);
	put_end(out);
	return !out->overflow && out->at < out->end;
}

int trust_events(struct smp_exchange *x)
{
	struct retained r;
	struct cbor_out before;
	uint32_t count;

	retained_load(&r);
	count = r.event_count < RETAINED_EVENTS ? r.event_count : RETAINED_EVENTS;
	put_text(&x->out, "events");
	before = x->out;
	while (!put_events(&x->out, &r, count) && count > 0) {
		x->out = before;
		count--;
	}
	return RC_OK;
}
