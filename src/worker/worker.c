/*
 * worker.c
 *		The process that runs what is due in one database.
 *
 * A worker looks at custseg.job_record, runs what is due, writes down how it
 * went and when it starts next, and tells the launcher when to come again. It
 * runs as the owner of the extension.
 *
 * Then it exits, unless a job starts here within custseg.worker_linger: a new
 * process would have to load the catalog, plan every statement and map every
 * shared buffer anew, which takes longer than to refresh a few customers. So it
 * waits for that start, in no transaction and with no lock, until somebody
 * wants the database or its place. What a job leaves in the session is put
 * back before the next (session.c). Where a job did not succeed, and after some
 * minutes anyway, a new process takes over, with new memory and with what was set
 * since by ALTER ROLE or ALTER DATABASE.
 *
 * A job's row says when it started and when it finished. Nobody but this
 * worker can be running a job here, so a row that has started and not finished
 * when we come to look is one whose worker was killed: it is marked as
 * interrupted and runs again, at once the first time and after a pause if it
 * keeps happening.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "common/compat.h"
#include "common/guard.h"
#include "common/home.h"
#include "common/settings.h"
#include "common/spi.h"
#include "common/zone.h"
#include "worker/place.h"
#include "worker/record.h"
#include "worker/schedule.h"
#include "worker/session.h"
#include "worker/shared.h"
#include "worker/worker.h"

#define BOOKKEEPING_LOCK_TIMEOUT "5s"
#define BOOKKEEPING_TRIES 5
#define BUSY_PAUSE (10 * USECS_PER_SEC)
#define PROBE_EVERY_MS 1000

static const char *const outcome_names[] = {"succeeded", "failed", "interrupted", "skipped"};

/* A transaction for our own rows, which never waits long for a lock. */
static void
BeginBookkeeping(Guard *guard)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	(void) set_config_option("lock_timeout", BOOKKEEPING_LOCK_TIMEOUT, PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
	HoldExtension(ExtensionOid());
	PushActiveSnapshot(GetTransactionSnapshot());
	OwnerBegin(guard);
}

static void
EndBookkeeping(Guard *guard)
{
	OwnerEnd(guard);
	PopActiveSnapshot();
	CommitTransactionCommand();
}

static void
ReloadSettings(void)
{
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
}

static bool
ExtensionIsHere(void)
{
	bool		here;

	StartTransactionCommand();
	here = OidIsValid(get_extension_oid("custseg", true));
	CommitTransactionCommand();
	return here;
}

/*
 * The next start is further away than the schedule allows: it was written
 * while a clock ran ahead. Wait for it, and nothing runs for as long.
 */
static void
SetAnew(int job, JobRecord *record, TimestampTz now)
{
	char	   *was = pstrdup(timestamptz_to_str(record->next_start));

	if (!record->scheduled)
		record->next_start = now;
	else if (record->schedule.days == 0 && record->anchor > now)
		record->next_start = record->anchor = now;
	else
		record->next_start = NextStart(&record->schedule, TimeZoneByName(record->time_zone, false), record->anchor, now);
	record->note = psprintf("the next start was set anew at %s, because it was %s, further away than the schedule allows: a clock ran ahead",
							timestamptz_to_str(now), was);
	WriteJobSchedule(job_kinds[job].name, record);
	ereport(LOG,
			(errmsg("the next start of job \"%s\" of database \"%s\" is set anew, because it was %s, further away than its schedule allows",
					job_kinds[job].name, record->database, was),
			 errhint("Has the clock of this server run ahead?")));
}

/*
 * Look at one job. Returns true when it is due and written down as started;
 * else *start is moved to the moment at which it will be due, or *next to the
 * one at which to look again. With may_start false, one that is due is left for
 * later.
 */
