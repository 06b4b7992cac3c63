/*
 * words.h
 *		What we say, in English or Chinese.
 *
 * Every text that exists in both languages is written as a pair, English first,
 * and comes out in the encoding of the database.
 */
#ifndef CUSTSEG_WORDS_H
#define CUSTSEG_WORDS_H

#include "postgres.h"

/* Can the encoding of the database hold our Chinese? Where it cannot, everything is said in English. */
extern bool ChineseFits(void);

/* Is a language, by its name, the one to say it in Chinese? An error unless it is en or zh. */
extern bool IsChinese(const char *language);

/* One text of two. Both may be formats; then they take the same arguments. */
extern const char *Words(bool chinese, const char *english, const char *in_chinese)
			pg_attribute_format_arg(2) pg_attribute_format_arg(3);

#endif							/* CUSTSEG_WORDS_H */
