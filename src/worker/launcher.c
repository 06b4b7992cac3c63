/*
 * launcher.c
 *		The process that decides in which database a worker is started.
 *
 * The launcher is connected to no database and runs no job. It keeps an entry
 * per database in shared memory, and each entry is in one of these states:
 *
 *	resting		no worker, and next_look lies in the future
 *	due			no worker, and next_look has passed, or "look" is set because
 *				somebody there committed a schedule or a request
 *	starting	a worker was registered and has not reported in (only the
 *				launcher's own memory, the list of what it started, knows this)
 *	busy		worker_pid is set: the worker reported in and has not left
 *	waiting		the same, and waiting_since is set: it has nothing to do, and a
 *				job here starts within custseg.worker_linger
 *
 *		resting --time, look--> due --launch--> starting --> busy --exit--> resting
 *
 *		busy --nothing due--> waiting --time, look--> busy
 *							  waiting --exit--> resting
 *
 * A worker runs what is due and writes into next_look when it wants to look
 * again. Where that is soon it waits for it, with its caches warm; else it
 * exits, so a database without custseg costs one short process every few
 * minutes.
 *
 * A worker that waits keeps nobody waiting. It looks every second whether
 * somebody wants the database, as does the launcher. Where a database is due
 * and finds no room, the launcher has the one leave that has waited longest
 * ("leave"), or the next that would begin to wait ("room_wanted").
 *
 * Whatever goes wrong ends in "resting", because a pessimistic next_look is
 * written before a worker sets to work (later with every time in a row that
 * ended badly), by the launcher or by the worker that waited, and only a worker
 * that has done its work replaces it. So one that dies while it waits delays
 * nothing. Nor is a wake-up lost: "look" is cleared by the worker before it
 * looks, so one that is set later survives the worker's exit and makes the
 * entry due again.
 *
 * worker_pid is also the lock that keeps two workers out of one database. It
 * is set by the worker itself, cleared by its exit callback, and gone with the
 * shared memory after a crash, so it never outlives its holder, not even when
 * the launcher was restarted and forgot what it had started.
 *
 * DROP DATABASE, ALTER DATABASE ... RENAME and CREATE DATABASE ... TEMPLATE
 * wait five seconds for a database to become empty. So once a second, for
 * each entry with a worker, the launcher sees whether somebody holds such a
 * lock on the database and then terminates the worker, or asks it to leave
 * where it only waits; and it starts none there.
 */
#include "postgres.h"

#include <signal.h>

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "common/compat.h"
#include "common/guard.h"
#include "common/settings.h"
#include "worker/launcher.h"
#include "worker/shared.h"

#define RESTART_SECONDS 5
#define PROBE_EVERY_MS 1000

typedef struct Database
{
	Oid			oid;
	char	   *name;
} Database;

/* A worker that was registered and not yet seen to have ended. */
typedef struct Started
{
	Oid			database;
	BackgroundWorkerHandle *handle;
} Started;

static List *started = NIL;		/* in TopMemoryContext */

void
LauncherInit(void)
{
	BackgroundWorker worker;

	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = RESTART_SECONDS;
	strlcpy(worker.bgw_library_name, "custseg", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "CustsegLauncherMain", sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_name, "custseg launcher", sizeof(worker.bgw_name));
	strlcpy(worker.bgw_type, "custseg launcher", sizeof(worker.bgw_type));
	RegisterBackgroundWorker(&worker);
}

static void
LauncherLeaves(int code, Datum arg)
{
	LWLockAcquire(worker_shared->lock, LW_EXCLUSIVE);
	worker_shared->launcher_pid = 0;
	worker_shared->launcher_latch = NULL;
	LWLockRelease(worker_shared->lock);
}

/* Every database in which workers may run now. */
static List *
ReadDatabases(void)
{
	List	   *databases = NIL;
	Relation	rel = table_open(DatabaseRelationId, AccessShareLock);
	TableScanDesc scan = table_beginscan_catalog(rel, 0, NULL);
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = heap_getnext(scan, ForwardScanDirection)))
	{
		Form_pg_database form = (Form_pg_database) GETSTRUCT(tuple);
		Database   *database;

		if (form->datistemplate || !form->datallowconn ||
			form->datconnlimit == DATCONNLIMIT_INVALID_DB ||
			!DatabaseIsCovered(NameStr(form->datname)))
			continue;
		database = palloc(sizeof(Database));
		database->oid = form->oid;
		database->name = pstrdup(NameStr(form->datname));
		databases = lappend(databases, database);
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	return databases;
}

