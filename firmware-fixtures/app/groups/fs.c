/* SPDX-License-Identifier: Apache-2.0 */
/* Group 8. */
#include "../../crypto/crypto.h"
#include "../board.h"
#include "../../port/crc32.h"
#include "../files.h"
#include "groups.h"

#define PATH_MAX 64u      /* CONFIG_MCUMGR_GRP_FS_PATH_LEN */
#define READ_AT_ONCE 256u
#define DOWNLOAD_OVERHEAD 44u /* header, keys and lengths of an answer; the recorded servers take so much too */

static int answer(struct smp_exchange *x, enum files_result result)
{
	static const uint8_t errors[] = {
		[FILES_BAD_NAME] = FS_INVALID_NAME, [FILES_NOT_FOUND] = FS_NOT_FOUND,
		[FILES_FULL] = FS_WRITE_FAILED,	    [FILES_WRONG_OFFSET] = FS_OFFSET_NOT_VALID,
		[FILES_FLASH] = FS_WRITE_FAILED,
	};

	return result == FILES_OK ? RC_OK : smp_fail(x, GROUP_FS, errors[result], NULL);
}

static bool is_path(const struct field *name)
{
	const struct span *path = name->value;

	return name->found && path->len > 0 && path->len <= PATH_MAX;
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static int put_chunk(struct smp_exchange *x, const struct file *file, uint32_t off)
{
	uint32_t len = file->stream.len;
	uint32_t chunk = off < len ? smaller(len - off, board_provision()->buf_size - DOWNLOAD_OVERHEAD) : 0;
	uint8_t *to;

	put_uint_at(&x->out, "off", off);
	put_text(&x->out, "data");
	to = put_bytes_room(&x->out, chunk);
	if (to == NULL)
		return RC_TOO_LARGE;
	if (files_read(file, off, to, chunk) != FILES_OK)
		return smp_fail(x, GROUP_FS, FS_READ_FAILED, NULL);
	if (off == 0)
		put_uint_at(&x->out, "len", len);
	return RC_OK;
}

int fs_download(struct smp_exchange *x)
{
	struct span path = {0};
	uint32_t off = 0;
	struct field fields[] = {{"name", FIELD_TEXT, &path, false}, {"off", FIELD_UINT, &off, false}};
	enum files_result result;
	struct file file;

	if (!cbor_fields(&x->in, fields, 2) || !is_path(&fields[0]) || !fields[1].found)
		return RC_INVALID;
	result = files_find(path, &file);
	return result == FILES_OK ? put_chunk(x, &file, off) : answer(x, result);
}

int fs_upload(struct smp_exchange *x)
{
	struct span path = {0}, data = {0};
	uint32_t off = 0, len = 0, now = 0;
	struct field fields[] = {
		{"name", FIELD_TEXT, &path, false},
		{"off", FIELD_UINT, &off, false},
		{"data", FIELD_BYTES, &data, false},
		{"len", FIELD_UINT, &len, false},
	};
	enum files_result result = FILES_OK;

	if (!cbor_fields(&x->in, fields, 4) || !is_path(&fields[0]) || !fields[1].found || !fields[2].found)
		return RC_INVALID;
	if (off == 0 && !fields[3].found)
		return RC_INVALID;
	if (off == 0)
		result = files_create(path, len);
	if (result == FILES_OK)
		result = files_append(path, off, data, &now);
	answer(x, result);
	if (result == FILES_WRONG_OFFSET)
		put_uint_at(&x->out, "len", now);
	else if (result == FILES_OK)
		put_uint_at(&x->out, "off", now);
	return RC_OK;
}

int fs_status(struct smp_exchange *x)
{
	struct span path = {0};
	struct field fields[] = {{"name", FIELD_TEXT, &path, false}};
	enum files_result result;
	struct file file;

	if (!cbor_fields(&x->in, fields, 1) || !is_path(&fields[0]))
		return RC_INVALID;
	result = files_find(path, &file);
	if (result != FILES_OK)
		return answer(x, result);
	put_uint_at(&x->out, "len", file.stream.len);
	return RC_OK;
}

/* A hash being computed; only the one that was asked for is looked at. */
struct digest {
	uint32_t crc;
	struct sha256 sha;
};

static void put_crc32(struct cbor_out *out, struct digest *d)
{
	put_uint_at(out, "output", d->crc);
}

static void put_sha256(struct cbor_out *out, struct digest *d)
{
	uint8_t sum[SHA256_SIZE];

	sha256_final(&d->sha, sum);
	put_bytes_at(out, "output", sum, sizeof(sum));
}

static const struct hash_type {
	const char *name;
	uint32_t format, size; /* format 0 = a number, 1 = bytes */
	void (*put)(struct cbor_out *out, struct digest *d);
} hash_types[] = {
	{"crc32", 0, 4, put_crc32}, /* first = default */
	{"sha256", 1, SHA256_SIZE, put_sha256},
};
#define HASH_TYPES (sizeof(hash_types) / sizeof(hash_types[0]))

static const struct hash_type *find_type(struct span name)
{
	for (size_t i = 0; i < HASH_TYPES; i++) {
		if (span_is(name, hash_types[i].name))
			return &hash_types[i];
	}
	return NULL;
}

static enum files_result digest_file(const struct file *file, uint32_t off, uint32_t len, struct digest *d)
{
	uint8_t bytes[READ_AT_ONCE];

	d->crc = 0;
	sha256_init(&d->sha);
	for (uint32_t done = 0, n; done < len; done += n) {
		n = smaller(len - done, sizeof(bytes));
		if (files_read(file, off + done, bytes, n) != FILES_OK)
			return FILES_FLASH;
		d->crc = crc32(d->crc, bytes, n);
		sha256_update(&d->sha, bytes, n);
	}
	return FILES_OK;
}

static int put_hash(struct smp_exchange *x, const struct hash_type *type, const struct file *file, uint32_t off,
		    uint32_t len)
{
	struct digest d;

	if (digest_file(file, off, len, &d) != FILES_OK)
		return smp_fail(x, GROUP_FS, FS_READ_FAILED, NULL);
	put_text_at(&x->out, "type", type->name);
	if (off != 0)
		put_uint_at(&x->out, "off", off);
	put_uint_at(&x->out, "len", len);
	type->put(&x->out, &d);
	return RC_OK;
}

int fs_hash(struct smp_exchange *x)
{
	struct span path = {0}, name = {(const uint8_t *)"crc32", 5};
	uint32_t off = 0, len = UINT32_MAX;
	struct field fields[] = {
		{"name", FIELD_TEXT, &path, false},
		{"type", FIELD_TEXT, &name, false},
		{"off", FIELD_UINT, &off, false},
		{"len", FIELD_UINT, &len, false},
	};
	const struct hash_type *type;
	enum files_result result;
	struct file file;

	if (!cbor_fields(&x->in, fields, 4) || !is_path(&fields[0]) || len == 0)
		return RC_INVALID;
	type = find_type(name);
	if (type == NULL)
		return smp_fail(x, GROUP_FS, FS_HASH_NOT_FOUND, NULL);
	result = files_find(path, &file);
	if (result != FILES_OK)
		return answer(x, result);
	if (file.stream.len == 0)
		return smp_fail(x, GROUP_FS, FS_EMPTY, NULL);
	if (off >= file.stream.len)
		return smp_fail(x, GROUP_FS, FS_OFFSET_LARGER_THAN_FILE, NULL);
	return put_hash(x, type, &file, off, smaller(len, file.stream.len - off));
}

int fs_hash_types(struct smp_exchange *x)
{
	put_text(&x->out, "types");
	put_map(&x->out);
	for (size_t i = 0; i < HASH_TYPES; i++) {
		put_text(&x->out, hash_types[i].name);
		put_map(&x->out);
		put_uint_at(&x->out, "format", hash_types[i].format);
		put_uint_at(&x->out, "size", hash_types[i].size);
		put_end(&x->out);
	}
	put_end(&x->out);
	return RC_OK;
}

int fs_close(struct smp_exchange *x)
{
	return answer(x, files_close());
}
