/* SPDX-License-Identifier: Apache-2.0 */
/* The provisioning sector: what a factory would fuse or compile in. The host writes it before the first power-on;
 * on the board it is read only. Little-endian, no padding; the host's provision.ts writes the same bytes.
 * A missing or damaged sector gives a board that trusts no key and stays in recovery. */
#ifndef PROVISION_H
#define PROVISION_H
#include <stdint.h>

#define PROVISION_MAGIC 0x56525042u /* "BPRV" */
#define PROVISION_VERSION 2u
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
#define POLICY_OVERWRITE_WHOLE 0x0080u    /* overwrite the whole slot (without MCUBOOT_OVERWRITE_ONLY_FAST) */
/* weak on purpose, so that proof has something to find */
#define WEAK_COUNTER_EARLY 0x0100u        /* a test boot already burns the counter */
#define WEAK_COUNTER_IGNORED 0x0200u      /* counter kept and reported, older builds accepted all the same */
#define WEAK_NO_REVERT 0x0400u            /* an unconfirmed image stays */
#define WEAK_RECOVERY_UNCHECKED 0x0800u   /* an image written by recovery is started unchecked */
#define WEAK_RESUME_SHORT 0x1000u         /* a swap cut short goes on with the new image's size only */
/* more of the careful product */
#define POLICY_LOADER_WITHOUT_APP 0x10000u /* firmware loader: it also runs when the application is not good */
#define POLICY_SAVE_KEY_TLV 0x20000u       /* a swap notes wrapped content keys, not bare ones (MCUBOOT_SWAP_SAVE_ENCTLV) */
/* what only programs built with BOOT_OPTIONS know; to the others these bits say nothing */
#define WEAK_COUNTER_ON_RESUME 0x2000u     /* a test swap that was cut short and resumed burns the counter */
#define WEAK_REVERT_FOLLOWS 0x4000u        /* once image 0 is there to stay, so are the others */
#define WEAK_LENGTHS 0x8000u               /* lengths that reach past their area are believed, or cut to fit */
#define WEAK_COUNTER_UNLOCKED 0x40000u     /* the counters can be written by the application, too */
#define POLICY_ENCRYPTED_ONLY 0x80000u     /* an update that is not encrypted is refused */
#define WEAK_ADDRESS_UNCHECKED 0x100000u   /* direct-XIP: an image that is fixed to another place is started here */
#define WEAK_SECONDARY_NEEDED 0x200000u    /* nothing starts while the other slot cannot be read */
/* what only programs built with DECOMPRESS know */
#define WEAK_UNPACKED_SIZE 0x400000u       /* a compressed image becomes as large as it likes */
#define WEAK_UNPACKED_HASH 0x800000u       /* what it becomes is not held against its hash before it is installed */
#define WEAK_UNPACKED_SIGNATURE 0x1000000u /* nor against its signature */

#ifdef BOOT_OPTIONS
#define OPTION(p, bit) (((p)->policy & (bit)) != 0)
#else
#define OPTION(p, bit) ((void)sizeof(p), 0)
#endif

#define FRAMING_CONSOLE 0u
#define FRAMING_RAW 1u

struct provision_key {
	uint16_t len; /* 0 = none */
	uint8_t type; /* 1 ed25519, 2 ecdsa-p256, 3 rsa-2048, 4 rsa-3072 */
	uint8_t zero;
	uint8_t der[KEY_MAX];
};

/* how content keys are wrapped for the board */
enum wrap_type { WRAP_NONE = 0, WRAP_X25519 = 1, WRAP_P256 = 2, WRAP_RSA_2048 = 3 };
#define WRAP_KEY_MAX 1200u /* bytes of the private key: bare for the curves, RSAPrivateKey for RSA */

struct provision {
	uint32_t magic;
	uint16_t version;
	uint16_t size;         /* sizeof(struct provision) */
	uint32_t policy;
	uint8_t mode;          /* a number of boot/modes.h */
	uint8_t images;        /* 1 or 2 */
	uint8_t write_unit;    /* bytes: 1, 2, 4, 8, 16 or 32 */
	uint8_t framing;       /* of the application's server: FRAMING_CONSOLE or FRAMING_RAW */
	uint16_t max_sectors;  /* MCUBOOT_MAX_IMG_SECTORS */
	uint16_t buf_size;     /* application: SMP server buffer, bytes, at most 4096 */
	uint16_t buf_count;
	uint16_t recovery_buf_size; /* bootloader: MCUBOOT_SERIAL_MAX_RECEIVE_SIZE, at most 4096 */
	uint8_t board[32];     /* board name, zero-terminated */
	uint8_t serial[16];    /* serial number, zero-terminated */
	struct provision_key keys[MAX_KEYS];
	uint8_t geometry;      /* a row of geometry.c */
	uint8_t erased_value;  /* 0xff or 0 */
	uint8_t align;         /* MCUBOOT_BOOT_MAX_ALIGN: 8, 16 or 32, not below the write unit */
	uint8_t wrap;          /* enum wrap_type */
	uint16_t wrap_len;     /* bytes of wrap_key */
	uint8_t content_key;   /* bytes of an image's AES key: 16 or 32; 0 without encryption */
	uint8_t counter_steps; /* programs built with DECOMPRESS: the most that a stored counter can be; 0 = no end */
	uint32_t ram_start, ram_size; /* RAM load: the window that images may be loaded into */
	uint8_t wrap_key[WRAP_KEY_MAX];
	uint32_t crc;          /* CRC-32 (IEEE) of everything before */
};

/* Reads and checks the sector. Returns 0, or -1 and *p filled with safe defaults: no keys, swap using move.
 * *p must stay: provisioned() tells everybody else. */
int provision_load(struct provision *p);

/* What was loaded last, or 0. */
const struct provision *provisioned(void);

#endif