static Database *
FindDatabase(List *databases, Oid oid)
{
	ListCell   *cell;

	foreach(cell, databases)
	{
		Database   *database = lfirst(cell);

		if (database->oid == oid)
			return database;
	}
	return NULL;
}

static bool
WasStarted(Oid database)
{
	ListCell   *cell;

	foreach(cell, started)
		if (((Started *) lfirst(cell))->database == database)
			return true;
	return false;
}

static void
ForgetEnded(void)
{
	ListCell   *cell;

	foreach(cell, started)
	{
		Started    *each = lfirst(cell);
		pid_t		pid;
		BgwHandleStatus status = GetBackgroundWorkerPid(each->handle, &pid);

		if (status == BGWH_STARTED || status == BGWH_NOT_YET_STARTED)
			continue;
		started = foreach_delete_current(started, cell);
		pfree(each->handle);
		pfree(each);
	}
}

/* One entry per database, and none for a database that is gone. */
static void
MatchEntries(List *databases)
{
	ListCell   *cell;
	bool		full = false;
	bool		tell;

	LWLockAcquire(worker_shared->lock, LW_EXCLUSIVE);
	foreach(cell, databases)
		if (EntryOf(((Database *) lfirst(cell))->oid, true) == NULL)
			full = true;
	for (int i = 0; i < CUSTSEG_MOST_DATABASES; i++)
	{
		DatabaseEntry *entry = &worker_shared->entries[i];

		if (entry->database == InvalidOid)
			continue;

		/*
		 * A session may have made the entry of a database that is younger
		 * than our scan, so an entry must be missed twice.
		 */
		if (FindDatabase(databases, entry->database) != NULL)
			entry->missing = 0;
		else if (entry->worker_pid == 0 && !WasStarted(entry->database) && ++entry->missing > 1)
			entry->database = InvalidOid;
	}
	tell = full && !worker_shared->full;
	worker_shared->full = full;
	LWLockRelease(worker_shared->lock);

	if (tell)
		ereport(LOG,
				(errmsg("custseg looks for jobs in %d databases at most, and this server has more",
						CUSTSEG_MOST_DATABASES),
				 errhint("Name the databases that use it in custseg.databases.")));
}

/*
 * Terminate the workers that must leave: their database is wanted, or they
 * are not wanted there any more. A process clears worker_pid under the same
 * lock before it ends, so the pid is that of a worker of ours.
 */
static void
StopWorkers(List *databases)
{
	Oid			busy[CUSTSEG_MOST_DATABASES];
	int			nbusy = 0;

	LWLockAcquire(worker_shared->lock, LW_SHARED);
	for (int i = 0; i < CUSTSEG_MOST_DATABASES; i++)
		if (worker_shared->entries[i].database != InvalidOid &&
			worker_shared->entries[i].worker_pid != 0)
			busy[nbusy++] = worker_shared->entries[i].database;
	LWLockRelease(worker_shared->lock);

	for (int i = 0; i < nbusy; i++)
	{
		const char *reason = NULL;
		DatabaseEntry *entry;
		pid_t		told = 0;

		if (!custseg_enabled)
			reason = "custseg.enabled is off";
		else if (FindDatabase(databases, busy[i]) == NULL)
			reason = "the database is not open to workers any more";
		else if (DatabaseIsWanted(busy[i]))
			reason = "somebody waits for the database to become empty";
		if (reason == NULL)
			continue;

		LWLockAcquire(worker_shared->lock, LW_EXCLUSIVE);
		entry = EntryOf(busy[i], false);
		if (entry != NULL && entry->worker_pid != 0 && (entry->waiting_since != 0 || entry->leave))
			AskToLeave(entry);
		else if (entry != NULL && entry->worker_pid != 0)
		{
			if (!entry->stopped)
				told = entry->worker_pid;
			entry->stopped = true;
			kill(entry->worker_pid, SIGTERM);
		}
		LWLockRelease(worker_shared->lock);

		if (told != 0)
			ereport(LOG,
					(errmsg("custseg stops the worker of database %u with process ID %d: %s",
							busy[i], (int) told, reason)));
	}
}

