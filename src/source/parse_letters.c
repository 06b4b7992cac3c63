/*
 * parse_letters.c
 *		A text that is read letter by letter, made plain.
 *
 * Full-width letters become narrow ones, small ones capitals, and every kind of
 * space, dash and apostrophe the common one; what nobody sees is left out.
 */
#include "postgres.h"

#include "source/parse_letters.h"

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

bool
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

static bool
IsLetter(uint32 letter)
{
	return letter >= 'A' && letter <= 'Z';
}

int
TakeNumber(Text *text, int *value)
{
	int			digits = 0;

	for (*value = 0; IsDigit(Peek(text)); text->at++)
		if (++digits <= 9)
			*value = *value * 10 + (Peek(text) - '0');
	return digits;
}

bool
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
