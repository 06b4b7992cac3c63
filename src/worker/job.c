/*
 * job.c
 *		What people say about jobs in SQL: schedule, pause, ask for a run, and
 *		see what the workers are doing.
 *
 * A schedule or a request counts when its transaction commits. Only then is
 * the launcher woken, or the worker that waits here, by a transaction callback,
 * so that the worker finds the row. Where no callback runs in time (COMMIT
 * PREPARED, a row edited by hand) the worker's regular look finds it a few
 * minutes later.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_database.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "common/guard.h"
#include "common/home.h"
#include "common/settings.h"
#include "common/spi.h"
#include "common/zone.h"
#include "worker/record.h"
#include "worker/schedule.h"
#include "worker/shared.h"

PG_FUNCTION_INFO_V1(custseg_schedule);
PG_FUNCTION_INFO_V1(custseg_unschedule);
PG_FUNCTION_INFO_V1(custseg_pause);
PG_FUNCTION_INFO_V1(custseg_resume);
PG_FUNCTION_INFO_V1(custseg_request_refresh);
PG_FUNCTION_INFO_V1(custseg_worker_state);

static bool wake_on_commit = false;
static uint32 request_on_commit = 0;

static void
AtTransactionEnd(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_PREPARE)
	{
		if (wake_on_commit && worker_shared != NULL)
		{
			DatabaseEntry *entry;

			LWLockAcquire(worker_shared->lock, LW_EXCLUSIVE);
			entry = EntryOf(MyDatabaseId, true);
			if (entry != NULL)
			{
				entry->look = true;
				entry->requests |= request_on_commit;
			}
			WakeFor(entry);
			LWLockRelease(worker_shared->lock);
		}
	}
	else if (event != XACT_EVENT_ABORT)
		return;
	wake_on_commit = false;
	request_on_commit = 0;
}

/* A savepoint rolled back leaves the wish to be woken; a look too many does no harm. */
static void
WakeOnCommit(void)
{
	static bool registered = false;

	if (!registered)
		RegisterXactCallback(AtTransactionEnd, NULL);
	registered = true;
	wake_on_commit = true;
}

/* Why no worker will run jobs of this database, or NULL. */
static const char *
Obstacle(const char **hint)
{
	const char *name = get_database_name(MyDatabaseId);
	HeapTuple	tuple;
	bool		closed = false;
	pid_t		launcher;

	if (RecoveryInProgress())
	{
		*hint = "Jobs run on the primary; they start here by themselves after promotion.";
		return "this server is a standby";
	}
	if (worker_shared == NULL)
	{
		*hint = "Add custseg to shared_preload_libraries and restart the server.";
		return "custseg is not in shared_preload_libraries";
	}
	if (!custseg_enabled)
	{
		*hint = "Set custseg.enabled = on and reload the configuration.";
		return "custseg.enabled is off";
	}
	if (!DatabaseIsCovered(name))
	{
		*hint = psprintf("Add \"%s\" to custseg.databases and reload the configuration.", name);
		return psprintf("database \"%s\" is not in custseg.databases", name);
	}

	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(MyDatabaseId));
	if (HeapTupleIsValid(tuple))
	{
		Form_pg_database form = (Form_pg_database) GETSTRUCT(tuple);

		closed = form->datistemplate || !form->datallowconn;
		ReleaseSysCache(tuple);
	}
	if (closed)
	{
		*hint = "Workers enter only databases that allow connections and are no template.";
		return psprintf("database \"%s\" is a template or allows no connections", name);
	}

	LWLockAcquire(worker_shared->lock, LW_SHARED);
	launcher = worker_shared->launcher_pid;
	LWLockRelease(worker_shared->lock);
	if (launcher == 0)
	{
		*hint = "It is started again after a few seconds; if it stays away, see the server's log and max_worker_processes.";
		return "the custseg launcher is not running";
	}
	return NULL;
}

static void
WarnOfObstacle(void)
{
	const char *hint;
	const char *obstacle = Obstacle(&hint);

	/* This one holds schedules only: who asks for a run means it. */
	if (obstacle == NULL && !custseg_contact)
	{
		obstacle = "custseg.contact is off";
		hint = "It is off for copies of a shop. Set custseg.contact = on and reload the configuration where schedules are to start.";
	}
	if (obstacle != NULL)
		ereport(WARNING,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("no worker will run this job: %s", obstacle),
				 errhint("%s", hint)));
}

/* The first argument, a job's name, which must be known. */
static const char *
JobArgument(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the job must be named"),
				 errhint("For example: SELECT custseg.schedule('refresh', every => '1 hour').")));
	return job_kinds[JobByName(text_to_cstring(PG_GETARG_TEXT_PP(0)))].name;
}

static void
NotScheduled(const char *job)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("job \"%s\" is not scheduled", job),
			 errhint("For example: SELECT custseg.schedule('%s', every => '1 hour').", job)));
}

static bool
SameSchedule(const Schedule *a, const Schedule *b)
{
	return a->days == b->days && a->at_time == b->at_time &&
		a->every.month == b->every.month && a->every.day == b->every.day &&
		a->every.time == b->every.time;
}

