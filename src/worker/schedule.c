/*
 * schedule.c
 *		When a job starts next: a pure function of its schedule and a moment.
 *
 * A schedule speaks of local time ("Mondays at 08:00") and a start is a
 * moment, so everything rests on one question: which moment is this local
 * time? Around clock changes there may be none or two. We take the first
 * moment at which a clock on the shop's wall shows that time or a later one.
 * That is the plain answer on plain days, the end of the gap when the clock
 * skips the time, and the first of the two when it shows it twice; and it
 * never runs backwards, so a start is neither lost nor doubled.
 *
 * To find it we walk the stretches of constant offset from before the moment
 * on. Within a stretch the local time is reached at "local - offset"; if that
 * lies before the stretch begins, the clock jumped over it and the answer is
 * the beginning; if it lies after its end, the next stretch decides.
 */
#include "postgres.h"

#include "common/int.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "common/zone.h"
#include "worker/schedule.h"

PG_FUNCTION_INFO_V1(custseg_next_start);

#define ALL_DAYS 0x7f
#define SHORTEST_EVERY (10 * USECS_PER_SEC)
#define LONGEST_EVERY (366 * USECS_PER_DAY)
#define FIRST_RETRY (30 * USECS_PER_SEC)
#define LAST_RETRY USECS_PER_HOUR

/* The widest time-zone offsets, with room to spare. */
#define WIDEST_OFFSET (26 * SECS_PER_HOUR)

#define UNIX_SHIFT ((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * (int64) SECS_PER_DAY)

static const char *const day_names[] = {
	"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"
};

static void
BadDays(const char *text)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("days \"%s\" are not days of the week", text),
			 errhint("Write for example 'daily', 'Mon', 'Mon,Thu' or 'Mon-Fri'.")));
}

/* Reads a day's name, of which three letters are enough. */
static int
ReadDay(const char **p, const char *text)
{
	size_t		len = 0;

	while (isspace((unsigned char) **p))
		(*p)++;
	while (isalpha((unsigned char) (*p)[len]))
		len++;
	for (int day = 0; day < lengthof(day_names); day++)
	{
		if (len >= 3 && len <= strlen(day_names[day]) &&
			pg_strncasecmp(*p, day_names[day], len) == 0)
		{
			*p += len;
			while (isspace((unsigned char) **p))
				(*p)++;
			return day;
		}
	}
	BadDays(text);
	return 0;
}

int
ParseDays(const char *text)
{
	const char *p = text;
	int			days = 0;

	if (pg_strcasecmp(text, "daily") == 0)
		return ALL_DAYS;

	for (;;)
	{
		int			first = ReadDay(&p, text);
		int			last = first;

		if (*p == '-')
		{
			p++;
			last = ReadDay(&p, text);
		}
		for (int day = first;; day = (day + 1) % 7)
		{
			days |= 1 << day;
			if (day == last)
				break;
		}
		if (*p == '\0')
			return days;
		if (*p++ != ',')
			BadDays(text);
	}
}

/* The one spelling that is stored: weeks begin on Monday. */
char *
FormatDays(int days)
{
	StringInfoData buf;

	initStringInfo(&buf);
	if (days == ALL_DAYS)
		appendStringInfoString(&buf, "daily");
	else
	{
		for (int i = 1; i <= 7; i++)
		{
			const char *name = day_names[i % 7];

			if (days & (1 << (i % 7)))
				appendStringInfo(&buf, "%s%c%.2s", buf.len ? "," : "",
								 pg_toupper((unsigned char) name[0]), name + 1);
		}
	}
	return buf.data;
}

/* How long an interval is at most, in microseconds. */
static int64
LongestSpan(const Interval *every)
{
	return every->month * 31 * USECS_PER_DAY + every->day * USECS_PER_DAY + every->time;
}

void
CheckEvery(const Interval *every)
{
	if (every->month < 0 || every->day < 0 || every->time < 0 ||
		every->month > 12 || every->day > 366 || every->time > LONGEST_EVERY ||
		LongestSpan(every) < SHORTEST_EVERY ||
		every->month * 30 * USECS_PER_DAY + every->day * USECS_PER_DAY + every->time > LONGEST_EVERY)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"every\" must lie between 10 seconds and 1 year"),
				 errhint("Write for example every => '1 hour'.")));
}

/* Seconds since 1970 and the microseconds beyond them. */
static pg_time_t
ToSeconds(TimestampTz moment, int *usec)
{
	int64		seconds = moment / USECS_PER_SEC;

	if (moment % USECS_PER_SEC < 0)
		seconds--;
	*usec = moment - seconds * USECS_PER_SEC;
	return seconds + UNIX_SHIFT;
}

static void
OutOfRange(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
			 errmsg("the next start lies outside the range of time that can be stored"),
			 errhint("Pass a moment such as now().")));
}

/* What a clock in the zone shows at a moment, as seconds since 1970 there. */
static int64
LocalSeconds(pg_time_t moment, pg_tz *zone)
{
	struct pg_tm *tm = pg_localtime(&moment, zone);

	if (tm == NULL)
		OutOfRange();
	return moment + tm->tm_gmtoff;
}

