/*
 * parse_time.c
 *		Days that are written as people write them.
 *
 * What comes out of a spreadsheet or a till is text: 2026/11/20, 20.11.2026 1:05 PM,
 * 2026年11月20日. It is read where there is one way to read it, and never guessed. So
 * the order of day, month and year is named once for a source, and a year has
 * four digits. Pure functions of bytes, in UTF-8.
 */
#include "postgres.h"

#include "source/parse.h"
#include "source/parse_letters.h"
#include "utils/datetime.h"

#define YEAR_SIGN	0x5E74
#define MONTH_SIGN	0x6708
#define DAY_SIGN	0x65E5
#define DAY_NUMBER	0x53F7

typedef struct Day
{
	int			year;
	int			month;
	int			day;
} Day;

/* Eight digits: only the order that names the year first says which are which. */
static ParseStatus
TakeCompact(Text *text, ParseOrder order, int value, Day *day)
{
	if (order != PARSE_YMD)
		return PARSE_OTHER_ORDER;
	*day = (Day) {value / 10000, value / 100 % 100, value % 100};
	return PARSE_OK;
}

/* Behind the year: 11月20日 */
static ParseStatus
TakeSigned(Text *text, int year_digits, Day *day)
{
	int			digits;

	SkipSpaces(text);
	digits = TakeNumber(text, &day->month);
	SkipSpaces(text);
	if (digits < 1 || digits > 2 || !Accept(text, MONTH_SIGN))
		return PARSE_UNREADABLE;
	SkipSpaces(text);
	digits = TakeNumber(text, &day->day);
	if (digits < 1 || digits > 2)
		return PARSE_UNREADABLE;
	SkipSpaces(text);
	if (!Accept(text, DAY_SIGN))
		(void) Accept(text, DAY_NUMBER);
	return year_digits == 4 ? PARSE_OK : year_digits == 2 ? PARSE_SHORT_YEAR : PARSE_UNREADABLE;
}

/* Behind the first number and a separator */
static ParseStatus
TakeSeparated(Text *text, uint32 separator, ParseOrder order, int first, int first_digits, Day *day)
{
	int			second;
	int			third;
	int			second_digits;
	int			third_digits;

	SkipSpaces(text);
	second_digits = TakeNumber(text, &second);
	SkipSpaces(text);
	if (!Accept(text, separator))
		return PARSE_UNREADABLE;
	SkipSpaces(text);
	third_digits = TakeNumber(text, &third);
	if (separator == '.' && (text->letter[text->at + 1] == 0 || text->letter[text->at + 1] == ' '))
		(void) Accept(text, '.');
	if (second_digits < 1 || second_digits > 2 || third_digits < 1)
		return PARSE_UNREADABLE;
	if (first_digits == 4 && third_digits <= 2)
		*day = (Day) {first, second, third};
	else if (first_digits > 2 || third_digits == 3 || third_digits > 4)
		return PARSE_UNREADABLE;
	else if (third_digits < 4)
		return PARSE_SHORT_YEAR;
	else if (order == PARSE_DMY)
		*day = (Day) {third, second, first};
	else if (order == PARSE_MDY)
		*day = (Day) {third, first, second};
	else
		return PARSE_OTHER_ORDER;
	return PARSE_OK;
}

static ParseStatus
TakeDay(Text *text, ParseOrder order, Day *day)
{
	int			first;
	int			digits = TakeNumber(text, &first);
	uint32		separator;

	if (digits < 1)
		return PARSE_UNREADABLE;
	if (digits == 8)
		return TakeCompact(text, order, first, day);
	SkipSpaces(text);
	separator = Peek(text);
	if (separator == 0)
		return PARSE_UNREADABLE;
	text->at++;
	if (separator == YEAR_SIGN)
	{
		day->year = first;
		return TakeSigned(text, digits, day);
	}
	if (separator != '-' && separator != '/' && separator != '.')
		return PARSE_UNREADABLE;
	return TakeSeparated(text, separator, order, first, digits, day);
}

static bool
DayExists(const Day *day)
{
	return day->year >= 1 && day->year <= 9999 && day->month >= 1 && day->month <= 12 &&
		day->day >= 1 && day->day <= day_tab[isleap(day->year)][day->month - 1];
}

/* ------------------------------------------------------------- time of day */

static const uint32 before_noon[][4] = {{'A', 'M'}, {0x4E0A, 0x5348}, {0x5348, 0x524D}};
static const uint32 after_noon[][4] = {{'P', 'M'}, {0x4E0B, 0x5348}, {0x5348, 0x5F8C}, {0x5348, 0x540E}};

typedef enum Half
{
	HALF_UNKNOWN,
	HALF_FIRST,
	HALF_SECOND,
} Half;