/*
 * custseg.schedule(job, every, days, at_time)
 */
Datum
custseg_schedule(PG_FUNCTION_ARGS)
{
	const char *job = JobArgument(fcinfo);
	Schedule	schedule = {0};
	JobRecord	record;
	TimestampTz now = GetCurrentTimestamp();
	Guard		guard;
	int			default_days = job_kinds[JobByName(job)].default_days;
	bool		same;
	bool		stays_paused;

	PreventCommandIfReadOnly("custseg.schedule()");
	if (PG_ARGISNULL(1) && PG_ARGISNULL(2) && PG_ARGISNULL(3) && default_days > 0)
		schedule.every.day = default_days;
	else if (PG_ARGISNULL(1) ? PG_ARGISNULL(2) && PG_ARGISNULL(3) : !PG_ARGISNULL(2) || !PG_ARGISNULL(3))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("job \"%s\" needs either \"every\" or \"days\" and \"at_time\"", job),
				 errhint("For example every => '1 hour', or days => 'Mon-Fri', at_time => '08:00'.")));
	else if (!PG_ARGISNULL(1))
	{
		schedule.every = *PG_GETARG_INTERVAL_P(1);
		CheckEvery(&schedule.every);
	}
	else
	{
		schedule.days = ParseDays(PG_ARGISNULL(2) ? "daily" : text_to_cstring(PG_GETARG_TEXT_PP(2)));
		schedule.at_time = PG_ARGISNULL(3) ? 0 : PG_GETARG_TIMEADT(3);
	}

	OwnerBegin(&guard);
	(void) ReadJobRecord(job, false, &record);

	/* Saying the same again, as deployment scripts do, changes nothing, and wakes nothing that is paused. */
	same = record.exists && record.scheduled && SameSchedule(&record.schedule, &schedule);
	stays_paused = same && (record.paused || record.moved);
	if (!same || (!stays_paused && (!record.has_next || record.zone_changed)))
	{
		record.scheduled = true;
		record.schedule = schedule;
		record.anchor = now;
		record.has_next = true;
		record.next_start = schedule.days == 0 ? now :
			NextStart(&schedule, TimeZoneByName(record.time_zone, false), now, now);
		record.paused = false;
		record.failures = 0;
		record.note = NULL;
		WriteJobSchedule(job, &record);
	}
	OwnerEnd(&guard);

	if (stays_paused)
	{
		ereport(NOTICE,
				(errmsg("job \"%s\" has this schedule and stays paused: %s", job,
						record.paused ? "custseg.pause() was called" : "the schedule was made in another database or installation"),
				 errhint("To start it: SELECT custseg.resume('%s').", job)));
		PG_RETURN_NULL();
	}
	WakeOnCommit();
	WarnOfObstacle();
	PG_RETURN_TIMESTAMPTZ(record.next_start);
}

/*
 * custseg.unschedule(job): true when there was a schedule. What is known of
 * the last run stays.
 */
Datum
custseg_unschedule(PG_FUNCTION_ARGS)
{
	const char *job = JobArgument(fcinfo);
	JobRecord	record;
	Guard		guard;
	bool		was;

	PreventCommandIfReadOnly("custseg.unschedule()");
	OwnerBegin(&guard);
	(void) ReadJobRecord(job, false, &record);
	was = record.scheduled;
	if (record.exists)
	{
		record.scheduled = record.has_next = record.paused = false;
		record.note = NULL;
		WriteJobSchedule(job, &record);
	}
	OwnerEnd(&guard);
	PG_RETURN_BOOL(was);
}

Datum
custseg_pause(PG_FUNCTION_ARGS)
{
	const char *job = JobArgument(fcinfo);
	JobRecord	record;
	Guard		guard;

	PreventCommandIfReadOnly("custseg.pause()");
	OwnerBegin(&guard);
	(void) ReadJobRecord(job, false, &record);
	if (!record.scheduled)
		NotScheduled(job);
	record.paused = true;
	record.has_next = false;
	WriteJobSchedule(job, &record);
	OwnerEnd(&guard);
	PG_RETURN_VOID();
}

/*
 * custseg.resume(job): go on with a schedule that was paused, by hand or
 * because it came from another database.
 */
Datum
custseg_resume(PG_FUNCTION_ARGS)
{
	const char *job = JobArgument(fcinfo);
	TimestampTz now = GetCurrentTimestamp();
	JobRecord	record;
	Guard		guard;

	PreventCommandIfReadOnly("custseg.resume()");
	OwnerBegin(&guard);
	(void) ReadJobRecord(job, false, &record);
	if (!record.scheduled)
		NotScheduled(job);
	if (record.paused || record.moved || !record.has_next)
	{
		record.paused = false;
		record.has_next = true;
		record.next_start = NextStart(&record.schedule, TimeZoneByName(record.time_zone, false),
									  record.anchor, now);
		record.failures = 0;
		record.note = NULL;
		WriteJobSchedule(job, &record);
	}
	OwnerEnd(&guard);

	WakeOnCommit();
	WarnOfObstacle();
	PG_RETURN_TIMESTAMPTZ(record.next_start);
}