/* The entry that has waited longest among those that are due. */
static Oid
NextDue(List *databases, List *passed, TimestampTz now, TimestampTz *earliest)
{
	Oid			result = InvalidOid;
	TimestampTz oldest = 0;

	*earliest = now + custseg_naptime * USECS_PER_SEC;
	LWLockAcquire(worker_shared->lock, LW_SHARED);
	for (int i = 0; i < CUSTSEG_MOST_DATABASES; i++)
	{
		DatabaseEntry *entry = &worker_shared->entries[i];

		if (entry->database == InvalidOid || entry->worker_pid != 0 ||
			list_member_oid(passed, entry->database) ||
			WasStarted(entry->database) ||
			FindDatabase(databases, entry->database) == NULL)
			continue;

		/* Later than anybody writes is a clock that was set back. */
		if (!entry->look && entry->next_look > now && entry->next_look <= now + CUSTSEG_LAST_PAUSE)
			*earliest = Min(*earliest, entry->next_look);
		else if (result == InvalidOid || entry->last_look < oldest)
		{
			result = entry->database;
			oldest = entry->last_look;
		}
	}
	LWLockRelease(worker_shared->lock);
	return result;
}

static bool
LaunchWorker(Database *database, TimestampTz now)
{
	BackgroundWorker worker;
	Started    *each;
	DatabaseEntry *entry;
	DatabaseEntry before;
	bool		registered;
	bool		told_no_slot;

	/* What holds if the worker never reports; it may well report before we are back here. */
	LWLockAcquire(worker_shared->lock, LW_EXCLUSIVE);
	entry = EntryOf(database->oid, true);
	if (entry == NULL)
	{
		LWLockRelease(worker_shared->lock);
		return false;
	}
	before = *entry;
	ExpectTrouble(entry, now);
	entry->look = false;
	entry->stopped = false;
	entry->leave = false;
	entry->last_look = now;
	LWLockRelease(worker_shared->lock);

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker.bgw_library_name, "custseg", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "CustsegWorkerMain", sizeof(worker.bgw_function_name));
	snprintf(worker.bgw_name, sizeof(worker.bgw_name), "custseg worker of %s", database->name);
	strlcpy(worker.bgw_type, "custseg worker", sizeof(worker.bgw_type));
	worker.bgw_main_arg = ObjectIdGetDatum(database->oid);
	worker.bgw_notify_pid = MyProcPid;

	each = MemoryContextAlloc(TopMemoryContext, sizeof(Started));
	each->database = database->oid;
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		registered = RegisterDynamicBackgroundWorker(&worker, &each->handle);
		if (registered)
			started = lappend(started, each);
		MemoryContextSwitchTo(old);
	}
	LWLockAcquire(worker_shared->lock, LW_EXCLUSIVE);
	told_no_slot = worker_shared->no_slot != 0;
	if (registered)
		worker_shared->no_slot = 0;
	else if (!told_no_slot)
		worker_shared->no_slot = now;
	LWLockRelease(worker_shared->lock);
	if (registered)
		return true;

	pfree(each);
	if (!told_no_slot)
		ereport(LOG,
				(errmsg("custseg cannot start a worker: all background worker slots are taken"),
				 errhint("Raise max_worker_processes.")));
	LWLockAcquire(worker_shared->lock, LW_EXCLUSIVE);
	entry = EntryOf(database->oid, false);
	if (entry != NULL)
	{
		entry->next_look = before.next_look;
		entry->troubles = before.troubles;
		entry->last_look = before.last_look;
		entry->look |= before.look;
	}
	LWLockRelease(worker_shared->lock);
	return false;
}

/* How many workers there are, be they registered by us or by a launcher before us. */
static int
CountWorkers(void)
{
	int			count = list_length(started);

	LWLockAcquire(worker_shared->lock, LW_SHARED);
	for (int i = 0; i < CUSTSEG_MOST_DATABASES; i++)
		if (worker_shared->entries[i].database != InvalidOid &&
			worker_shared->entries[i].worker_pid != 0 &&
			!WasStarted(worker_shared->entries[i].database))
			count++;
	LWLockRelease(worker_shared->lock);
	return count;
}

