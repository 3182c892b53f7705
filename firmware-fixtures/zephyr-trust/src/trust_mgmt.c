/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MCUmgr group "trust" for Zephyr applications behind MCUboot: what the bootloader left in the shared data about the
 * security counters, its mode and the running slot. Read only. The group's specification is in ../../README.md.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include <zephyr/mgmt/mcumgr/mgmt/handlers.h>
#include <zephyr/mgmt/mcumgr/mgmt/mgmt.h>
#include <zephyr/mgmt/mcumgr/smp/smp.h>
#include <zephyr/retention/blinfo.h>
#include <zephyr/sys/byteorder.h>
#include <zephyr/sys/util.h>

#include <zcbor_common.h>
#include <zcbor_encode.h>

/* Minor numbers of MCUboot's shared data, major BLINFO (bootutil/boot_status.h). The counters are there since MCUboot
 * 2.3.0; an application may be built against older headers. */
#define TRUST_BLINFO_MODE	  0x00
#define TRUST_BLINFO_RUNNING_SLOT 0x03
#define TRUST_BLINFO_COUNTER	  0x10 /* of image 0; one more for each further image */
#define TRUST_IMAGES_MAX	  5    /* 0x10 to 0x14 */

BUILD_ASSERT(CONFIG_MCUMGR_GRP_TRUST_IMAGES <= TRUST_IMAGES_MAX, "MCUboot shares counters of five images");

enum trust_command {
	TRUST_COUNTERS = 0,
	TRUST_BOOT = 2,
	TRUST_COMMANDS /* 1 (keys) and 3 (events) are not in the shared data: the server answers "not supported" */
};

/* Entries that zcbor is to expect; only a prediction. */
#define SLOTS_PREDICTED 1
#define IMAGE_KEYS	3

static bool read_u8(uint16_t key, uint8_t *value)
{
	return blinfo_lookup(key, (char *)value, sizeof(*value)) == (int)sizeof(*value);
}

static bool read_counter(unsigned int image, uint32_t *value)
{
	uint8_t bytes[sizeof(*value)];
	int len = blinfo_lookup((uint16_t)(TRUST_BLINFO_COUNTER + image), (char *)bytes, sizeof(bytes));

	if (len != (int)sizeof(bytes)) {
		return false;
	}

	*value = sys_get_le32(bytes);
	return true;
}

static bool put_image(zcbor_state_t *zse, unsigned int image)
{
	uint32_t counter;
	bool ok;

	ok = zcbor_map_start_encode(zse, IMAGE_KEYS) &&
	     zcbor_tstr_put_lit(zse, "image") &&
	     zcbor_uint32_put(zse, image);

	if (ok && read_counter(image, &counter)) {
		ok = zcbor_tstr_put_lit(zse, "counter") &&
		     zcbor_uint32_put(zse, counter);
	}

	/* What the images in the slots carry is not in the shared data. */
	return ok &&
	       zcbor_tstr_put_lit(zse, "slots") &&
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

	ok = zcbor_tstr_put_lit(zse, "images") &&
	     zcbor_list_start_encode(zse, CONFIG_MCUMGR_GRP_TRUST_IMAGES);

	for (unsigned int image = 0; ok && image < CONFIG_MCUMGR_GRP_TRUST_IMAGES; image++) {
		ok = put_image(zse, image);
	}

	ok = ok && zcbor_list_end_encode(zse, CONFIG_MCUMGR_GRP_TRUST_IMAGES);

	return ok ? MGMT_ERR_EOK : MGMT_ERR_EMSGSIZE;
}

static int trust_boot(struct smp_streamer *ctxt)
{
	zcbor_state_t *zse = ctxt->writer->zs;
	uint8_t mode;
	uint8_t slot;
	bool ok;

	if (!read_u8(TRUST_BLINFO_MODE, &mode)) {
		return MGMT_ERR_ENOENT;
	}

	ok = zcbor_tstr_put_lit(zse, "mode") &&
	     zcbor_uint32_put(zse, mode) &&
	     zcbor_tstr_put_lit(zse, "state") &&
	     zcbor_tstr_put_lit(zse, "application");

	if (ok && read_u8(TRUST_BLINFO_RUNNING_SLOT, &slot)) {
		ok = zcbor_tstr_put_lit(zse, "slot") &&
		     zcbor_uint32_put(zse, slot);
	}

	return ok ? MGMT_ERR_EOK : MGMT_ERR_EMSGSIZE;
}

static const struct mgmt_handler trust_handlers[TRUST_COMMANDS] = {
	[TRUST_COUNTERS] = { .mh_read = trust_counters, .mh_write = NULL },
	[TRUST_BOOT] = { .mh_read = trust_boot, .mh_write = NULL },
};

static struct mgmt_group trust_group = {
	.mg_handlers = trust_handlers,
	.mg_handlers_count = ARRAY_SIZE(trust_handlers),
	.mg_group_id = CONFIG_MCUMGR_GRP_TRUST_ID,
#ifdef CONFIG_MCUMGR_GRP_ENUM_DETAILS_NAME
	.mg_group_name = "trust mgmt",
#endif
};

static void trust_register(void)
{
	mgmt_register_group(&trust_group);
}

MCUMGR_HANDLER_DEFINE(trust_mgmt, trust_register);
