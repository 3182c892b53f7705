/* SPDX-License-Identifier: Apache-2.0 */
/* Group 63, Zephyr basic: erases the settings; what is in RAM stays until the reset. */
#include "../settings.h"
#include "groups.h"

int zephyr_storage_erase(struct smp_exchange *x)
{
	if (settings_erase() != SETTINGS_OK)
		return smp_fail(x, GROUP_ZEPHYR, ZEPHYR_FLASH_ERASE_FAILED, NULL);
	return RC_OK;
}