/*
 * custseg.request_refresh()
 *
 * A request is a row of its own, so that sessions do not wait for each other.
 * A transaction that may not write leaves it in shared memory only.
 */
Datum
custseg_request_refresh(PG_FUNCTION_ARGS)
{
	int			job = JobByName("refresh");
	const char *hint = NULL;
	const char *obstacle = Obstacle(&hint);
	bool		running = false;

	if (RecoveryInProgress() || (XactReadOnly && worker_shared == NULL))
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("a refresh cannot be requested here: %s", obstacle),
				 errhint("%s", hint)));

	if (XactReadOnly)
		request_on_commit |= 1U << job;
	else
	{
		Oid			types[] = {TEXTOID};
		Datum		values[] = {CStringGetTextDatum(job_kinds[job].name)};
		Guard		guard;

		OwnerBegin(&guard);

		/*
		 * Each request has its row, since one that is there already may be
		 * for a run that is just starting. Where nothing runs, one will do,
		 * or they would pile up.
		 */
		if (obstacle != NULL &&
			SpiRun("SELECT FROM custseg.job_request WHERE job = $1 LIMIT 1", 1, types, values, NULL) > 0)
			request_on_commit |= 1U << job;
		else
			SpiRun("INSERT INTO custseg.job_request (job) VALUES ($1)", 1, types, values, NULL);
		OwnerEnd(&guard);
	}
	WakeOnCommit();

	if (obstacle != NULL)
	{
		WarnOfObstacle();
		PG_RETURN_TEXT_P(cstring_to_text(psprintf("requested, but no worker will run it: %s. %s",
												  obstacle, hint)));
	}

	LWLockAcquire(worker_shared->lock, LW_SHARED);
	{
		DatabaseEntry *entry = EntryOf(MyDatabaseId, false);

		running = entry != NULL && entry->worker_pid != 0 && entry->running_job == job;
	}
	LWLockRelease(worker_shared->lock);
	PG_RETURN_TEXT_P(cstring_to_text(running ?
									 "requested: a refresh is running, and another one follows it" :
									 "requested: it starts when this transaction commits"));
}

/*
 * custseg.worker_state(): what launcher and worker are doing, one row.
 */
Datum
custseg_worker_state(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Datum		values[11];
	bool		nulls[11];
	const char *hint = NULL;
	const char *obstacle = Obstacle(&hint);
	DatabaseEntry entry = {0};
	pid_t		launcher = 0;
	TimestampTz no_slot = 0;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");

	if (worker_shared != NULL)
	{
		DatabaseEntry *found;

		LWLockAcquire(worker_shared->lock, LW_SHARED);
		launcher = worker_shared->launcher_pid;
		no_slot = worker_shared->no_slot;
		found = EntryOf(MyDatabaseId, false);
		if (found != NULL)
			entry = *found;
		LWLockRelease(worker_shared->lock);
	}

	memset(nulls, true, sizeof(nulls));
	nulls[0] = worker_shared == NULL || launcher == 0;
	values[0] = Int32GetDatum(launcher);
	nulls[1] = nulls[2] = false;
	values[1] = BoolGetDatum(worker_shared != NULL && custseg_enabled);
	values[2] = BoolGetDatum(DatabaseIsCovered(get_database_name(MyDatabaseId)));
	nulls[3] = entry.worker_pid == 0;
	values[3] = Int32GetDatum(entry.worker_pid);
	if (entry.worker_pid != 0 && entry.running_job >= 0)
	{
		nulls[4] = false;
		values[4] = CStringGetTextDatum(job_kinds[entry.running_job].name);
	}
	nulls[5] = entry.waiting_since == 0;
	values[5] = TimestampTzGetDatum(entry.waiting_since);
	nulls[6] = entry.last_look == 0;
	values[6] = TimestampTzGetDatum(entry.last_look);
	nulls[7] = obstacle != NULL || entry.next_look == 0;
	values[7] = TimestampTzGetDatum(entry.next_look);
	nulls[8] = false;
	values[8] = Int32GetDatum(entry.worker_pid != 0 ? 0 : entry.troubles);
	if (obstacle != NULL)
	{
		nulls[9] = false;
		values[9] = CStringGetTextDatum(psprintf("%s; %s", obstacle, hint));
	}
	else if (no_slot != 0 && entry.worker_pid == 0)
	{
		nulls[9] = false;
		values[9] = CStringGetTextDatum(psprintf("no background worker slot has been free since %s; raise max_worker_processes",
												 timestamptz_to_str(no_slot)));
	}
	else if (entry.worker_pid == 0 && entry.trouble[0] != '\0')
	{
		nulls[9] = false;
		values[9] = CStringGetTextDatum(psprintf("the last worker failed: %s", entry.trouble));
	}
	else if (!custseg_contact)
	{
		nulls[9] = false;
		values[9] = CStringGetTextDatum("custseg.contact is off: no schedule is started, and runs that are asked for are");
	}
	nulls[10] = false;
	values[10] = BoolGetDatum(custseg_contact);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
