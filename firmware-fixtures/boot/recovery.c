/* SPDX-License-Identifier: Apache-2.0 */
#include "recovery.h"

#include <string.h>

#include "../flash/flash.h"
#include "../port/port.h"
#include "../smp/endpoint.h"
#include "../smp/text.h"
#include "../smp/trust.h"
#include "boot.h"
#include "image.h"
#include "modes.h"
#include "trailer.h"

#define SLOTS 2u
#define PRIMARY 0u
#define RESET_DELAY_MS 50u
#define VERSION_TEXT_MAX 24u
#define WRITE_UNIT_MAX 32u
#define MARK_SIZE 8u

static const struct provision *provision;
static struct endpoint endpoint;
static bool resetting;
static uint32_t reset_at;

/* MCUboot says a result in most answers, where Zephyr says nothing. */
static int put_ok(struct smp_exchange *x)
{
	put_uint_at(&x->out, "rc", RC_OK);
	return RC_OK;
}

static int os_echo(struct smp_exchange *x)
{
	struct span text = {(const uint8_t *)"", 0};
	struct field fields[] = {{"d", FIELD_TEXT, &text, false}};

	if (!cbor_fields(&x->in, fields, 1))
		return RC_INVALID;
	put_text(&x->out, "r");
	put_text_span(&x->out, text);
	return RC_OK;
}

/* Accepted and without effect: nothing is ever echoed. */
static int os_console_echo(struct smp_exchange *x)
{
	return put_ok(x);
}

static int os_reset(struct smp_exchange *x)
{
	resetting = true;
	reset_at = port_millis() + RESET_DELAY_MS;
	return put_ok(x);
}

static int os_params(struct smp_exchange *x)
{
	put_uint_at(&x->out, "buf_size", endpoint.rx.limit);
	put_uint_at(&x->out, "buf_count", 1);
	return RC_OK;
}

static unsigned slots(void)
{
	const struct mode *mode = mode_of(provision);

	return mode->way == WAY_FIXED && !mode->loader ? 1 : SLOTS;
}

/* Flags of a slot by what the next boot will do; unlike the application, nothing is active before a swap. */
struct flags {
	bool confirmed, active, pending, permanent;
};

static const struct {
	enum swap_type next;
	struct flags slot[SLOTS];
} state_flags[] = {
	{SWAP_NONE, {{.confirmed = true, .active = true}, {0}}},
	{SWAP_TEST, {{.confirmed = true}, {.pending = true}}},
	{SWAP_PERM, {{.confirmed = true}, {.pending = true, .permanent = true}}},
	{SWAP_REVERT, {{.active = true}, {.confirmed = true}}},
};

/* Where nothing is moved the trailers ask for nothing; with one slot it is plain what the next boot does. */
static struct flags flags_of(unsigned image, unsigned slot)
{
	enum mode_way way = mode_of(provision)->way;
	enum swap_type next = way == WAY_FIXED ? SWAP_NONE : swap_type_of(image);

	if (way == WAY_PICK)
		return (struct flags){0};

	for (size_t i = 0; i < sizeof(state_flags) / sizeof(state_flags[0]); i++) {
		if (state_flags[i].next == next)
			return state_flags[i].slot[slot];
	}
	return (struct flags){0};
}

static void put_if(struct cbor_out *out, const char *key, bool value)
{
	if (value)
		put_bool_at(out, key, true);
}

/* Only images that pass full validation are listed: a broken one looks like an empty slot. */
static void put_slot(struct cbor_out *out, unsigned image, unsigned slot)
{
	struct flags f = flags_of(image, slot);
	char version[VERSION_TEXT_MAX];
	struct image_info info;
	struct text t;

	if (image_verify(provision, image, slot, &info) != VERIFY_OK)
		return;
	text_init(&t, version, sizeof(version));
	text_version(&t, &info.header.version);
	put_map(out);
	if (provision->images > 1)
		put_uint_at(out, "image", image);
	put_if(out, "bootable", (info.header.flags & IMAGE_F_NON_BOOTABLE) == 0);
	put_if(out, "confirmed", f.confirmed);
	put_if(out, "active", f.active);
	put_if(out, "pending", f.pending);
	put_if(out, "permanent", f.permanent);
	put_uint_at(out, "slot", slot);
	put_bytes_at(out, "hash", info.hash, sizeof(info.hash));
	put_text_at(out, "version", version);
	put_end(out);
}

