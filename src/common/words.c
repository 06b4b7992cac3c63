/*
 * words.c
 *		What we say, in English or Chinese.
 *
 * Our source files are in UTF-8, and so are the texts in them. This is the only
 * place where they become text of the database.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "mb/pg_wchar.h"

#include "common/words.h"

/* Simplified characters: only an encoding that is made for them has all of these. */
#define SAMPLE "单费沉默，层级"

/* A text in the encoding of the database, or NULL where that has no such character. */
static const char *
InDatabaseEncoding(const char *utf8)
{
	int			encoding = GetDatabaseEncoding();
	int			length = (int) strlen(utf8);
	int			space = length * MAX_CONVERSION_GROWTH + 1;
	Oid			conversion;
	char	   *text;

	/* SQL_ASCII stores bytes as they come. */
	if (encoding == PG_UTF8 || encoding == PG_SQL_ASCII)
		return utf8;
	conversion = FindDefaultConversionProc(PG_UTF8, encoding);
	if (!OidIsValid(conversion))
		return NULL;
	text = palloc0(space);
	if (pg_do_encoding_conversion_buf(conversion, PG_UTF8, encoding, (unsigned char *) unconstify(char *, utf8), length,
									  (unsigned char *) text, space, true) < length)
	{
		pfree(text);
		return NULL;
	}
	return text;
}

bool
ChineseFits(void)
{
	static int	fits = -1;		/* the database of a process stays the same */

	if (fits < 0)
		fits = InDatabaseEncoding(SAMPLE) != NULL;
	return fits;
}

bool
IsChinese(const char *language)
{
	if (strcmp(language, "zh") == 0)
		return ChineseFits();
	if (strcmp(language, "en") == 0)
		return false;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("language \"%s\" is not known", language),
			 errhint("It is en or zh.")));
}

const char *
Words(bool chinese, const char *english, const char *in_chinese)
{
	const char *text = chinese ? InDatabaseEncoding(in_chinese) : NULL;

	return text ? text : english;
}