static bool
LookAtJob(int job, bool asked, bool may_start, bool *told_paused,
		  TimestampTz *next, TimestampTz *start)
{
	TimestampTz now = GetCurrentTimestamp();
	JobRecord	record;
	Guard		guard;
	bool		paused;
	bool		held;
	bool		due = false;

	BeginBookkeeping(&guard);
	if (!ReadJobRecord(job_kinds[job].name, true, &record))
	{
		/* Somebody is changing the row and will wake us when done. */
		*next = Min(*next, now + BUSY_PAUSE);
		EndBookkeeping(&guard);
		return false;
	}

	paused = record.paused || record.moved;
	held = paused || (record.scheduled && !custseg_contact);
	if (record.exists && record.moved && !record.paused && record.scheduled && !*told_paused)
	{
		ereport(LOG,
				(errmsg("job \"%s\" of database \"%s\" is paused, because its schedule was made in another database or installation",
						job_kinds[job].name, record.database),
				 errhint("To start it here: SELECT custseg.resume('%s').", job_kinds[job].name)));
		*told_paused = true;
		WorkerSaidPaused();
	}

	if (record.exists && record.started && !record.finished)
	{
		record.failures++;
		record.has_next = !paused;
		record.next_start = now;
		if (record.failures > 1)
			record.next_start = RetryStart(record.scheduled ? &record.schedule : NULL,
										   record.failures - 1, now);
		record.last_status = "interrupted";
		record.last_error = "the worker was stopped before the job had finished";
		WriteJobOutcome(job_kinds[job].name, &record, now);
	}
	else if (record.exists && record.scheduled && record.schedule.days != 0 && record.zone_changed)
	{
		record.next_start = NextStart(&record.schedule, TimeZoneByName(record.time_zone, false), 0, now);
		record.has_next = true;
		WriteJobNextStart(job_kinds[job].name, &record);
	}
	else if (record.exists && !paused && record.has_next &&
			 StartIsTooFar(record.scheduled ? &record.schedule : NULL, TimeZoneByName(record.time_zone, false),
						   record.anchor, record.next_start, now))
		SetAnew(job, &record, now);

	if (asked || record.requested)
		due = true;
	else if (record.exists && !held && record.has_next)
	{
		due = record.next_start <= now;
		if (!due)
			*start = Min(*start, record.next_start);
	}

	if (due && may_start)
		WriteJobStart(job_kinds[job].name, now);
	else if (due)
	{
		*start = now;
		due = false;
	}
	EndBookkeeping(&guard);
	return due;
}

/*
 * Start one job that is due: its number, or -1. Then *next is when to look
 * again, and *start when a job starts as far as one can tell now.
 */
static int
Look(bool may_start, TimestampTz *next, TimestampTz *start)
{
	bool		told_paused;
	uint32		requests = WorkerBeginLook(&told_paused);

	*next = GetCurrentTimestamp() + CUSTSEG_LOOK_AGAIN;
	*start = DT_NOEND;
	for (int job = 0; job < job_kind_count; job++)
		if (LookAtJob(job, (requests & (1U << job)) != 0, may_start, &told_paused, next, start))
			return job;
	*next = Min(*next, *start);
	return -1;
}

static void
WriteDown(int job, JobOutcome outcome, char *error)
{
	const char *name = job_kinds[job].name;
	TimestampTz now = GetCurrentTimestamp();
	JobRecord	record;
	Guard		guard;

	BeginBookkeeping(&guard);

	/* The row is read anew: it may have been rescheduled while the job ran. */
	(void) ReadJobRecord(name, false, &record);
	if (record.exists)
	{
		Schedule   *schedule = record.scheduled ? &record.schedule : NULL;

		record.has_next = schedule != NULL;
		if (schedule != NULL)
			record.next_start = NextStart(schedule, TimeZoneByName(record.time_zone, false),
										  record.anchor, now);
		switch (outcome)
		{
			case CUSTSEG_SUCCEEDED:
				record.failures = 0;
				break;
			case CUSTSEG_FAILED:
				record.failures++;
				if (schedule != NULL)
					record.next_start = Min(record.next_start,
											RetryStart(schedule, record.failures, now));
				break;
			case CUSTSEG_INTERRUPTED:
				record.has_next = true;
				record.next_start = now;
				break;
			case CUSTSEG_SKIPPED:
				record.next_start = record.has_next ?
					Min(record.next_start, now + BUSY_PAUSE) : now + BUSY_PAUSE;
				record.has_next = true;
				break;
		}
		record.last_status = outcome_names[outcome];
		record.last_error = error;
		WriteJobOutcome(name, &record, now);
	}
	EndBookkeeping(&guard);
}

/*
 * Write down how a job went. A session may hold the row for a while, so a
 * lock that is not to be had is no reason to lose the outcome at once.
 */
