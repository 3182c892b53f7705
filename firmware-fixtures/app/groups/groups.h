/* SPDX-License-Identifier: Apache-2.0 */
/* Every handler of the application's SMP server, a file per group; commands.c makes the table of them. Keys, codes and
 * order of keys are Zephyr's: smp_group_0.rst and its kin, and the recordings. */
#ifndef GROUPS_H
#define GROUPS_H
#include "../../smp/server.h"

struct group_name {
	uint16_t group;
	const char *name;
};

/* commands.c */
extern const struct smp_command app_commands[];
extern const size_t app_command_count;
extern const struct group_name group_names[]; /* in the order of enum list */
extern const size_t group_count;

int os_echo(struct smp_exchange *x);
int os_tasks(struct smp_exchange *x);
int os_datetime_read(struct smp_exchange *x);
int os_datetime_write(struct smp_exchange *x);
int os_reset(struct smp_exchange *x);
int os_params(struct smp_exchange *x);
int os_info(struct smp_exchange *x);
int os_bootloader(struct smp_exchange *x);

int image_state_read(struct smp_exchange *x);
int image_state_write(struct smp_exchange *x);
int image_upload(struct smp_exchange *x);
int image_erase(struct smp_exchange *x);
int image_slot_info(struct smp_exchange *x);

int stat_read(struct smp_exchange *x);
int stat_list(struct smp_exchange *x);

int setting_read(struct smp_exchange *x);
int setting_write(struct smp_exchange *x);
int setting_delete(struct smp_exchange *x);
int setting_commit(struct smp_exchange *x);
int setting_load(struct smp_exchange *x);
int setting_save(struct smp_exchange *x);

int fs_download(struct smp_exchange *x);
int fs_upload(struct smp_exchange *x);
int fs_status(struct smp_exchange *x);
int fs_hash(struct smp_exchange *x);
int fs_hash_types(struct smp_exchange *x);
int fs_close(struct smp_exchange *x);

int shell_exec(struct smp_exchange *x);

int enum_count(struct smp_exchange *x);
int enum_list(struct smp_exchange *x);
int enum_single(struct smp_exchange *x);
int enum_details(struct smp_exchange *x);

int zephyr_storage_erase(struct smp_exchange *x);

#endif
