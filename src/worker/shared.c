/*
 * shared.c
 *		What launcher, workers and sessions tell each other in shared memory,
 *		and the settings of the three.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "utils/guc.h"
#include "utils/varlena.h"

#include "worker/shared.h"

bool		custseg_enabled = true;
char	   *custseg_databases = NULL;
int			custseg_naptime = 10;
int			custseg_max_workers = 2;
int			custseg_worker_linger = 60;
int			custseg_job_timeout = 0;

#define FIRST_PAUSE (10 * USECS_PER_SEC)

WorkerShared *worker_shared = NULL;

const JobKind job_kinds[] = {
	{"refresh", "CALL custseg.refresh()", 0},
	{"calibrate", "CALL custseg.calibrate()", 7}
};
const int	job_kind_count = lengthof(job_kinds);

static shmem_request_hook_type previous_request_hook = NULL;
static shmem_startup_hook_type previous_startup_hook = NULL;

int
JobByName(const char *name)
{
	StringInfoData known;

	for (int job = 0; job < job_kind_count; job++)
		if (strcmp(name, job_kinds[job].name) == 0)
			return job;

	initStringInfo(&known);
	for (int job = 0; job < job_kind_count; job++)
		appendStringInfo(&known, "%s%s", job > 0 ? ", " : "", job_kinds[job].name);
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("job \"%s\" is not known", name),
			 errhint("Known jobs: %s.", known.data)));
	return -1;
}

DatabaseEntry *
EntryOf(Oid database, bool make)
{
	DatabaseEntry *vacant = NULL;

	for (int i = 0; i < CUSTSEG_MOST_DATABASES; i++)
	{
		DatabaseEntry *entry = &worker_shared->entries[i];

		if (entry->database == database)
			return entry;
		if (entry->database == InvalidOid && vacant == NULL)
			vacant = entry;
	}
	if (!make || vacant == NULL)
		return NULL;
	memset(vacant, 0, sizeof(DatabaseEntry));
	vacant->database = database;
	vacant->running_job = -1;
	return vacant;
}

void
WakeLauncher(void)
{
	if (worker_shared->launcher_latch != NULL)
		SetLatch(worker_shared->launcher_latch);
}

void
WakeFor(DatabaseEntry *entry)
{
	if (entry != NULL && entry->waiting_since != 0)
	{
		entry->waiting_since = 0;
		SetLatch(entry->worker_latch);
	}
	else
		WakeLauncher();
}

void
AskToLeave(DatabaseEntry *entry)
{
	entry->leave = true;
	SetLatch(entry->worker_latch);
}

void
ExpectTrouble(DatabaseEntry *entry, TimestampTz now)
{
	entry->next_look = now + Min(FIRST_PAUSE << Min(entry->troubles, 10), CUSTSEG_LAST_PAUSE);
	entry->troubles++;
}

bool
DatabaseIsCovered(const char *name)
{
	char	   *copy = pstrdup(custseg_databases);
	List	   *names = NIL;
	ListCell   *cell;
	bool		covered = false;

	if (SplitGUCList(copy, ',', &names))
	{
		foreach(cell, names)
		{
			const char *each = lfirst(cell);

			if (strcmp(each, "*") == 0 || strcmp(each, name) == 0)
				covered = true;
		}
	}
	list_free(names);
	pfree(copy);
	return covered;
}

static bool
CheckDatabases(char **value, void **extra, GucSource source)
{
	char	   *copy = pstrdup(*value);
	List	   *names = NIL;
	bool		good = SplitGUCList(copy, ',', &names);

	if (!good)
		GUC_check_errdetail("It must be * or a list of database names, separated by commas; a name with blanks or commas goes in double quotes.");
	list_free(names);
	pfree(copy);
	return good;
}

static void
RequestSharedMemory(void)
{
	if (previous_request_hook)
		previous_request_hook();
	RequestAddinShmemSpace(MAXALIGN(sizeof(WorkerShared)));
	RequestNamedLWLockTranche("custseg", 1);
}

static void
SetUpSharedMemory(void)
{
	bool		found;

	if (previous_startup_hook)
		previous_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	worker_shared = ShmemInitStruct("custseg", sizeof(WorkerShared), &found);
	if (!found)
	{
		memset(worker_shared, 0, sizeof(WorkerShared));
		worker_shared->lock = &GetNamedLWLockTranche("custseg")->lock;
	}
	LWLockRelease(AddinShmemInitLock);
}

void
WorkerInit(void)
{
	DefineCustomBoolVariable("custseg.enabled",
							 "Whether background workers run the scheduled jobs.",
							 "Turning it off also stops a job that is running; it continues when turned on again.",
							 &custseg_enabled, true,
							 PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("custseg.databases",
							   "Databases in which background workers look for jobs.",
							   "A list separated by commas; * means every database that allows connections and is no template.",
							   &custseg_databases, "*",
							   PGC_SIGHUP, GUC_LIST_INPUT, CheckDatabases, NULL, NULL);
	DefineCustomIntVariable("custseg.naptime",
							"Longest time between two looks of the launcher for databases and jobs that are due.",
							NULL, &custseg_naptime,
							10, 1, 3600,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable("custseg.max_workers",
							"Background workers that run jobs at the same time, in all databases together.",
							"There is never more than one in a database. Each takes one of max_worker_processes while it runs.",
							&custseg_max_workers,
							2, 1, CUSTSEG_MOST_WORKERS,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("custseg.worker_linger",
							"Longest time for which a background worker waits for its next job instead of leaving; 0 means that it leaves at once.",
							"A worker that stays finds its caches warm. It makes way for whoever wants its database or its place.",
							&custseg_worker_linger,
							60, 0, 3600,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable("custseg.job_timeout",
							"Time after which a run of a job is cancelled; 0 means never.",
							NULL, &custseg_job_timeout,
							0, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);

	if (!process_shared_preload_libraries_in_progress)
		return;

	previous_request_hook = shmem_request_hook;
	shmem_request_hook = RequestSharedMemory;
	previous_startup_hook = shmem_startup_hook;
	shmem_startup_hook = SetUpSharedMemory;
}
