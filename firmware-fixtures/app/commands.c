/* SPDX-License-Identifier: Apache-2.0 */
/* Everything the application serves. What is not here is answered rc 8. */
#include "../smp/trust.h"
#include "groups/groups.h"

const struct smp_command app_commands[] = {
	{GROUP_OS, 0, OP_WRITE, os_echo},
	{GROUP_OS, 0, OP_READ, os_echo},
	{GROUP_OS, 2, OP_READ, os_tasks},
	{GROUP_OS, 4, OP_READ, os_datetime_read},
	{GROUP_OS, 4, OP_WRITE, os_datetime_write},
	{GROUP_OS, 5, OP_WRITE, os_reset},
	{GROUP_OS, 6, OP_READ, os_params},
	{GROUP_OS, 7, OP_READ, os_info},
	{GROUP_OS, 8, OP_READ, os_bootloader},
	{GROUP_IMAGE, 0, OP_READ, image_state_read},
	{GROUP_IMAGE, 0, OP_WRITE, image_state_write},
	{GROUP_IMAGE, 1, OP_WRITE, image_upload},
	{GROUP_IMAGE, 5, OP_WRITE, image_erase},
	{GROUP_IMAGE, 6, OP_READ, image_slot_info},
	{GROUP_STAT, 0, OP_READ, stat_read},
	{GROUP_STAT, 1, OP_READ, stat_list},
	{GROUP_SETTINGS, 0, OP_READ, setting_read},
	{GROUP_SETTINGS, 0, OP_WRITE, setting_write},
	{GROUP_SETTINGS, 1, OP_WRITE, setting_delete},
	{GROUP_SETTINGS, 2, OP_WRITE, setting_commit},
	{GROUP_SETTINGS, 3, OP_READ, setting_load},
	{GROUP_SETTINGS, 3, OP_WRITE, setting_save},
	{GROUP_FS, 0, OP_READ, fs_download},
	{GROUP_FS, 0, OP_WRITE, fs_upload},
	{GROUP_FS, 1, OP_READ, fs_status},
	{GROUP_FS, 2, OP_READ, fs_hash},
	{GROUP_FS, 3, OP_READ, fs_hash_types},
	{GROUP_FS, 4, OP_WRITE, fs_close},
	{GROUP_SHELL, 0, OP_WRITE, shell_exec},
	{GROUP_ENUM, 0, OP_READ, enum_count},
	{GROUP_ENUM, 1, OP_READ, enum_list},
	{GROUP_ENUM, 2, OP_READ, enum_single},
	{GROUP_ENUM, 3, OP_READ, enum_details},
	{GROUP_ZEPHYR, 0, OP_WRITE, zephyr_storage_erase},
	TRUST_COMMANDS,
};
const size_t app_command_count = sizeof(app_commands) / sizeof(app_commands[0]);

/* Names and order as Zephyr lists them, ours last. */
const struct group_name group_names[] = {
	{GROUP_ENUM, "enum mgmt"},
	{GROUP_FS, "fs mgmt"},
	{GROUP_IMAGE, "img mgmt"},
	{GROUP_OS, "os mgmt"},
	{GROUP_SETTINGS, "settings mgmt"},
	{GROUP_SHELL, "shell mgmt"},
	{GROUP_STAT, "stat mgmt"},
	{GROUP_ZEPHYR, "zephyr basic mgmt"},
	{GROUP_TRUST, "trust mgmt"},
};
const size_t group_count = sizeof(group_names) / sizeof(group_names[0]);
