/*
 * parse.c
 *		Days and amounts that are written as people write them.
 *
 * What comes out of a spreadsheet or a till is text: 2026/11/20, 2026年11月20日,
 * ￥１，２００.50, (10.00). It is read where there is one way to read it, and
 * never guessed. So the order of day, month and year is named once for a source;
 * a year has four digits; and of 1.200, which is a thousand and two hundred in
 * Berlin and hardly more than one in London, nothing is read at all.
 *
 * Pure functions of bytes. Letters are first made plain: full-width ones narrow,
 * every kind of space, dash and apostrophe the common one.
 */
#include "postgres.h"

#include "source/parse.h"
#include "utils/datetime.h"

#define MOST_LETTERS	120		/* of a text that can be read */
#define MOST_GROUPS		16		/* of digits in an amount */
#define AMOUNT_DIGITS	11		/* before the point */
#define DECIMALS		4

typedef struct Text
{
	uint32		letter[MOST_LETTERS + 1];	/* zero behind the last */
	int			n;
	int			at;
} Text;

/* ------------------------------------------------------------------ letters */

/* The code point at *p, which is moved behind it; 0 where there is none. */
static uint32
DecodeLetter(const unsigned char **p, const unsigned char *end)
{
	static const uint32 least[] = {0, 0x80, 0x800, 0x10000};
	uint32		first = *(*p)++;
	int			more = first < 0x80 ? 0 : first >= 0xC2 && first < 0xE0 ? 1 : first >= 0xE0 && first < 0xF0 ? 2 :
		first >= 0xF0 && first < 0xF5 ? 3 : -1;
	uint32		letter = more <= 0 ? first : first & (0x3F >> more);

	if (more < 0 || end - *p < more)
		return 0;
	for (int i = 0; i < more; i++)
	{
		if ((**p & 0xC0) != 0x80)
			return 0;
		letter = letter << 6 | (*(*p)++ & 0x3F);
	}
	return letter < least[more] ? 0 : letter;
}

/* The common letter for it; 0 for one that nobody sees. */
static uint32
PlainLetter(uint32 c)
{
	if (c >= 0xFF01 && c <= 0xFF5E)
		c -= 0xFEE0;
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 'A';
	if ((c >= 0x09 && c <= 0x0D) || (c >= 0x2000 && c <= 0x200A))
		return ' ';
	if ((c >= 0x2010 && c <= 0x2015) || (c >= 0x200B && c <= 0x200F))
		return c >= 0x2010 ? '-' : 0;
	switch (c)
	{
		case 0xA0:
		case 0x1680:
		case 0x202F:
		case 0x205F:
		case 0x3000:
			return ' ';
		case 0x2060:
		case 0xFEFF:
			return 0;
		case 0x2212:
		case 0xFE58:
		case 0xFE63:
			return '-';
		case 0x2044:
		case 0x2215:
			return '/';
		case 0x2018:
		case 0x2019:
		case 0x02BC:
			return '\'';
		case 0xFE50:
			return ',';
		case 0xFE52:
			return '.';
		case 0xFE55:
		case 0x2236:
			return ':';
		case 0xFE69:
			return '$';
		case 0xFFE1:
			return 0xA3;		/* pound */
		case 0xFFE5:
			return 0xA5;		/* yen and yuan */
		case 0xFFE6:
			return 0x20A9;		/* won */
		default:
			return c;
	}
}

/* False where it is no text that can be read, or a blank one. */
static bool
TakeText(Text *text, const char *bytes, int len)
{
	const unsigned char *p = (const unsigned char *) bytes;
	const unsigned char *end = p + len;

	text->n = text->at = 0;
	while (p < end)
	{
		uint32		letter = DecodeLetter(&p, end);

		if (letter == 0)
			return false;
		letter = PlainLetter(letter);
		if (letter == 0 || (letter == ' ' && text->n == 0))
			continue;
		if (text->n == MOST_LETTERS)
			return false;
		text->letter[text->n++] = letter;
	}
	while (text->n > 0 && text->letter[text->n - 1] == ' ')
		text->n--;
	text->letter[text->n] = 0;
	return text->n > 0;
}