/*
 * Where there are too few places, have a worker leave that only waits; where
 * none does, the next that would. One at a time: nobody else need go before
 * it has turned out that its place is not enough.
 */
static void
MakeRoom(bool wanted)
{
	DatabaseEntry *longest = NULL;
	bool		leaving = false;

	LWLockAcquire(worker_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < CUSTSEG_MOST_DATABASES; i++)
	{
		DatabaseEntry *entry = &worker_shared->entries[i];

		if (entry->database == InvalidOid)
			continue;
		if (entry->leave)
			leaving |= entry->worker_pid != 0 || WasStarted(entry->database);
		else if (entry->waiting_since != 0 &&
				 (longest == NULL || entry->waiting_since < longest->waiting_since))
			longest = entry;
	}
	worker_shared->room_wanted = wanted && !leaving && longest == NULL;
	if (wanted && !leaving && longest != NULL)
		AskToLeave(longest);
	LWLockRelease(worker_shared->lock);
}

/* What kept schedules from starting is over: look in every database. */
static void
LookEverywhere(void)
{
	LWLockAcquire(worker_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < CUSTSEG_MOST_DATABASES; i++)
		if (worker_shared->entries[i].database != InvalidOid)
			worker_shared->entries[i].look = true;
	LWLockRelease(worker_shared->lock);
}

/* One look at everything. Returns how long to sleep, in milliseconds. */
static long
LauncherCycle(void)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz earliest = now + custseg_naptime * USECS_PER_SEC;
	List	   *databases;
	List	   *passed = NIL;
	bool		waiting = false;
	bool		no_room;
	long		nap;

	/* The transaction is for the scan's snapshot and the probes' locks. */
	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	databases = ReadDatabases();
	ForgetEnded();
	MatchEntries(databases);
	StopWorkers(databases);

	no_room = CountWorkers() > custseg_max_workers;
	while (custseg_enabled)
	{
		Oid			due = NextDue(databases, passed, now, &earliest);

		CHECK_FOR_INTERRUPTS();
		if (due == InvalidOid)
			break;
		passed = lappend_oid(passed, due);
		if (DatabaseIsWanted(due))
			waiting = true;
		else if (CountWorkers() >= custseg_max_workers ||
				 !LaunchWorker(FindDatabase(databases, due), now))
		{
			no_room = true;
			break;
		}
	}
	MakeRoom(no_room);
	CommitTransactionCommand();

	nap = Max(0, (earliest - now + 999) / 1000);

	/* Soon again while there is a worker to watch, or a database that could not be served. */
	if (waiting || no_room || CountWorkers() > 0)
		nap = Min(nap, PROBE_EVERY_MS);
	return nap;
}

void
CustsegLauncherMain(Datum arg)
{
	volatile int errors = 0;

	pqsignal(SIGTERM, die);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	SetConfigOption("application_name", "custseg launcher", PGC_USERSET, PGC_S_SESSION);

	before_shmem_exit(LauncherLeaves, (Datum) 0);
	LWLockAcquire(worker_shared->lock, LW_EXCLUSIVE);
	worker_shared->launcher_pid = MyProcPid;
	worker_shared->launcher_latch = MyLatch;
	LWLockRelease(worker_shared->lock);

	for (;;)
	{
		MemoryContext outer = CurrentMemoryContext;
		volatile long nap = custseg_naptime * 1000L;

		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			bool		was_off = !custseg_contact;

			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			if (was_off && custseg_contact)
				LookEverywhere();
		}

		/*
		 * An error must not end the launcher: it would come back at once and
		 * fail again. It is logged, and the next try waits longer each time.
		 */
		PG_TRY();
		{
			nap = LauncherCycle();
			errors = 0;
		}
		PG_CATCH();
		{
			MemoryContextSwitchTo(outer);
			HOLD_INTERRUPTS();
			EmitErrorReport();
			AbortCurrentTransaction();
			LWLockReleaseAll();
			FlushErrorState();
			RESUME_INTERRUPTS();
			errors = Min(errors + 1, 30);
			nap = Max(custseg_naptime, 10) * 1000L * errors;
		}
		PG_END_TRY();
		MemoryContextSwitchTo(outer);

		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 nap, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
}
