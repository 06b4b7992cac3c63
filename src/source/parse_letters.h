/*
 * parse_letters.h
 *		A text that is read letter by letter, made plain.
 */
#ifndef CUSTSEG_PARSE_LETTERS_H
#define CUSTSEG_PARSE_LETTERS_H

#include "postgres.h"

#define MOST_LETTERS	120		/* of a text that can be read */

typedef struct Text
{
	uint32		letter[MOST_LETTERS + 1];	/* zero behind the last */
	int			n;
	int			at;
} Text;

/* False where it is no text that can be read, or a blank one. */
extern bool TakeText(Text *text, const char *bytes, int len);

/* How many digits are next; what they say, if they are no more than nine. */
extern int	TakeNumber(Text *text, int *value);

/* A word, as code points that end with zero. Of Latin letters all that stand there are the word. */
extern bool AcceptWord(Text *text, const uint32 *word);

static inline uint32
Peek(const Text *text)
{
	return text->letter[text->at];
}

static inline bool
Accept(Text *text, uint32 letter)
{
	if (Peek(text) != letter)
		return false;
	text->at++;
	return true;
}

static inline void
SkipSpaces(Text *text)
{
	while (Accept(text, ' '))
		;
}

static inline bool
IsDigit(uint32 letter)
{
	return letter >= '0' && letter <= '9';
}

#endif							/* CUSTSEG_PARSE_LETTERS_H */
