/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MCUmgr group "trust" for Zephyr applications behind MCUboot: what the bootloader left in the shared data about itself,
 * the security counters and the sizes of images. Read only. The group's specification is in ../../README.md.
 */
#include "trust_zephyr.h"

BUILD_ASSERT(CONFIG_MCUMGR_GRP_TRUST_IMAGES <= TRUST_IMAGES_MAX, "MCUboot shares figures of five images");

enum trust_command {
	TRUST_COUNTERS = 0,
	TRUST_BOOT = 2,
	TRUST_COMMANDS /* 1 (keys) and 3 (events) are not in the shared data: the server answers "not supported" */
};

/* Entries that zcbor is to expect; only a prediction. */
#define SLOTS_PREDICTED 1
#define IMAGE_KEYS	4

#define VERSION_BYTES	 8u /* struct image_version */
#define VERSION_TEXT_MAX 24u

static bool read_bytes(unsigned int key, uint8_t *bytes, unsigned int size)
{
	return blinfo_lookup((uint16_t)key, (char *)bytes, (int)size) == (int)size;
}

static bool read_u8(unsigned int key, uint8_t *value)
{
	return read_bytes(key, value, sizeof(*value));
}

static bool read_u32(unsigned int key, uint32_t *value)
{
	uint8_t bytes[sizeof(*value)];

	if (!read_bytes(key, bytes, sizeof(bytes))) {
		return false;
	}

	*value = sys_get_le32(bytes);
	return true;
}

static bool put_u32_of(zcbor_state_t *zse, const char *name, unsigned int key)
{
	uint32_t value;

	return !read_u32(key, &value) || (trust_put_text(zse, name) && zcbor_uint32_put(zse, value));
}

/* A number that MCUboot shares, as a word; one of a later version is left out. */
static bool put_word_of(zcbor_state_t *zse, const char *name, unsigned int key, const char *const words[],
			unsigned int count)
{
	uint8_t number;

	return !read_u8(key, &number) || number >= count ||
	       (trust_put_text(zse, name) && trust_put_text(zse, words[number]));
}

static char *put_decimal(char *at, uint32_t value)
{
	char digits[10];
	unsigned int count = 0;

	do {
		digits[count++] = (char)('0' + value % 10u);
		value /= 10u;
	} while (value > 0);

	while (count > 0) {
		*at++ = digits[--count];
	}

	return at;
}

static bool put_version(zcbor_state_t *zse)
{
	uint8_t bytes[VERSION_BYTES];
	char text[VERSION_TEXT_MAX];
	char *at = text;

	if (!read_bytes(TRUST_BLINFO_VERSION, bytes, sizeof(bytes))) {
		return true;
	}

	at = put_decimal(at, bytes[0]);
	*at++ = '.';
	at = put_decimal(at, bytes[1]);
	*at++ = '.';
	at = put_decimal(at, sys_get_le16(&bytes[2]));
	if (sys_get_le32(&bytes[4]) != 0) {
		*at++ = '+';
		at = put_decimal(at, sys_get_le32(&bytes[4]));
	}
	*at = '\0';

	return trust_put_text(zse, "version") && trust_put_text(zse, text);
}

/* Image 0 runs. Of the others only those that have a slot, or of which something is shared. */
static bool is_there(unsigned int image)
{
	uint32_t value;

	return trust_has_primary_slot(image) || read_u32(TRUST_BLINFO_COUNTER + image, &value) ||
	       read_u32(TRUST_BLINFO_MAX_SIZE + image, &value);
}

/* What the images in the slots carry is not in the shared data. */
static bool put_image(zcbor_state_t *zse, unsigned int image)
{
	return zcbor_map_start_encode(zse, IMAGE_KEYS) &&
	       trust_put_text(zse, "image") &&
	       zcbor_uint32_put(zse, image) &&
	       put_u32_of(zse, "counter", TRUST_BLINFO_COUNTER + image) &&
	       put_u32_of(zse, "max-size", TRUST_BLINFO_MAX_SIZE + image) &&
	       trust_put_text(zse, "slots") &&
	       zcbor_list_start_encode(zse, SLOTS_PREDICTED) &&
	       zcbor_list_end_encode(zse, SLOTS_PREDICTED) &&
	       zcbor_map_end_encode(zse, IMAGE_KEYS);
}