static int image_list(struct smp_exchange *x)
{
	put_text(&x->out, "images");
	put_list(&x->out);
	for (unsigned image = 0; image < provision->images; image++) {
		for (unsigned slot = 0; slot < slots(); slot++)
			put_slot(&x->out, image, slot);
	}
	put_end(&x->out);
	return RC_OK;
}

static bool has_hash(unsigned image, struct span hash)
{
	struct image_info info;

	for (unsigned slot = 0; slot < slots(); slot++) {
		if (image_verify(provision, image, slot, &info) == VERIFY_OK &&
		    memcmp(info.hash, hash.data, sizeof(info.hash)) == 0)
			return true;
	}
	return false;
}

/* Whichever slot the hash names, it is the secondary of that image that is asked for, as in MCUboot. */
static int image_set_state(struct smp_exchange *x)
{
	struct span hash = {0};
	bool confirm = false;
	struct field fields[] = {{"hash", FIELD_BYTES, &hash, false}, {"confirm", FIELD_BOOL, &confirm, false}};
	unsigned image = 0;

	if (!cbor_fields(&x->in, fields, 2))
		return RC_INVALID;
	if (fields[0].found ? hash.len != SHA256_SIZE : provision->images > 1)
		return RC_INVALID;
	while (fields[0].found && !has_hash(image, hash)) {
		if (++image == provision->images)
			return RC_NO_ENTRY;
	}
	if (boot_set_pending(provision, image, confirm) != BOOT_OK)
		return RC_UNKNOWN;
	return image_list(x);
}

/* --- upload: straight into the primary, nothing of it is looked at; the next boot judges --- */

struct upload_request {
	uint32_t image, len, off;
	struct span data;
	bool has_len;
};

static struct {
	uint32_t base, len, off; /* flash offset of the primary; bytes announced; bytes written */
	uint32_t erased;         /* of the slot, from its start */
	unsigned image;
} upload;

static bool decode_upload(struct cbor_in *in, struct upload_request *r)
{
	struct field fields[] = {
		{"image", FIELD_UINT, &r->image, false}, {"len", FIELD_UINT, &r->len, false},
		{"off", FIELD_UINT, &r->off, false},	 {"data", FIELD_BYTES, &r->data, false},
	};

	if (!cbor_fields(in, fields, sizeof(fields) / sizeof(fields[0])))
		return false;
	r->has_len = fields[1].found;
	return fields[2].found && fields[3].found;
}

static bool is_weak(void)
{
	return (provision->policy & WEAK_RECOVERY_UNCHECKED) != 0;
}

/* The image number as sent, checked; the weak variant takes any and wraps it into the flash there is. */
static bool pick_image(uint32_t number, unsigned *image)
{
	if (number >= provision->images && !is_weak())
		return false;
	*image = number % provision->images;
	return true;
}

static int begin_upload(const struct upload_request *r)
{
	const struct area *primary;
	unsigned image;

	if (!r->has_len || !pick_image(r->image, &image) || r->len > slot_size(image, PRIMARY))
		return RC_INVALID;
	primary = slot_area(image, PRIMARY);
	upload.image = image;
	upload.base = slot_offset(image, PRIMARY);
	upload.len = r->len;
	upload.off = 0;
	upload.erased = 0;
	/* what the trailer says is about another image; the rest is erased sector by sector as data comes */
	return area_erase(primary, trailer_sectors_off(provision, primary), primary->size) == FLASH_OK ? RC_OK : RC_INVALID;
}

static bool erase_up_to(uint32_t end)
{
	const struct area *primary = slot_area(upload.image, PRIMARY);
	uint32_t trailer = trailer_sectors_off(provision, primary);

	for (; upload.erased < end && upload.erased < trailer; upload.erased += sector_size(primary, upload.erased)) {
		if (area_erase(primary, upload.erased, upload.erased + 1) != FLASH_OK)
			return false;
	}
	return true;
}

/* The last unit of the file, filled up with the erased value. */
static int write_tail(uint32_t off, const uint8_t *data, uint32_t len)
{
	uint8_t unit[WRITE_UNIT_MAX];

	memset(unit, flash_erased(), sizeof(unit));
	memcpy(unit, data, len);
	return flash_write(off, unit, provision->write_unit);
}

