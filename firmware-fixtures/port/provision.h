/* SPDX-License-Identifier: Apache-2.0 */
/* The provisioning sector: what a factory would fuse or compile in. The host writes it before the first power-on;
 * on the board it is read only. Little-endian, no padding; src/board/provision.ts writes the same bytes.
 * A missing or damaged sector gives a board that trusts no key and stays in recovery. */
#ifndef PROVISION_H
#define PROVISION_H
#include <stdint.h>

#define PROVISION_MAGIC 0x56525042u /* "BPRV" */
#define PROVISION_VERSION 1u
#define MAX_KEYS 4u
#define KEY_MAX 400u /* bytes of the public key in the encoding MCUboot hashes: SPKI, for RSA PKCS#1 (398 at most) */

/* policy bits: how a careful product differs from the next */
#define POLICY_DOWNGRADE_VERSION 0x0001u  /* refuse lower versions (MCUBOOT_DOWNGRADE_PREVENTION) */
#define POLICY_DOWNGRADE_COUNTER 0x0002u  /* the same by the counters in the two images */
#define POLICY_BOOTSTRAP 0x0004u          /* empty primary: install what the secondary holds */
#define POLICY_SKIP_PRIMARY 0x0008u       /* do not validate the primary at each boot */
#define POLICY_NO_ALLOW_LIST 0x0010u      /* unknown unprotected TLVs pass */
#define POLICY_NO_COUNTER 0x0020u         /* no stored security counter: none checked, none kept */
#define POLICY_NO_SIGNATURE 0x0040u       /* hash only */
/* weak on purpose, so that proof has something to find */
#define WEAK_COUNTER_EARLY 0x0100u        /* a test boot already burns the counter */
#define WEAK_COUNTER_IGNORED 0x0200u      /* counter kept and reported, older builds accepted all the same */
#define WEAK_NO_REVERT 0x0400u            /* an unconfirmed image stays */
#define WEAK_RECOVERY_UNCHECKED 0x0800u   /* an image written by recovery is started unchecked */
#define WEAK_RESUME_SHORT 0x1000u         /* a swap cut short goes on with the new image's size only */

#define FRAMING_CONSOLE 0u
#define FRAMING_RAW 1u

struct provision_key {
	uint16_t len; /* 0 = none */
	uint8_t type; /* 1 ed25519, 2 ecdsa-p256, 3 rsa-2048, 4 rsa-3072 */
	uint8_t zero;
	uint8_t der[KEY_MAX];
};

struct provision {
	uint32_t magic;
	uint16_t version;
	uint16_t size;         /* sizeof(struct provision) */
	uint32_t policy;
	uint8_t mode;          /* MCUmgr's number: 2 overwrite only, 3 swap using move */
	uint8_t images;        /* 1 or 2 */
	uint8_t write_unit;    /* bytes: 4 or 8 */
	uint8_t framing;       /* of the application's server: FRAMING_CONSOLE or FRAMING_RAW */
	uint16_t max_sectors;  /* MCUBOOT_MAX_IMG_SECTORS */
	uint16_t buf_size;     /* application: SMP server buffer, bytes, at most 4096 */
	uint16_t buf_count;
	uint16_t recovery_buf_size; /* bootloader: MCUBOOT_SERIAL_MAX_RECEIVE_SIZE, at most 4096 */
	uint8_t board[32];     /* board name, zero-terminated */
	uint8_t serial[16];    /* serial number, zero-terminated */
	struct provision_key keys[MAX_KEYS];
	uint32_t crc;          /* CRC-32 (IEEE) of everything before */
};

/* Reads and checks the sector. Returns 0, or -1 and *p filled with safe defaults: no keys, swap using move. */
int provision_load(struct provision *p);

#endif
