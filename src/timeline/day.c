/*
 * day.c
 *		The shop's day on which a moment falls, fast.
 *
 * PostgreSQL's own conversion breaks every moment into its fields. But a zone
 * changes its distance from UTC at most a few times a year, so a mapper lists
 * the intervals between 1900 and 2200 once; then a moment costs a comparison
 * with the interval of the moment before, else a look into a table of buckets
 * and a step or two from there, and one division. Outside of those years
 * PostgreSQL is asked.
 */
#include "postgres.h"

#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "common/zone.h"
#include "timeline/day.h"

#define FIRST_YEAR	1900
#define LAST_YEAR	2200		/* not included */

/* Seconds between 1970-01-01 and 2000-01-01 */
#define EPOCH_SHIFT ((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * (int64) SECS_PER_DAY)

static TimestampTz
YearStart(int year)
{
	return (date2j(year, 1, 1) - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY;
}

DayMapper *
DayMapperCreate(const char *zone)
{
	int			capacity = 32;
	DayMapper  *mapper = palloc(offsetof(DayMapper, intervals) + capacity * sizeof(DayInterval));
	TimestampTz from = YearStart(FIRST_YEAR);
	TimestampTz end = YearStart(LAST_YEAR);

	mapper->zone = TimeZoneByName(zone, false);
	mapper->n = 0;
	while (from < end)
	{
		pg_time_t	time = from / USECS_PER_SEC + EPOCH_SHIFT;
		pg_time_t	boundary;
		long		before;
		long		after;
		int			before_isdst;
		int			after_isdst;
		int			found;
		TimestampTz until = end;

		found = pg_next_dst_boundary(&time, &before, &before_isdst, &boundary,
									 &after, &after_isdst, mapper->zone);
		if (found < 0)
			break;				/* the rest is PostgreSQL's to answer */
		if (found > 0)
			until = Min(end, (boundary - EPOCH_SHIFT) * USECS_PER_SEC);
		if (until <= from)
			break;

		if (mapper->n > 0 &&
			mapper->intervals[mapper->n - 1].offset == before * USECS_PER_SEC)
			mapper->intervals[mapper->n - 1].until = until;
		else
		{
			if (mapper->n == capacity)
			{
				capacity *= 2;
				mapper = repalloc(mapper, offsetof(DayMapper, intervals) +
								  capacity * sizeof(DayInterval));
			}
			mapper->intervals[mapper->n].from = from;
			mapper->intervals[mapper->n].until = until;
			mapper->intervals[mapper->n].offset = before * USECS_PER_SEC;
			mapper->n++;
		}
		from = until;
	}

	memset(&mapper->last, 0, sizeof(DayInterval));
	mapper->from = YearStart(FIRST_YEAR);
	mapper->until = from;
	for (int bucket = 0, i = 0; bucket < DAY_BUCKETS; bucket++)
	{
		TimestampTz start = mapper->from + ((TimestampTz) bucket << DAY_BUCKET_SHIFT);

		while (i < mapper->n - 1 && start >= mapper->intervals[i].until)
			i++;
		mapper->first[bucket] = i;
	}
	StaticAssertStmt(((int64) DAY_BUCKETS << DAY_BUCKET_SHIFT) >
					 (LAST_YEAR - FIRST_YEAR) * 366 * USECS_PER_DAY,
					 "the buckets must cover all listed years");
	return mapper;
}

bool
DayMapperSeek(DayMapper *mapper, TimestampTz at, DateADT *day)
{
	struct pg_tm tm;
	fsec_t		fsec;
	int			offset;

	if (TIMESTAMP_NOT_FINITE(at))
		return false;

	if (at >= mapper->from && at < mapper->until)
	{
		const DayInterval *interval =
			&mapper->intervals[mapper->first[(at - mapper->from) >> DAY_BUCKET_SHIFT]];

		while (at >= interval->until)
			interval++;
		mapper->last = *interval;
		return DayOfTimestamp(at + interval->offset, day);
	}

	if (timestamp2tm(at, &offset, &tm, &fsec, NULL, mapper->zone) != 0 ||
		!IS_VALID_JULIAN(tm.tm_year, tm.tm_mon, tm.tm_mday))
		return false;
	*day = date2j(tm.tm_year, tm.tm_mon, tm.tm_mday) - POSTGRES_EPOCH_JDATE;
	return IS_VALID_DATE(*day);
}