/* Without its mode MCUboot shares nothing: an empty answer would say that there are no counters, which is not known. */
static bool is_shared(void)
{
	uint8_t mode;

	return read_u8(TRUST_BLINFO_MODE, &mode);
}

static int trust_counters(struct smp_streamer *ctxt)
{
	zcbor_state_t *zse = ctxt->writer->zs;
	bool ok;

	if (!is_shared()) {
		return MGMT_ERR_ENOENT;
	}

	ok = trust_put_text(zse, "images") &&
	     zcbor_list_start_encode(zse, CONFIG_MCUMGR_GRP_TRUST_IMAGES);

	for (unsigned int image = 0; ok && image < CONFIG_MCUMGR_GRP_TRUST_IMAGES; image++) {
		ok = !is_there(image) || put_image(zse, image);
	}

	ok = ok && zcbor_list_end_encode(zse, CONFIG_MCUMGR_GRP_TRUST_IMAGES);

	return ok ? MGMT_ERR_EOK : MGMT_ERR_EMSGSIZE;
}

/* MCUboot shares nothing of it. In the nRF Connect SDK the application is built for the same bootloader: sysbuild sets the
 * option in both.
 */
static bool put_compression(zcbor_state_t *zse)
{
#ifdef CONFIG_MCUBOOT_COMPRESSED_IMAGE_SUPPORT_ENABLED
	return trust_put_text(zse, "compression") &&
	       zcbor_list_start_encode(zse, 2) &&
	       trust_put_text(zse, "lzma2") &&
	       trust_put_text(zse, "arm-thumb") &&
	       zcbor_list_end_encode(zse, 2);
#else
	return true;
#endif
}

static bool put_boot(zcbor_state_t *zse, uint8_t mode)
{
	static const char *const signatures[] = {"none", "rsa", "ecdsa-p256", "ed25519"};
	static const char *const recoveries[] = {"none", "serial", "dfu"};
	uint8_t slot;

	return trust_put_text(zse, "mode") &&
	       zcbor_uint32_put(zse, mode) &&
	       trust_put_text(zse, "state") &&
	       trust_put_text(zse, "application") &&
	       (!read_u8(TRUST_BLINFO_RUNNING_SLOT, &slot) ||
		(trust_put_text(zse, "slot") && zcbor_uint32_put(zse, slot))) &&
	       put_word_of(zse, "signature", TRUST_BLINFO_SIGNATURE_TYPE, signatures, ARRAY_SIZE(signatures)) &&
	       put_word_of(zse, "recovery", TRUST_BLINFO_RECOVERY, recoveries, ARRAY_SIZE(recoveries)) &&
	       put_version(zse) &&
	       put_compression(zse);
}

static int trust_boot(struct smp_streamer *ctxt)
{
	uint8_t mode;

	if (!read_u8(TRUST_BLINFO_MODE, &mode)) {
		return MGMT_ERR_ENOENT;
	}

	return put_boot(ctxt->writer->zs, mode) ? MGMT_ERR_EOK : MGMT_ERR_EMSGSIZE;
}

static const struct mgmt_handler trust_handlers[TRUST_COMMANDS] = {
	[TRUST_COUNTERS] = { .mh_read = trust_counters, .mh_write = NULL },
	[TRUST_BOOT] = { .mh_read = trust_boot, .mh_write = NULL },
};

static struct mgmt_group trust_group = {
	.mg_handlers = trust_handlers,
	.mg_handlers_count = ARRAY_SIZE(trust_handlers),
	.mg_group_id = CONFIG_MCUMGR_GRP_TRUST_ID,
	TRUST_GROUP_NAME("trust mgmt")
};

static void trust_register(void)
{
	mgmt_register_group(&trust_group);
}

MCUMGR_HANDLER_DEFINE(trust_mgmt, trust_register);
