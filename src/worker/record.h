/*
 * record.h
 *		A row of custseg.job_record and its ways in and out. Call inside SPI,
 *		as the owner of the extension.
 */
#ifndef CUSTSEG_RECORD_H
#define CUSTSEG_RECORD_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "worker/schedule.h"

typedef struct JobRecord
{
	bool		exists;			/* else only requested, time_zone and database count */
	bool		requested;		/* somebody wants it run at once */
	const char *time_zone;		/* the shop's */
	const char *database;

	bool		scheduled;
	Schedule	schedule;
	TimestampTz anchor;			/* first start of a schedule by interval */
	bool		zone_changed;	/* next_start was found in another time zone */
	bool		has_next;
	TimestampTz next_start;

	bool		paused;			/* by hand */
	bool		moved;			/* the schedule was made somewhere else */

	bool		started;
	bool		finished;
	int			failures;		/* in a row */
	const char *last_status;
	const char *last_error;
	const char *note;			/* what became of the schedule, or NULL */
} JobRecord;

/*
 * Read and lock a row. With skip set, false when somebody else has it locked;
 * else it waits.
 */
extern bool ReadJobRecord(const char *job, bool skip, JobRecord *record);

/* Store a schedule, its note and its next start, and make this database its home. */
extern void WriteJobSchedule(const char *job, const JobRecord *record);
extern void WriteJobNextStart(const char *job, const JobRecord *record);

/* A run begins, and with it ends every request committed so far. */
extern void WriteJobStart(const char *job, TimestampTz at);

/* A run has ended: last_status, last_error, failures and the next start. */
extern void WriteJobOutcome(const char *job, const JobRecord *record, TimestampTz at);

#endif							/* CUSTSEG_RECORD_H */
