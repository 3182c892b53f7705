/* SPDX-License-Identifier: Apache-2.0 */
/* A flat file store, persistent: whole files under one mount point, one being written at a time. A file that was not
 * completed when the power went does not exist afterwards. */
#ifndef FILES_H
#define FILES_H
#include <stdbool.h>
#include <stdint.h>

#include "../smp/cbor.h"
#include "nor.h"

#define FILE_NAME_MAX 48u /* behind the mount point */
#define FILES_MOUNT "/lfs/"

enum files_result {
	FILES_OK,
	FILES_BAD_NAME,  /* not absolute, nothing behind the mount point, too long, or with a further slash */
	FILES_NOT_FOUND, /* no such file, or not below FILES_MOUNT */
	FILES_FULL,
	FILES_WRONG_OFFSET,
	FILES_FLASH,
};

/* A file as it can be read: data_at is a flash offset. */
struct file {
	struct nor_stream stream;
};

void files_init(void);

/* *file->stream.len is the length, also of a file still being written. */
enum files_result files_find(struct span path, struct file *file);
enum files_result files_read(const struct file *file, uint32_t off, void *to, uint32_t len);

/* Starts the file anew (what it held is gone), with room for `len` bytes. */
enum files_result files_create(struct span path, uint32_t len);
/* Appends to the file created last. FILES_WRONG_OFFSET: `off` is not its length, or another file is meant;
 * FILES_FULL: more than was announced. Complete at the announced length. *len is the length so far. */
enum files_result files_append(struct span path, uint32_t off, struct span data, uint32_t *len);
/* Completes the file that is being written, if any, at its present length. */
enum files_result files_close(void);

#endif
