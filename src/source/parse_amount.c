/*
 * parse_amount.c
 *		Amounts that are written as people write them.
 *
 * ￥１，２００.50, 1.200,50 EUR, (10.00): read where there is one way to read it, and
 * never guessed. Of 1.200, which is a thousand and two hundred in Berlin and
 * hardly more than one in London, nothing is read at all. Nothing is rounded, and
 * no money goes through floating point. Pure functions of bytes, in UTF-8.
 */
#include "postgres.h"

#include "source/parse.h"
#include "source/parse_letters.h"

#define MOST_GROUPS		16		/* of digits */
#define AMOUNT_DIGITS	11		/* before the point */
#define DECIMALS		4

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