static uint32
Peek(const Text *text)
{
	return text->letter[text->at];
}

static bool
Accept(Text *text, uint32 letter)
{
	if (Peek(text) != letter)
		return false;
	text->at++;
	return true;
}

static void
SkipSpaces(Text *text)
{
	while (Accept(text, ' '))
		;
}

static bool
IsDigit(uint32 letter)
{
	return letter >= '0' && letter <= '9';
}

static bool
IsLetter(uint32 letter)
{
	return letter >= 'A' && letter <= 'Z';
}

/* How many digits are next; what they say, if they are no more than nine. */
static int
Number(Text *text, int *value)
{
	int			digits = 0;

	for (*value = 0; IsDigit(Peek(text)); text->at++)
		if (++digits <= 9)
			*value = *value * 10 + (Peek(text) - '0');
	return digits;
}

/* A word, as code points that end with zero. Of Latin letters all that stand there are the word. */
static bool
AcceptWord(Text *text, const uint32 *word)
{
	int			n = 0;

	for (; word[n] != 0; n++)
		if (text->letter[text->at + n] != word[n])
			return false;
	if (IsLetter(word[n - 1]) && IsLetter(text->letter[text->at + n]))
		return false;
	text->at += n;
	return true;
}

/* -------------------------------------------------------------------- days */

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
	digits = Number(text, &day->month);
	SkipSpaces(text);
	if (digits < 1 || digits > 2 || !Accept(text, MONTH_SIGN))
		return PARSE_UNREADABLE;
	SkipSpaces(text);
	digits = Number(text, &day->day);
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
	second_digits = Number(text, &second);
	SkipSpaces(text);
	if (!Accept(text, separator))
		return PARSE_UNREADABLE;
	SkipSpaces(text);
	third_digits = Number(text, &third);
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
	int			digits = Number(text, &first);
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
	int			digits = Number(text, hour);

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
		if (Number(text, minute) > 2)
			return false;
		SkipSpaces(text);
		if (!Accept(text, 0x5206))
			return false;
		SkipSpaces(text);
		if (!IsDigit(Peek(text)))
			return true;
		if (Number(text, second) > 2)
			return false;
		SkipSpaces(text);
		return Accept(text, 0x79D2);
	}
	if (!Accept(text, ':') || Number(text, minute) != 2)
		return false;
	if (Accept(text, ':'))
	{
		int			fraction;

		if (Number(text, second) != 2)
			return false;
		if ((Accept(text, '.') || Accept(text, ',')) && Number(text, &fraction) < 1)
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
	digits = Number(text, &hours);
	if (digits == 4)
	{
		minutes = hours % 100;
		hours /= 100;
	}
	else if (digits < 1 || digits > 2 || (Accept(text, ':') && Number(text, &minutes) != 2))
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

/* ----------------------------------------------------------------- amounts */

/* A sign or word of money, and whether it goes with commas between thousands alone. */
typedef struct Currency
{
	uint32		word[5];
	bool		by_comma;
} Currency;

/* Longer ones before their own beginnings. */
static const Currency currencies[] = {
	{{0xA5}, true}, {{'$'}, true}, {{0xA3}, true}, {{0x20A9}, true}, {{0x20B9}, true},
	{{0x20AC}, false}, {{0x20BD}, false}, {{0x20AB}, false}, {{0x20BA}, false}, {{0x0E3F}, true},
	{{0x4EBA, 0x6C11, 0x5E01}, true}, {{0x4EBA, 0x6C11, 0x5E63}, true},	/* renminbi */
	{{0x7F8E, 0x5143}, true}, {{0x65E5, 0x5143}, true}, {{0x6E2F, 0x5143}, true}, {{0x6E2F, 0x5E01}, true},
	{{0x6B27, 0x5143}, false},
	{{0x5143, 0x6574}, true}, {{0x5143}, true}, {{0x5706}, true}, {{0x5713}, true}, {{0x5186}, true},
	{{0x5757}, true}, {{0x584A}, true}, /* yuan and yen */
	{{'U', 'S', '$'}, true}, {{'H', 'K', '$'}, true}, {{'N', 'T', '$'}, true}, {{'A', '$'}, true}, {{'C', '$'}, true},
	{{'S', '$'}, true}, {{'R', '$'}, false},
	{{'R', 'M', 'B'}, true}, {{'C', 'N', 'Y'}, true}, {{'J', 'P', 'Y'}, true}, {{'K', 'R', 'W'}, true},
	{{'U', 'S', 'D'}, true}, {{'G', 'B', 'P'}, true}, {{'H', 'K', 'D'}, true}, {{'T', 'W', 'D'}, true},
	{{'S', 'G', 'D'}, true}, {{'I', 'N', 'R'}, true}, {{'T', 'H', 'B'}, true}, {{'A', 'U', 'D'}, true},
	{{'C', 'A', 'D'}, true}, {{'N', 'Z', 'D'}, true}, {{'M', 'Y', 'R'}, true}, {{'P', 'H', 'P'}, true},
	{{'E', 'U', 'R'}, false}, {{'E', 'U', 'R', 'O'}, false}, {{'C', 'H', 'F'}, false}, {{'S', 'E', 'K'}, false},
	{{'N', 'O', 'K'}, false}, {{'D', 'K', 'K'}, false}, {{'K', 'R'}, false}, {{'P', 'L', 'N'}, false},
	{{'C', 'Z', 'K'}, false}, {{'R', 'U', 'B'}, false}, {{'T', 'R', 'Y'}, false}, {{'B', 'R', 'L'}, false},
	{{'I', 'D', 'R'}, false}, {{'V', 'N', 'D'}, false},
};

static const Currency *
TakeCurrency(Text *text)
{
	for (int i = 0; i < lengthof(currencies); i++)
		if (AcceptWord(text, currencies[i].word))
			return &currencies[i];
	return NULL;
}

/* The digits of an amount, and what stands between them. */
typedef struct Digits
{
	char		digit[MOST_LETTERS];
	int			n;
	int			from[MOST_GROUPS];	/* each group's first digit */
	int			len[MOST_GROUPS];
	uint32		separator[MOST_GROUPS]; /* behind it; 0 behind the last */
	int			groups;
} Digits;

static bool
IsSeparator(const Text *text)
{
	uint32		next = text->letter[text->at];

	/* A space is one only between digits: behind them may stand a currency. */
	return next == '.' || next == ',' ||
		((next == ' ' || next == '\'') && IsDigit(text->letter[text->at + 1]));
}

static bool
TakeDigits(Text *text, Digits *digits)
{
	digits->n = digits->groups = 0;
	for (;;)
	{
		int			group = digits->groups++;

		digits->from[group] = digits->n;
		for (; IsDigit(Peek(text)); text->at++)
			digits->digit[digits->n++] = Peek(text) - '0';
		digits->len[group] = digits->n - digits->from[group];
		digits->separator[group] = 0;
		if (!IsSeparator(text))
			return digits->n > 0;
		if (digits->groups == MOST_GROUPS)
			return false;
		digits->separator[group] = Peek(text);
		text->at++;
	}
}

/* Are the first groups thousands and what is above them? In India what is above goes by hundreds. */
static bool
AreThousands(const Digits *digits, int groups)
{
	bool		by_three = digits->len[0] >= 1 && digits->len[0] <= 3;
	bool		by_two = digits->len[0] >= 1 && digits->len[0] <= 2 && digits->separator[0] == ',';

	for (int i = 1; i < groups; i++)
	{
		by_three &= digits->len[i] == 3;
		by_two &= digits->len[i] == (i == groups - 1 ? 3 : 2);
		if (i < groups - 1 && digits->separator[i] != digits->separator[0])
			return false;
	}
	return by_three || by_two;
}

/* One point or comma and nothing else: how many groups are before the decimals. */
static ParseStatus
ReadSingle(const Digits *digits, bool by_comma, int *whole)
{
	uint32		separator = digits->separator[0];
	int			before = digits->len[0];
	int			behind = digits->len[1];
	bool		zero = before == 0 || (before == 1 && digits->digit[0] == 0);

	*whole = 1;
	if (behind == 0)
		return PARSE_UNREADABLE;	/* 100.- is a hundred, and not below zero */
	if (behind == 3 && !zero && before <= 3)
	{
		if (separator == '.' || !by_comma)
			return PARSE_AMBIGUOUS;
		*whole = 2;
		return PARSE_OK;
	}
	if (separator == '.')
		return PARSE_OK;
	/* Thousands by commas have three digits; ten thousands, as in Chinese, four. */
	return behind <= 3 || zero ? PARSE_OK : PARSE_UNREADABLE;
}

/* How many groups are before the decimals, which are at most one. */
static ParseStatus
FindDecimals(const Digits *digits, bool by_comma, int *whole)
{
	int			groups = digits->groups;
	uint32		first = digits->separator[0];
	uint32		last;

	*whole = groups;
	if (groups == 1)
		return PARSE_OK;
	last = digits->separator[groups - 2];
	if (groups == 2 && (first == '.' || first == ','))
		return ReadSingle(digits, by_comma, whole);
	if (first != last)
	{
		if ((last != '.' && last != ',') || digits->len[groups - 1] == 0)
			return PARSE_UNREADABLE;
		*whole = groups - 1;
	}
	return AreThousands(digits, *whole) ? PARSE_OK : PARSE_UNREADABLE;
}

static ParseStatus
Scaled(const Digits *digits, int whole, int64 *scaled)
{
	int			point = whole == digits->groups ? digits->n : digits->from[whole];
	int			first = 0;
	int64		value = 0;

	while (first < point && digits->digit[first] == 0)
		first++;
	if (point - first > AMOUNT_DIGITS)
		return PARSE_OUT_OF_RANGE;
	for (int i = first; i < point + DECIMALS; i++)
		value = value * 10 + (i < digits->n ? digits->digit[i] : 0);
	for (int i = point + DECIMALS; i < digits->n; i++)
		if (digits->digit[i] != 0)
			return PARSE_TOO_PRECISE;
	*scaled = value;
	return PARSE_OK;
}

/* What may stand around the digits. */
typedef struct Around
{
	int			minus;			/* signs that say below zero, a pair of brackets for one */
	int			plus;
	int			open;
	int			close;
	int			money[2];		/* words of money before and behind */
	bool		by_comma;
} Around;

static void
TakeAround(Text *text, bool behind, Around *around)
{
	for (;;)
	{
		const Currency *currency;

		SkipSpaces(text);
		if (Accept(text, '-'))
			around->minus++;
		else if (!behind && Accept(text, '+'))
			around->plus++;
		else if (!behind && Accept(text, '('))
			around->open++;
		else if (behind && Accept(text, ')'))
			around->close++;
		else if ((currency = TakeCurrency(text)) != NULL)
		{
			around->money[behind]++;
			around->by_comma |= currency->by_comma;
		}
		else
			return;
	}
}

ParseStatus
ParseAmount(const char *bytes, int len, int64 *scaled)
{
	Text		text;
	Digits		digits;
	Around		around = {0};
	ParseStatus status;
	int			whole;

	if (!TakeText(&text, bytes, len))
		return PARSE_UNREADABLE;
	TakeAround(&text, false, &around);
	if (!TakeDigits(&text, &digits))
		return PARSE_UNREADABLE;
	TakeAround(&text, true, &around);
	if (Peek(&text) != 0 || around.open != around.close || around.minus + around.plus + around.open > 1 ||
		around.money[0] > 1 || around.money[1] > 1)
		return PARSE_UNREADABLE;
	status = FindDecimals(&digits, around.by_comma, &whole);
	if (status == PARSE_OK)
		status = Scaled(&digits, whole, scaled);
	if (status == PARSE_OK && around.minus + around.open > 0)
		*scaled = -*scaled;
	return status;
}
