/*
 * schedule.h
 *		When a job starts next: a pure function of its schedule and a moment.
 */
#ifndef CUSTSEG_SCHEDULE_H
#define CUSTSEG_SCHEDULE_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "pgtime.h"
#include "utils/date.h"

typedef struct Schedule
{
	int			days;			/* bit 0 = Sunday; 0 when it runs by interval */
	TimeADT		at_time;		/* local time on those days */
	Interval	every;			/* used when days = 0 */
} Schedule;

/* Days of the week: 'daily', 'Mon', 'Mon,Thu', 'Mon-Fri'; and back. */
extern int	ParseDays(const char *text);
extern char *FormatDays(int days);

/* An error unless this interval can be a schedule. */
extern void CheckEvery(const Interval *every);

/*
 * The first start after a moment. By interval, starts are anchor, anchor +
 * every, anchor + 2 * every, ... without end, so a late or missed run shifts
 * nothing and nothing piles up.
 */
extern TimestampTz NextStart(const Schedule *schedule, pg_tz *zone,
							 TimestampTz anchor, TimestampTz after);

/*
 * Is a start that was found earlier further away than one found now could be?
 * Then a clock ran ahead when it was found. schedule may be NULL: a retry.
 */
extern bool StartIsTooFar(const Schedule *schedule, pg_tz *zone, TimestampTz anchor, TimestampTz start,
						  TimestampTz now);

/* When to try again after so many failures in a row; schedule may be NULL. */
extern TimestampTz RetryStart(const Schedule *schedule, int failures, TimestampTz now);

#endif							/* CUSTSEG_SCHEDULE_H */