/* Whole write units only; a rest that is not the end of the file is left for the client to send again. */
static int write_chunk(struct span data)
{
	uint32_t rest = data.len % provision->write_unit, whole = data.len - rest, off = upload.base + upload.off;
	bool last = upload.off + data.len == upload.len;

	if (!erase_up_to(upload.off + data.len))
		return RC_INVALID;
	if (whole > 0 && flash_write(off, data.data, whole) != FLASH_OK)
		return RC_INVALID;
	upload.off += whole;
	if (!last || rest == 0)
		return RC_OK;
	if (write_tail(off + whole, data.data + whole, rest) != FLASH_OK)
		return RC_INVALID;
	upload.off += rest;
	return RC_OK;
}

static const uint8_t mark[MARK_SIZE] = {'u', 'n', 'c', 'h', 'e', 'c', 'k', 'd'};

static uint32_t mark_off(unsigned image)
{
	const struct area *primary = slot_area(image, PRIMARY);

	return sector_start(primary, primary->size - 1);
}

static void leave_mark(void)
{
	uint8_t units[WRITE_UNIT_MAX];
	uint32_t len = provision->write_unit > sizeof(mark) ? provision->write_unit : (uint32_t)sizeof(mark);

	memset(units, flash_erased(), sizeof(units));
	memcpy(units, mark, sizeof(mark));
	if (is_weak() && upload.len <= mark_off(upload.image))
		flash_write(upload.base + mark_off(upload.image), units, len);
}

bool recovery_wrote(unsigned image)
{
	uint8_t found[sizeof(mark)];

	return flash_read(slot_offset(image, PRIMARY) + mark_off(image), found, sizeof(found)) == FLASH_OK &&
	       memcmp(found, mark, sizeof(mark)) == 0;
}

static int put_offset(struct smp_exchange *x)
{
	put_ok(x);
	put_uint_at(&x->out, "off", upload.off);
	return RC_OK;
}

static int image_upload(struct smp_exchange *x)
{
	struct upload_request r = {0};
	int rc = RC_OK;

	if (!decode_upload(&x->in, &r))
		return RC_INVALID;
	if (r.off == 0)
		rc = begin_upload(&r);
	if (rc != RC_OK)
		return rc;
	if (r.off != upload.off)
		return put_offset(x);
	if (r.data.len > upload.len - upload.off)
		return RC_INVALID;
	rc = write_chunk(r.data);
	if (rc != RC_OK)
		return rc;
	if (upload.off == upload.len)
		leave_mark();
	return put_offset(x);
}

static void put_image_slots(struct cbor_out *out, unsigned image)
{
	put_map(out);
	put_uint_at(out, "image", image);
	put_text(out, "slots");
	put_list(out);
	for (unsigned slot = 0; slot < slots(); slot++) {
		put_map(out);
		put_uint_at(out, "slot", slot);
		put_uint_at(out, "size", slot_size(image, slot));
		if (slot == PRIMARY)
			put_uint_at(out, "upload_image_id", image);
		put_end(out);
	}
	put_end(out);
	put_uint_at(out, "max_image_size", image_max_size(provision));
	put_end(out);
}

static int image_slot_info(struct smp_exchange *x)
{
	put_text(&x->out, "images");
	put_list(&x->out);
	for (unsigned image = 0; image < provision->images; image++)
		put_image_slots(&x->out, image);
	put_end(&x->out);
	return RC_OK;
}

/* The op counts only where MCUboot looks at it. */
static const struct smp_command commands[] = {
	{GROUP_OS, 0, OP_ANY, os_echo},
	{GROUP_OS, 1, OP_ANY, os_console_echo},
	{GROUP_OS, 5, OP_ANY, os_reset},
	{GROUP_OS, 6, OP_ANY, os_params},
	{GROUP_IMAGE, 0, OP_READ, image_list},
	{GROUP_IMAGE, 0, OP_WRITE, image_set_state},
	{GROUP_IMAGE, 1, OP_ANY, image_upload},
	{GROUP_IMAGE, 6, OP_READ, image_slot_info},
	TRUST_COMMANDS,
};

void recovery_init(const struct provision *p, int why)
{
	(void)why;
	provision = p;
	resetting = false;
	memset(&upload, 0, sizeof(upload));
	trust_init(p, true);
	endpoint_init(&endpoint, commands, sizeof(commands) / sizeof(commands[0]), SMP_LIKE_MCUBOOT,
		      p->recovery_buf_size, port_uart_write);
}

int32_t recovery_step(void)
{
	int32_t left;

	if (endpoint_step(&endpoint))
		return 0;
	if (!resetting)
		return FW_IDLE;
	left = (int32_t)(reset_at - port_millis());
	if (left <= 0)
		port_reset();
	return left;
}
