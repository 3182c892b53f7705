/* SPDX-License-Identifier: Apache-2.0 */
/* MCUboot's image format as it lies in a slot: header, body, protected and unprotected TLVs.
 * Everything read is hostile; every length is bounded by the slot before it is used.
 * Source: MCUboot boot/bootutil/include/bootutil/image.h. */
#ifndef IMAGE_H
#define IMAGE_H
#include <stdbool.h>
#include <stdint.h>
#include "../crypto/crypto.h"
#include "../port/geometry.h"
#include "../port/provision.h"
#include "../port/retained.h"

#define IMAGE_MAGIC 0x96f3b83du
#define IMAGE_HEADER_MIN 32u

#define IMAGE_F_ENCRYPTED 0x0000000cu
#define IMAGE_F_NON_BOOTABLE 0x00000010u
#define IMAGE_F_RAM_LOAD 0x00000020u
#define IMAGE_F_ROM_FIXED 0x00000100u
#define IMAGE_F_COMPRESSED 0x00000e00u
#define IMAGE_F_COMPRESSED_LZMA1 0x00000200u
#define IMAGE_F_COMPRESSED_LZMA2 0x00000400u
#define IMAGE_F_COMPRESSED_THUMB 0x00000800u

#define TLV_INFO_MAGIC 0x6907u
#define TLV_PROT_INFO_MAGIC 0x6908u
#define TLV_KEYHASH 0x01u
#define TLV_SHA256 0x10u
#define TLV_RSA2048_PSS 0x20u
#define TLV_ECDSA_SIG 0x22u
#define TLV_RSA3072_PSS 0x23u
#define TLV_ED25519 0x24u
#define TLV_DEPENDENCY 0x40u
#define TLV_SEC_CNT 0x50u
#define TLV_DECOMP_SIZE 0x70u
#define TLV_DECOMP_SHA 0x71u
#define TLV_DECOMP_SIGNATURE 0x72u
#define TLV_COMP_DEC_SIZE 0x73u

struct image_version {
	uint8_t major, minor;
	uint16_t revision;
	uint32_t build;
};

/* The 32 bytes as they are in flash. */
struct image_header {
	uint32_t magic, load_addr;
	uint16_t hdr_size, protect_tlv_size;
	uint32_t img_size, flags;
	struct image_version version;
	uint32_t pad;
};
_Static_assert(sizeof(struct image_header) == IMAGE_HEADER_MIN, "header layout");

struct body_cipher;

/* Where the bytes of an image come from: a slot, as they are or decrypted on the way, or a copy in RAM. */
struct image_source {
	unsigned image, slot;
	uint32_t start;         /* of the image, from the slot start */
	const uint8_t *ram;     /* the copy, or 0 */
	/* decrypts what was just read from `at` on, or 0: as it is; a pointer, so that the application, which never
	 * decrypts, has no cipher in it */
	void (*decrypt)(const struct image_source *from, uint32_t at, uint8_t *bytes, uint32_t len);
	const struct body_cipher *cipher;
};

/* What a slot says about itself. Only image_verify makes it trustworthy. */
struct image_info {
	struct image_header header;
	uint32_t tlv_off;       /* where the TLV areas begin = end of the body, from the image's start */
	uint32_t protected_end; /* end of what the hash covers */
	uint32_t end;           /* end of the last TLV */
	bool has_hash;
	uint8_t hash[SHA256_SIZE]; /* value of the SHA-256 TLV: the "image hash" of image list */
	bool has_counter;
	uint32_t counter; /* first protected security counter TLV */
};

/* Where the image in a slot begins, from the slot start. Swap using offset keeps it a sector further in the secondary,
 * unless it is there to go back to; a slot without an image gives the place that was looked at last. */
uint32_t image_start(unsigned image, unsigned slot);

struct image_source image_in_slot(unsigned image, unsigned slot);
/* Bytes from `at` of the image on. 0, or an error of flash/flash.h. */
int source_read(const struct image_source *from, uint32_t at, void *buf, uint32_t len);

/* Header and TLVs with every bound checked; neither hash nor signature is computed. For listing.
 * VERIFY_OK, or why the slot holds no readable image (then only `header` is filled, if it could be read). */
enum verify_reason image_read(unsigned image, unsigned slot, struct image_info *info);

/* Full validation of a slot as at each boot: header, hash, TLV rules, counter, signature, entry point.
 * Never writes. `info` may be 0. */
enum verify_reason image_verify(const struct provision *p, unsigned image, unsigned slot, struct image_info *info);

/* < 0, 0, > 0 as by major, minor, revision; the build number does not count (MCUboot's default). */
int version_compare(const struct image_version *a, const struct image_version *b);

/* The same for an image that is read in another way than image_in_slot does. */
enum verify_reason source_parse(const struct image_source *from, struct image_info *info);
enum verify_reason source_verify(const struct provision *p, const struct image_source *from, struct image_info *info);

/* SHA-256 over a stretch of flash. 0 or a negative error of flash/flash.h. */
int flash_sha256(uint32_t off, uint32_t len, uint8_t out[SHA256_SIZE]);

/* SHA-256 of a provisioned key = its KEYHASH TLV value. */
void key_hash(const struct provision_key *key, uint8_t out[SHA256_SIZE]);

/* A word for a reason, as in group 200 events: "header", "size", ... */
const char *verify_reason_text(enum verify_reason reason);

#endif