static void
Finish(int job, JobOutcome outcome, char *error)
{
	MemoryContext outer = CurrentMemoryContext;
	volatile bool done = false;

	for (volatile int tries = 1; !done; tries++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!ExtensionIsHere())
			return;
		PG_TRY();
		{
			WriteDown(job, outcome, error);
			done = true;
		}
		PG_CATCH();
		{
			if (geterrcode() != ERRCODE_LOCK_NOT_AVAILABLE || tries >= BOOKKEEPING_TRIES)
				PG_RE_THROW();
			HOLD_INTERRUPTS();
			MemoryContextSwitchTo(outer);
			AbortCurrentTransaction();
			FlushErrorState();
			RESUME_INTERRUPTS();
		}
		PG_END_TRY();
		MemoryContextSwitchTo(outer);
	}
}

static bool
MustLeave(void)
{
	bool		wanted;

	StartTransactionCommand();
	wanted = DatabaseIsWanted(MyDatabaseId);
	CommitTransactionCommand();
	return wanted;
}

/*
 * Run what is due; returns when to come again. *start is for when it may be
 * worth waiting, DT_NOEND where this process must not.
 */
static TimestampTz
Work(MemoryContext context, TimestampTz *start)
{
	TimestampTz next;
	TimestampTz next_start;
	bool		all_well = true;

	*start = DT_NOEND;

	/* Each job once at most, so that other databases get their turn. */
	for (int runs = 0;; runs++)
	{
		int			job;
		char	   *error;
		JobOutcome	outcome;
		bool		leave;

		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(context);
		MemoryContextReset(context);
		ReloadSettings();
		ResetSession();
		if (!BecomeOwner())
			return GetCurrentTimestamp() + CUSTSEG_LOOK_AGAIN;
		job = Look(runs < job_kind_count, &next, &next_start);
		if (job < 0)
		{
			if (all_well)
				*start = next_start;
			return next;
		}

		WorkerSetRunningJob(job);
		MemoryContextSwitchTo(context);
		outcome = RunJob(job, &error);

		/* A job that sees somebody wait for the database ends early, one way or another. */
		leave = MustLeave();
		MemoryContextSwitchTo(context);
		Finish(job, leave ? CUSTSEG_INTERRUPTED : outcome, error);
		WorkerSetRunningJob(-1);
		if (leave)
			return GetCurrentTimestamp();
		all_well &= outcome == CUSTSEG_SUCCEEDED;
	}
}

/* Wait until it is time to look again. False: leave. */
static bool
Linger(TimestampTz born, TimestampTz next, TimestampTz start)
{
	pgstat_report_stat(true);
	pgstat_report_activity(STATE_IDLE, "custseg waiting");
	for (;;)
	{
		TimestampTz linger = custseg_worker_linger * USECS_PER_SEC;
		TimestampTz now = GetCurrentTimestamp();

		if (!custseg_enabled || linger == 0 || start - now > linger ||
			start - born > Max(linger, CUSTSEG_WORKER_LIFE) || MustLeave())
			return false;
		switch (WorkerIdle(next))
		{
			case CUSTSEG_LOOK:
				return true;
			case CUSTSEG_LEAVE:
				return false;
			case CUSTSEG_WAIT:
				break;
		}
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 Min(PROBE_EVERY_MS, Max(0, (next - now + 999) / 1000)),
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		ReloadSettings();
	}
}

void
CustsegWorkerMain(Datum arg)
{
	Oid			database = DatumGetObjectId(arg);
	TimestampTz born = GetCurrentTimestamp();
	MemoryContext context;

	pqsignal(SIGTERM, die);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();

	before_shmem_exit(WorkerDetach, ObjectIdGetDatum(database));
	if (!WorkerAttach(database))
		proc_exit(0);
	BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
	context = AllocSetContextCreate(TopMemoryContext, "custseg worker", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(context);

	PG_TRY();
	{
		TimestampTz next;
		TimestampTz start;

		/* What to look at next is said before the wait, for the process that comes after this one. */
		do
		{
			next = Work(context, &start);
			WorkerReportNextLook(next);
		} while (Linger(born, next, start));
	}
	PG_CATCH();
	{
		WorkerReportTrouble(database);
		PG_RE_THROW();
	}
	PG_END_TRY();
	proc_exit(0);
}
