/*
 * zone.c
 *		Time zones by their names.
 *
 * pg_tzset() takes more than names: a POSIX form is any word followed by a
 * number of hours, and the hours count westward.  UTC+8, which whoever writes it
 * means to be the time of Shanghai, is then that of the Pacific, sixteen hours
 * off, and a misspelt name with a digit in it is some time as well.  No setting
 * and no argument of ours takes such a form.
 */
#include "postgres.h"

#include <ctype.h>

#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "common/zone.h"

PG_FUNCTION_INFO_V1(custseg_is_time_zone);

#define FARTHEST_AHEAD	14		/* hours that Etc/GMT-N goes to, */
#define FARTHEST_BEHIND 12		/* and Etc/GMT+N */

/* The names that look like POSIX forms. */
static const char *const names_with_hours[] = {
	"EST5EDT", "CST6CDT", "MST7MDT", "PST8PDT", "GMT0", "GMT+0", "GMT-0"
};

/*
 * PostgreSQL knows a zone that it found in a file by the name of the file, and
 * any other by what was asked for, in upper case.
 */
static bool
IsPosix(pg_tz *zone)
{
	const char *name = pg_get_timezone_name(zone);

	for (const char *c = name; *c; c++)
		if (islower((unsigned char) *c))
			return false;
	for (int i = 0; i < lengthof(names_with_hours); i++)
		if (strcmp(name, names_with_hours[i]) == 0)
			return false;
	return strpbrk(name, "0123456789") != NULL;
}

/* The names of the two zones that may have been meant. */
static char *
NamesToUse(const char *posix)
{
	const char *digits = strpbrk(posix, "0123456789");
	char	   *end;
	long		hours = 0;

	if (*posix == '<')
		digits = strchr(posix, '>') ? strpbrk(strchr(posix, '>'), "0123456789") : NULL;
	if (digits != NULL)
		hours = strtol(digits, &end, 10);
	if (hours < 1 || hours > FARTHEST_AHEAD || *end != '\0')
		return pstrdup("Use the name of a place, such as \"Asia/Shanghai\"; see pg_timezone_names.");
	if (hours > FARTHEST_BEHIND)
		return psprintf("Use \"Etc/GMT-%ld\" for %ld hours ahead of UTC, or the name of a place, "
						"such as \"Asia/Shanghai\".", hours, hours);
	return psprintf("Use \"Etc/GMT-%ld\" for %ld hours ahead of UTC, \"Etc/GMT+%ld\" for %ld hours "
					"behind it, or the name of a place, such as \"Asia/Shanghai\".",
					hours, hours, hours, hours);
}

pg_tz *
TimeZoneByName(const char *name, bool missing_ok)
{
	pg_tz	   *zone = pg_tzset(name);
	int			clip = pg_mbcliplen(name, strlen(name), TZ_STRLEN_MAX);

	if (zone != NULL && IsPosix(zone))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%.*s\" is not the name of a time zone but a POSIX form, whose hours count westward",
						clip, name),
				 errhint("%s", NamesToUse(name))));
	if (zone != NULL && pg_tz_acceptable(zone))
		return zone;
	if (!missing_ok)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("time zone \"%.*s\" is not known", clip, name),
				 errhint("See pg_timezone_names for the names that are.")));
	return NULL;
}

Datum
custseg_is_time_zone(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(TimeZoneByName(text_to_cstring(PG_GETARG_TEXT_PP(0)), true) != NULL);
}
