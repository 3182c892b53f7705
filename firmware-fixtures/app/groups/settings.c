/* SPDX-License-Identifier: Apache-2.0 */
/* Group 3. */
#include "../settings.h"

#include "groups.h"

static int answer(struct smp_exchange *x, enum settings_result result)
{
	static const uint8_t errors[] = {
		[SETTINGS_NO_KEY] = SETTINGS_KEY_NOT_FOUND,	 [SETTINGS_NO_ROOT] = SETTINGS_ROOT_KEY_NOT_FOUND,
		[SETTINGS_NO_READ] = SETTINGS_READ_NOT_SUPPORTED, [SETTINGS_NO_WRITE] = SETTINGS_WRITE_NOT_SUPPORTED,
		[SETTINGS_FLASH] = SETTINGS_SAVE_FAILED,
	};

	if (result == SETTINGS_OK)
		return RC_OK;
	if (result == SETTINGS_BAD_VALUE)
		return RC_INVALID;
	return smp_fail(x, GROUP_SETTINGS, errors[result], NULL);
}

/* RC_OK; otherwise the error is in the answer and *done. */
static bool take_name(struct smp_exchange *x, const struct field *name, int *rc)
{
	const struct span *text = name->value;

	*rc = RC_INVALID;
	if (!name->found || text->len == 0)
		return false;
	if (text->len <= SETTING_NAME_MAX)
		return true;
	*rc = smp_fail(x, GROUP_SETTINGS, SETTINGS_KEY_TOO_LONG, NULL);
	return false;
}

int setting_read(struct smp_exchange *x)
{
	struct span name = {0}, value;
	uint32_t max_size = SETTING_VALUE_MAX;
	struct field fields[] = {{"name", FIELD_TEXT, &name, false}, {"max_size", FIELD_UINT, &max_size, false}};
	enum settings_result result;
	int rc;

	if (!cbor_fields(&x->in, fields, 2))
		return RC_INVALID;
	if (!take_name(x, &fields[0], &rc))
		return rc;
	result = settings_read(name, &value);
	if (result != SETTINGS_OK)
		return answer(x, result);
	put_bytes_at(&x->out, "val", value.data, value.len < max_size ? value.len : max_size);
	if (max_size > SETTING_VALUE_MAX)
		put_uint_at(&x->out, "max_size", SETTING_VALUE_MAX);
	return RC_OK;
}

int setting_write(struct smp_exchange *x)
{
	struct span name = {0}, value = {0};
	struct field fields[] = {{"name", FIELD_TEXT, &name, false}, {"val", FIELD_BYTES, &value, false}};
	int rc;

	if (!cbor_fields(&x->in, fields, 2) || !fields[1].found)
		return RC_INVALID;
	if (!take_name(x, &fields[0], &rc))
		return rc;
	return answer(x, settings_write(name, value));
}

int setting_delete(struct smp_exchange *x)
{
	struct span name = {0};
	struct field fields[] = {{"name", FIELD_TEXT, &name, false}};
	enum settings_result result;
	int rc;

	if (!cbor_fields(&x->in, fields, 1))
		return RC_INVALID;
	if (!take_name(x, &fields[0], &rc))
		return rc;
	result = settings_delete(name);
	if (result == SETTINGS_NO_WRITE)
		return smp_fail(x, GROUP_SETTINGS, SETTINGS_DELETE_NOT_SUPPORTED, NULL);
	return answer(x, result);
}

/* Values are in force as soon as they are written. */
int setting_commit(struct smp_exchange *x)
{
	(void)x;
	return RC_OK;
}

int setting_load(struct smp_exchange *x)
{
	return answer(x, settings_load());
}

int setting_save(struct smp_exchange *x)
{
	return answer(x, settings_save());
}
