/* SPDX-License-Identifier: Apache-2.0 */
/* What differs between the Zephyrs that this module is built with, from 3.4.99 to the main branch, and nothing else. */
#ifndef TRUST_ZEPHYR_H
#define TRUST_ZEPHYR_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <zephyr/devicetree.h>
#include <zephyr/mgmt/mcumgr/mgmt/handlers.h>
#include <zephyr/mgmt/mcumgr/mgmt/mgmt.h>
#include <zephyr/mgmt/mcumgr/smp/smp.h>
#include <zephyr/retention/blinfo.h>
#include <zephyr/sys/byteorder.h>
#include <zephyr/sys/util.h>

#include <zcbor_common.h>
#include <zcbor_encode.h>

/* Groups have had names since Zephyr 4.1, and only where the enumeration group tells them. */
#ifdef CONFIG_MCUMGR_GRP_ENUM_DETAILS_NAME
#define TRUST_GROUP_NAME(name) .mg_group_name = (name),
#else
#define TRUST_GROUP_NAME(name)
#endif

/* zcbor_tstr_put_term() got another parameter with zcbor 0.8 (Zephyr 3.6); this has not changed. */
static inline bool trust_put_text(zcbor_state_t *zse, const char *text)
{
	return zcbor_tstr_encode_ptr(zse, text, strlen(text));
}

/* Minor numbers of MCUboot's shared data, major BLINFO. Not taken from bootutil/boot_status.h: an application may be built
 * with an older one than its bootloader, and the counters are there since MCUboot 2.3.0. */
#define TRUST_BLINFO_MODE	    0x00
#define TRUST_BLINFO_SIGNATURE_TYPE 0x01
#define TRUST_BLINFO_RECOVERY	    0x02
#define TRUST_BLINFO_RUNNING_SLOT   0x03
#define TRUST_BLINFO_VERSION	    0x04
#define TRUST_BLINFO_MAX_SIZE	    0x05 /* of image 0; one more for each further image */
#define TRUST_BLINFO_COUNTER	    0x10 /* of image 0; one more for each further image */
#define TRUST_IMAGES_MAX	    5    /* 0x05 to 0x09, 0x10 to 0x14 */

/* The primary slot of a further image, as MCUboot's Zephyr port names it. */
static inline bool trust_has_primary_slot(unsigned int image)
{
	static const bool there[TRUST_IMAGES_MAX] = {
		true,
		DT_NODE_EXISTS(DT_NODELABEL(slot2_partition)),
		DT_NODE_EXISTS(DT_NODELABEL(slot4_partition)),
		DT_NODE_EXISTS(DT_NODELABEL(slot6_partition)),
		DT_NODE_EXISTS(DT_NODELABEL(slot8_partition)),
	};

	return image < TRUST_IMAGES_MAX && there[image];
}

#endif
