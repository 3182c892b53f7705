/* SPDX-License-Identifier: Apache-2.0 */
#include "clock.h"

#include "../port/port.h"

#define YEAR_FIRST 1970u
#define YEAR_LAST 2099u
#define DAY 86400u

static bool is_set;
static uint32_t set_seconds; /* since 1970, at the moment of... */
static uint32_t set_millis;  /* ...this uptime */

static bool is_leap(uint32_t year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static uint32_t days_in_year(uint32_t year)
{
	return is_leap(year) ? 366 : 365;
}

static uint32_t days_in_month(uint32_t year, uint32_t month)
{
	static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return month == 2 && is_leap(year) ? 29u : days[month - 1];
}

/* The decimal number at from..from+digits; larger than any limit when it is none. */
static uint32_t number(const uint8_t *text, size_t from, size_t digits)
{
	uint32_t value = 0;

	for (size_t i = from; i < from + digits; i++) {
		if (text[i] < '0' || text[i] > '9')
			return UINT32_MAX;
		value = value * 10 + (uint32_t)(text[i] - '0');
	}
	return value;
}

static bool has_shape(struct span text)
{
	static const char shape[] = "....-..-..T..:..:..";

	if (text.len < CLOCK_TEXT_MIN || text.len > CLOCK_TEXT_MAX)
		return false;
	for (size_t i = 0; i < CLOCK_TEXT_MIN; i++) {
		if (shape[i] != '.' && text.data[i] != (uint8_t)shape[i])
			return false;
	}
	return text.len == CLOCK_TEXT_MIN || text.data[CLOCK_TEXT_MIN] == '.';
}

static uint32_t days_before(uint32_t year, uint32_t month)
{
	uint32_t days = 0;

	for (uint32_t y = YEAR_FIRST; y < year; y++)
		days += days_in_year(y);
	for (uint32_t m = 1; m < month; m++)
		days += days_in_month(year, m);
	return days;
}

bool clock_set(struct span text)
{
	uint32_t year, month, day, hour, minute, second;

	if (!has_shape(text))
		return false;
	year = number(text.data, 0, 4);
	month = number(text.data, 5, 2);
	day = number(text.data, 8, 2);
	hour = number(text.data, 11, 2);
	minute = number(text.data, 14, 2);
	second = number(text.data, 17, 2);
	if (year < YEAR_FIRST || year > YEAR_LAST || month < 1 || month > 12)
		return false;
	if (day < 1 || day > days_in_month(year, month) || hour > 23 || minute > 59 || second > 59)
		return false;
	set_seconds = (days_before(year, month) + day - 1) * DAY + hour * 3600 + minute * 60 + second;
	set_millis = port_millis();
	is_set = true;
	return true;
}

static void put_date(struct text *to, uint32_t days)
{
	uint32_t year = YEAR_FIRST, month = 1;

	for (; days >= days_in_year(year); year++)
		days -= days_in_year(year);
	for (; days >= days_in_month(year, month); month++)
		days -= days_in_month(year, month);
	text_padded(to, year, 4);
	text_add(to, "-");
	text_padded(to, month, 2);
	text_add(to, "-");
	text_padded(to, days + 1, 2);
}

bool clock_text(struct text *to)
{
	uint32_t now;

	if (!is_set)
		return false;
	now = set_seconds + (port_millis() - set_millis) / 1000;
	put_date(to, now / DAY);
	text_add(to, "T");
	text_padded(to, now % DAY / 3600, 2);
	text_add(to, ":");
	text_padded(to, now % 3600 / 60, 2);
	text_add(to, ":");
	text_padded(to, now % 60, 2);
	return true;
}
