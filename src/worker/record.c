/*
 * record.c
 *		A row of custseg.job_record and its ways in and out.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "common/home.h"
#include "common/settings.h"
#include "common/spi.h"
#include "worker/record.h"

static Datum
Text(const char *string)
{
	return string ? CStringGetTextDatum(string) : (Datum) 0;
}

static char
Null(bool isnull)
{
	return isnull ? 'n' : ' ';
}

bool
ReadJobRecord(const char *job, bool skip, JobRecord *record)
{
	Oid			types[] = {TEXTOID};
	Datum		values[] = {Text(job)};
	const char *zone;
	Datum		value;
	bool		isnull;

	memset(record, 0, sizeof(JobRecord));
	record->time_zone = ReadShopSettings()->time_zone;
	record->database = get_database_name(MyDatabaseId);
	record->requested =
		SpiRun("SELECT FROM custseg.job_request WHERE job = $1 LIMIT 1", 1, types, values, NULL) > 0;

	SpiRun(psprintf("SELECT every, days, at_time, anchor, zone, next_start, paused,"
					" home, last_start IS NOT NULL, last_finish IS NOT NULL, failures,"
					" last_status, last_error, note"
					" FROM custseg.job_record WHERE job = $1 FOR UPDATE%s",
					skip ? " SKIP LOCKED" : ""),
		   1, types, values, NULL);
	if (SPI_processed == 0)
		return !skip ||
			SpiRun("SELECT FROM custseg.job_record WHERE job = $1", 1, types, values, NULL) == 0;

	record->exists = true;
	value = SpiField(0, 1, &isnull);
	if (!isnull)
	{
		record->scheduled = true;
		record->schedule.every = *DatumGetIntervalP(value);
	}
	value = SpiField(0, 2, &isnull);
	if (!isnull)
	{
		record->scheduled = true;
		record->schedule.days = ParseDays(TextDatumGetCString(value));
		record->schedule.at_time = DatumGetTimeADT(SpiField(0, 3, &isnull));
	}
	record->anchor = DatumGetTimestampTz(SpiField(0, 4, &isnull));
	zone = SpiText(0, 5);
	record->zone_changed = zone == NULL || strcmp(zone, record->time_zone) != 0;
	record->next_start = DatumGetTimestampTz(SpiField(0, 6, &isnull));
	record->has_next = !isnull;
	record->paused = SpiInt64(0, 7, 0) != 0;
	record->moved = strcmp(SpiText(0, 8), DatabaseHome()) != 0;
	record->started = SpiInt64(0, 9, 0) != 0;
	record->finished = SpiInt64(0, 10, 0) != 0;
	record->failures = SpiInt64(0, 11, 0);
	record->last_status = SpiText(0, 12);
	record->last_error = SpiText(0, 13);
	record->note = SpiText(0, 14);
	return true;
}

void
WriteJobSchedule(const char *job, const JobRecord *record)
{
	const Schedule *schedule = &record->schedule;
	bool		by_day = record->scheduled && schedule->days != 0;
	bool		by_interval = record->scheduled && schedule->days == 0;
	Oid			types[] = {TEXTOID, INTERVALOID, TEXTOID, TIMEOID, TIMESTAMPTZOID, TEXTOID,
	TIMESTAMPTZOID, BOOLOID, TEXTOID, INT4OID, TEXTOID};
	Datum		values[] = {
		Text(job),
		IntervalPGetDatum(&schedule->every),
		by_day ? Text(FormatDays(schedule->days)) : (Datum) 0,
		TimeADTGetDatum(schedule->at_time),
		TimestampTzGetDatum(record->anchor),
		Text(record->time_zone),
		TimestampTzGetDatum(record->next_start),
		BoolGetDatum(record->paused),
		Text(DatabaseHome()),
		Int32GetDatum(record->failures),
		Text(record->note)
	};
	char		nulls[] = {
		' ', Null(!by_interval), Null(!by_day), Null(!by_day), Null(!by_interval),
		Null(!record->scheduled), Null(!record->has_next), ' ', ' ', ' ', Null(record->note == NULL), '\0'
	};

	SpiRun("INSERT INTO custseg.job_record"
		   " (job, every, days, at_time, anchor, zone, next_start, paused, home, failures, note)"
		   " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
		   " ON CONFLICT (job) DO UPDATE SET every = EXCLUDED.every, days = EXCLUDED.days,"
		   " at_time = EXCLUDED.at_time, anchor = EXCLUDED.anchor, zone = EXCLUDED.zone,"
		   " next_start = EXCLUDED.next_start, paused = EXCLUDED.paused,"
		   " home = EXCLUDED.home, failures = EXCLUDED.failures, note = EXCLUDED.note",
		   lengthof(types), types, values, nulls);
}

void
WriteJobNextStart(const char *job, const JobRecord *record)
{
	Oid			types[] = {TEXTOID, TIMESTAMPTZOID, TEXTOID};
	Datum		values[] = {Text(job), TimestampTzGetDatum(record->next_start), Text(record->time_zone)};
	char		nulls[] = {' ', Null(!record->has_next), ' ', '\0'};

	SpiRun("UPDATE custseg.job_record SET next_start = $2, zone = $3 WHERE job = $1",
		   lengthof(types), types, values, nulls);
}

void
WriteJobStart(const char *job, TimestampTz at)
{
	Oid			types[] = {TEXTOID, TEXTOID, TIMESTAMPTZOID};
	Datum		values[] = {Text(job), Text(DatabaseHome()), TimestampTzGetDatum(at)};

	SpiRun("INSERT INTO custseg.job_record (job, home, last_start) VALUES ($1, $2, $3)"
		   " ON CONFLICT (job) DO UPDATE SET last_start = EXCLUDED.last_start,"
		   " last_finish = NULL, last_status = NULL, last_error = NULL",
		   lengthof(types), types, values, NULL);
	SpiRun("DELETE FROM custseg.job_request WHERE job = $1", 1, types, values, NULL);
}

void
WriteJobOutcome(const char *job, const JobRecord *record, TimestampTz at)
{
	Oid			types[] = {TEXTOID, TIMESTAMPTZOID, TEXTOID, TEXTOID, INT4OID, TIMESTAMPTZOID, TEXTOID};
	Datum		values[] = {
		Text(job),
		TimestampTzGetDatum(at),
		Text(record->last_status),
		Text(record->last_error),
		Int32GetDatum(record->failures),
		TimestampTzGetDatum(record->next_start),
		Text(record->time_zone)
	};
	char		nulls[] = {
		' ', ' ', ' ', Null(record->last_error == NULL), ' ',
		Null(!record->has_next), Null(!record->scheduled), '\0'
	};

	SpiRun("UPDATE custseg.job_record SET last_finish = greatest($2, last_start), last_status = $3,"
		   " last_error = $4, failures = $5, next_start = $6, zone = $7 WHERE job = $1",
		   lengthof(types), types, values, nulls);
}
