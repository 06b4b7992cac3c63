/*
 * place.c
 *		A worker's place in shared memory: what it tells the launcher.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/elog.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "worker/place.h"
#include "worker/shared.h"

bool
WorkerAttach(Oid database)
{
	DatabaseEntry *entry;
	bool		alone;

	LWLockAcquire(worker_shared->lock, LW_EXCLUSIVE);
	entry = EntryOf(database, true);
	alone = entry != NULL && entry->worker_pid == 0;
	if (alone)
	{
		entry->worker_pid = MyProcPid;
		entry->worker_latch = MyLatch;
		entry->running_job = -1;
		entry->waiting_since = 0;
	}
	LWLockRelease(worker_shared->lock);
	return alone;
}

void
WorkerDetach(int code, Datum database)
{
	DatabaseEntry *entry;

	LWLockAcquire(worker_shared->lock, LW_EXCLUSIVE);
	entry = EntryOf(DatumGetObjectId(database), false);
	if (entry != NULL && entry->worker_pid == MyProcPid)
	{
		if (entry->stopped && entry->waiting_since == 0)
		{
			/* Told to leave: no trouble of ours. */
			entry->troubles = 0;
			entry->next_look = 0;
		}
		entry->worker_pid = 0;
		entry->worker_latch = NULL;
		entry->running_job = -1;
		entry->waiting_since = 0;
	}
	WakeLauncher();
	LWLockRelease(worker_shared->lock);
}

void
WorkerSetRunningJob(int job)
{
	DatabaseEntry *entry;

	LWLockAcquire(worker_shared->lock, LW_EXCLUSIVE);
	entry = EntryOf(MyDatabaseId, false);
	if (entry != NULL)
	{
		entry->running_job = job;
		if (job >= 0)
			entry->requests &= ~(1U << job);
	}
	LWLockRelease(worker_shared->lock);
}

void
WorkerReportNextLook(TimestampTz next)
{
	DatabaseEntry *entry;

	LWLockAcquire(worker_shared->lock, LW_EXCLUSIVE);
	entry = EntryOf(MyDatabaseId, false);
	if (entry != NULL)
	{
		entry->troubles = 0;
		entry->trouble[0] = '\0';
		entry->next_look = next;
	}
	LWLockRelease(worker_shared->lock);
}

Idle
WorkerIdle(TimestampTz until)
{
	TimestampTz now = GetCurrentTimestamp();
	DatabaseEntry *entry;
	Idle		result = CUSTSEG_WAIT;

	LWLockAcquire(worker_shared->lock, LW_EXCLUSIVE);
	entry = EntryOf(MyDatabaseId, false);
	if (entry == NULL || entry->leave)
		result = CUSTSEG_LEAVE;
	else if (worker_shared->room_wanted && entry->waiting_since == 0)
	{
		worker_shared->room_wanted = false;
		entry->leave = true;
		result = CUSTSEG_LEAVE;
	}
	else if (entry->look || until <= now)
	{
		entry->waiting_since = 0;
		ExpectTrouble(entry, now);
		result = CUSTSEG_LOOK;
	}
	else if (entry->waiting_since == 0)
		entry->waiting_since = now;
	LWLockRelease(worker_shared->lock);
	return result;
}

void
WorkerReportTrouble(Oid database)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	ErrorData  *edata = CopyErrorData();
	DatabaseEntry *entry;

	LWLockAcquire(worker_shared->lock, LW_EXCLUSIVE);
	entry = EntryOf(database, false);
	if (entry != NULL)
		strlcpy(entry->trouble, edata->message, sizeof(entry->trouble));
	LWLockRelease(worker_shared->lock);
	MemoryContextSwitchTo(old);
}

uint32
WorkerBeginLook(bool *told_paused)
{
	DatabaseEntry *entry;
	uint32		requests = 0;

	LWLockAcquire(worker_shared->lock, LW_EXCLUSIVE);
	entry = EntryOf(MyDatabaseId, false);
	*told_paused = false;
	if (entry != NULL)
	{
		entry->look = false;
		entry->last_look = GetCurrentTimestamp();
		requests = entry->requests;
		*told_paused = entry->told_paused;
	}
	LWLockRelease(worker_shared->lock);
	return requests;
}

void
WorkerSaidPaused(void)
{
	DatabaseEntry *entry;

	LWLockAcquire(worker_shared->lock, LW_EXCLUSIVE);
	entry = EntryOf(MyDatabaseId, false);
	if (entry != NULL)
		entry->told_paused = true;
	LWLockRelease(worker_shared->lock);
}
