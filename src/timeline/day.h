/*
 * day.h
 *		The shop's day on which a moment falls, fast.
 */
#ifndef CUSTSEG_DAY_H
#define CUSTSEG_DAY_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "pgtime.h"
#include "utils/date.h"

/* A stretch of time, in microseconds, with one distance from UTC. */
typedef struct DayInterval
{
	TimestampTz from;			/* included */
	TimestampTz until;			/* not included */
	int64		offset;			/* local time minus UTC */
} DayInterval;

/* The listed years in buckets of 2^43 microseconds, 102 days */
#define DAY_BUCKET_SHIFT	43
#define DAY_BUCKETS			1080

typedef struct DayMapper
{
	pg_tz	   *zone;
	DayInterval last;			/* of the last answer; moments come in clusters */
	TimestampTz from;			/* what the intervals cover */
	TimestampTz until;
	int			n;
	uint16		first[DAY_BUCKETS]; /* interval in which a bucket begins */
	DayInterval intervals[FLEXIBLE_ARRAY_MEMBER];
} DayMapper;

/* A mapper in the current memory context; free it with pfree. */
extern DayMapper *DayMapperCreate(const char *zone);

/* The mapper's slow half; use DayMapperDay. */
extern bool DayMapperSeek(DayMapper *mapper, TimestampTz at, DateADT *day);

/* The day of a shop-local time. False when it is infinite or no date can hold it. */
static inline bool
DayOfTimestamp(Timestamp at, DateADT *day)
{
	int64		quotient;

	if (unlikely(TIMESTAMP_NOT_FINITE(at)))
		return false;
	quotient = at / USECS_PER_DAY;
	if (at % USECS_PER_DAY < 0)
		quotient--;
	*day = (DateADT) quotient;
	return IS_VALID_DATE(*day);
}

static inline bool
DayOfDate(DateADT at, DateADT *day)
{
	*day = at;
	return !DATE_NOT_FINITE(at);
}

/* The mapper's zone's day of a moment. False when it is infinite or no date can hold it. */
static inline bool
DayMapperDay(DayMapper *mapper, TimestampTz at, DateADT *day)
{
	if (likely(at >= mapper->last.from && at < mapper->last.until))
		return DayOfTimestamp(at + mapper->last.offset, day);
	return DayMapperSeek(mapper, at, day);
}

#endif							/* CUSTSEG_DAY_H */