/* The first moment at which a clock in the zone shows this time or a later one. */
static TimestampTz
FirstMoment(int64 local, int usec, pg_tz *zone)
{
	pg_time_t	from = local - WIDEST_OFFSET;
	pg_time_t	moment;
	TimestampTz result;

	for (;;)
	{
		long int	before_offset,
					after_offset;
		int			before_isdst,
					after_isdst;
		pg_time_t	boundary;
		int			found;

		found = pg_next_dst_boundary(&from, &before_offset, &before_isdst,
									 &boundary, &after_offset, &after_isdst, zone);
		if (found < 0)
			OutOfRange();
		moment = local - before_offset;
		if (moment < from)
		{
			moment = from;
			usec = 0;
		}
		if (found == 0 || moment < boundary)
			break;
		from = boundary;
	}
	result = (moment - UNIX_SHIFT) * USECS_PER_SEC + usec;
	if (!IS_VALID_TIMESTAMP(result))
		OutOfRange();
	return result;
}

/* anchor + times * every, where months and days are those of the calendar. */
static TimestampTz
Step(const Interval *every, pg_tz *zone, TimestampTz anchor, int64 times)
{
	int			usec;
	int64		local;
	int64		day;
	int			year,
				month,
				mday;

	if (times == 0)
		return anchor;
	local = LocalSeconds(ToSeconds(anchor, &usec), zone);
	day = local / SECS_PER_DAY - (local % SECS_PER_DAY < 0 ? 1 : 0);
	local -= day * SECS_PER_DAY;

	j2date(day + UNIX_EPOCH_JDATE, &year, &month, &mday);
	month += times * every->month - 1;
	year += month / 12;
	month = month % 12 + 1;
	mday = Min(mday, day_tab[isleap(year)][month - 1]);
	day = date2j(year, month, mday) - UNIX_EPOCH_JDATE + times * every->day;

	return FirstMoment(day * SECS_PER_DAY + local, usec, zone) + times * every->time;
}

TimestampTz
NextStart(const Schedule *schedule, pg_tz *zone, TimestampTz anchor, TimestampTz after)
{
	const Interval *every = &schedule->every;
	int			usec;
	int64		day;
	int64		elapsed;

	if (TIMESTAMP_NOT_FINITE(after) || TIMESTAMP_NOT_FINITE(anchor))
		OutOfRange();

	if (schedule->days != 0)
	{
		int64		time = schedule->at_time / USECS_PER_SEC;

		/* Yesterday too: its time may be after midnight, across a gap or as 24:00. */
		day = LocalSeconds(ToSeconds(after, &usec), zone) / SECS_PER_DAY - 2;
		usec = schedule->at_time % USECS_PER_SEC;
		for (;; day++)
		{
			int			weekday = ((day + 4) % 7 + 7) % 7;	/* 1970 began on a Thursday */
			TimestampTz start;

			if ((schedule->days & (1 << weekday)) == 0)
				continue;
			start = FirstMoment(day * SECS_PER_DAY + time, usec, zone);
			if (start > after)
				return start;
		}
	}

	if (anchor > after)
		return anchor;
	if (pg_sub_s64_overflow(after, anchor, &elapsed))
		OutOfRange();
	if (every->month == 0 && every->day == 0)
	{
		TimestampTz start;

		if (pg_add_s64_overflow(after, every->time - elapsed % every->time, &start) ||
			!IS_VALID_TIMESTAMP(start))
			OutOfRange();
		return start;
	}

	/* A count of steps that is surely not too many, and then one by one. */
	for (int64 times = Max(0, (elapsed - 2 * USECS_PER_DAY) / LongestSpan(every));; times++)
	{
		TimestampTz start = Step(every, zone, anchor, times);

		if (start > after)
			return start;
	}
}

TimestampTz
RetryStart(const Schedule *schedule, int failures, TimestampTz now)
{
	int64		delay = FIRST_RETRY << Min(Max(failures - 1, 0), 20);
	int64		most = LAST_RETRY;

	if (schedule != NULL && schedule->days == 0)
		most = Min(most, LongestSpan(&schedule->every));
	return now + Min(delay, most);
}

bool
StartIsTooFar(const Schedule *schedule, pg_tz *zone, TimestampTz anchor, TimestampTz start, TimestampTz now)
{
	if (schedule == NULL)
		return start - now > LAST_RETRY;
	if (schedule->days == 0 && start - now <= LongestSpan(&schedule->every))
		return false;
	return (schedule->days == 0 && anchor > now) || start > NextStart(schedule, zone, anchor, now);
}

/*
 * custseg.next_start(every, days, at_time, zone, after, anchor)
 */
Datum
custseg_next_start(PG_FUNCTION_ARGS)
{
	Schedule	schedule = {0};
	TimestampTz after;

	if (PG_ARGISNULL(3) || PG_ARGISNULL(4) || PG_ARGISNULL(0) == PG_ARGISNULL(1))
		PG_RETURN_NULL();

	if (!PG_ARGISNULL(0))
	{
		schedule.every = *PG_GETARG_INTERVAL_P(0);
		CheckEvery(&schedule.every);
	}
	else
	{
		schedule.days = ParseDays(text_to_cstring(PG_GETARG_TEXT_PP(1)));
		schedule.at_time = PG_ARGISNULL(2) ? 0 : PG_GETARG_TIMEADT(2);
	}
	after = PG_GETARG_TIMESTAMPTZ(4);
	PG_RETURN_TIMESTAMPTZ(NextStart(&schedule,
									TimeZoneByName(text_to_cstring(PG_GETARG_TEXT_PP(3)), false),
									PG_ARGISNULL(5) ? after : PG_GETARG_TIMESTAMPTZ(5),
									after));
}