static Half
TakeHalf(Text *text)
{
	for (int i = 0; i < lengthof(before_noon); i++)
		if (AcceptWord(text, before_noon[i]))
			return HALF_FIRST;
	for (int i = 0; i < lengthof(after_noon); i++)
		if (AcceptWord(text, after_noon[i]))
			return HALF_SECOND;
	return HALF_UNKNOWN;
}

static bool
IsHourSign(uint32 letter)
{
	return letter == 0x65F6 || letter == 0x6642 || letter == 0x70B9 || letter == 0x9EDE;
}

/* 13:05, 13:05:33.250, 13时05分, 13点5分33秒 */
static bool
TakeClock(Text *text, int *hour, int *minute, int *second)
{
	int			digits = TakeNumber(text, hour);

	if (digits < 1 || digits > 2)
		return false;
	*minute = *second = 0;
	SkipSpaces(text);
	if (IsHourSign(Peek(text)))
	{
		text->at++;
		SkipSpaces(text);
		if (!IsDigit(Peek(text)))
			return true;
		if (TakeNumber(text, minute) > 2)
			return false;
		SkipSpaces(text);
		if (!Accept(text, 0x5206))
			return false;
		SkipSpaces(text);
		if (!IsDigit(Peek(text)))
			return true;
		if (TakeNumber(text, second) > 2)
			return false;
		SkipSpaces(text);
		return Accept(text, 0x79D2);
	}
	if (!Accept(text, ':') || TakeNumber(text, minute) != 2)
		return false;
	if (Accept(text, ':'))
	{
		int			fraction;

		if (TakeNumber(text, second) != 2)
			return false;
		if ((Accept(text, '.') || Accept(text, ',')) && TakeNumber(text, &fraction) < 1)
			return false;
	}
	return true;
}

/* Z, UTC, GMT, +08, +0800, +08:00; false where it begins like one and is none. */
static bool
TakeZone(Text *text, ParsedTime *time)
{
	static const uint32 utc[][4] = {{'Z'}, {'U', 'T', 'C'}, {'G', 'M', 'T'}};
	bool		west;
	int			hours;
	int			minutes = 0;
	int			digits;

	for (int i = 0; i < lengthof(utc) && !time->zoned; i++)
		time->zoned = AcceptWord(text, utc[i]);
	west = Peek(text) == '-';
	if (!west && Peek(text) != '+')
		return true;
	text->at++;
	digits = TakeNumber(text, &hours);
	if (digits == 4)
	{
		minutes = hours % 100;
		hours /= 100;
	}
	else if (digits < 1 || digits > 2 || (Accept(text, ':') && TakeNumber(text, &minutes) != 2))
		return false;
	time->zoned = true;
	time->east = (hours * 60 + minutes) * 60 * (west ? -1 : 1);
	return hours <= 15 && minutes <= 59;
}

/* What stands behind the day; nothing is midnight. */
static ParseStatus
TakeTimeOfDay(Text *text, ParsedTime *time)
{
	bool		apart = text->at > 0 && !IsDigit(text->letter[text->at - 1]);
	Half		half;
	int			hour;
	int			minute;
	int			second;

	if (Peek(text) == 0)
		return PARSE_OK;
	if (Accept(text, 'T') || Accept(text, ','))
		apart = true;
	apart |= Peek(text) == ' ';
	SkipSpaces(text);
	half = TakeHalf(text);
	SkipSpaces(text);
	if (!(apart || half != HALF_UNKNOWN) || !TakeClock(text, &hour, &minute, &second))
		return PARSE_UNREADABLE;
	SkipSpaces(text);
	if (half == HALF_UNKNOWN)
		half = TakeHalf(text);
	SkipSpaces(text);
	if (!TakeZone(text, time) || Peek(text) != 0)
		return PARSE_UNREADABLE;
	if (hour > 23 || minute > 59 || second > 59 || (half == HALF_FIRST && hour > 12))
		return PARSE_IMPOSSIBLE;
	if (half != HALF_UNKNOWN && hour <= 12)
		hour = hour % 12 + (half == HALF_SECOND ? 12 : 0);
	time->local += ((hour * 60 + minute) * INT64CONST(60) + second) * USECS_PER_SEC;
	return PARSE_OK;
}

ParseStatus
ParseTime(const char *bytes, int len, ParseOrder order, ParsedTime *time)
{
	Text		text;
	Day			day = {0};
	ParseStatus status;
	ParseStatus rest;

	if (!TakeText(&text, bytes, len))
		return PARSE_UNREADABLE;
	status = TakeDay(&text, order, &day);
	if (status == PARSE_UNREADABLE)
		return status;
	*time = (ParsedTime) {0};
	rest = TakeTimeOfDay(&text, time);
	if (rest == PARSE_UNREADABLE || status != PARSE_OK)
		return rest == PARSE_UNREADABLE ? rest : status;
	if (rest != PARSE_OK || !DayExists(&day))
		return PARSE_IMPOSSIBLE;
	time->local += (date2j(day.year, day.month, day.day) - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY;
	return PARSE_OK;
}
