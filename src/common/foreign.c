/*
 * foreign.c
 *		Running what others wrote.
 *
 * To read a relation of the shop is to run code: of the functions that a view
 * calls, of casts, operators, policies and domains, whoever wrote them. A guard
 * (guard.c) sees to it that this code has no more rights than the relation's
 * owner. But a session is left with more than the result. A cursor stays open,
 * and is run by the next commit as whoever commits; a domain in pg_temp stands
 * before the type of that name; a deferred trigger waits; a setting holds until
 * the end of the transaction. Each of them works with the rights of whoever
 * comes next.
 *
 * So a read is a subtransaction that is rolled back, always and not only when it
 * fails: to the transaction it never happened. It is read-only besides, so that
 * who writes in a view is told so instead of losing what was written.
 *
 * What no rollback undoes are the advisory locks that belong to a session. Those
 * that were taken meanwhile are released, and those that were given up are taken
 * again. PREPARE, LISTEN, DISCARD, WITH HOLD and temporary tables PostgreSQL
 * itself refuses where a guard stands.
 */
#include "postgres.h"

#include "access/xact.h"
#include "storage/lock.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "common/compat.h"
#include "common/foreign.h"
#include "common/guard.h"

/* An advisory lock that this session holds, or its transaction. */
typedef struct AdvisoryLock
{
	LOCKTAG		tag;
	LOCKMASK	modes;
} AdvisoryLock;

typedef struct AdvisoryLocks
{
	AdvisoryLock *locks;
	int			n;
} AdvisoryLocks;

/* How many they are; the first "room" of them are told. */
static int
LookAtLocks(AdvisoryLock *locks, int room)
{
	int			n = 0;

	for (int partition = 0; partition < NUM_LOCK_PARTITIONS; partition++)
	{
		LWLock	   *protection = LockHashPartitionLockByIndex(partition);
		PROCLOCK   *held;

		LWLockAcquire(protection, LW_SHARED);
		FOREACH_LOCK_OF_MINE(held, partition)
		{
			const LOCKTAG *tag = &held->tag.myLock->tag;

			if (tag->locktag_lockmethodid != USER_LOCKMETHOD || held->holdMask == 0)
				continue;
			if (n < room)
				locks[n] = (AdvisoryLock) {*tag, held->holdMask};
			n++;
		}
		LWLockRelease(protection);
	}
	return n;
}

/* Nobody but this process takes or releases them. */
static AdvisoryLocks
HeldLocks(void)
{
	AdvisoryLocks held = {.n = LookAtLocks(NULL, 0)};

	if (held.n > 0)
	{
		held.locks = palloc(held.n * sizeof(AdvisoryLock));
		(void) LookAtLocks(held.locks, held.n);
	}
	return held;
}

static LOCKMASK
ModesOf(const AdvisoryLocks *held, const LOCKTAG *tag)
{
	for (int i = 0; i < held->n; i++)
		if (memcmp(&held->locks[i].tag, tag, sizeof(LOCKTAG)) == 0)
			return held->locks[i].modes;
	return 0;
}

/* Hold what was held before and nothing else. What a transaction takes its rollback has released. */
static void
RestoreLocks(const AdvisoryLocks *before)
{
	AdvisoryLocks now = HeldLocks();

	for (int i = 0; i < now.n; i++)
	{
		const AdvisoryLock *lock = &now.locks[i];
		LOCKMASK	taken = lock->modes & ~ModesOf(before, &lock->tag);

		for (LOCKMODE mode = 1; mode <= MaxLockMode; mode++)
			if (taken & LOCKBIT_ON(mode))
				while (HoldsLock(&lock->tag, mode) && LockRelease(&lock->tag, mode, true))
					;
	}
	for (int i = 0; i < before->n; i++)
	{
		const AdvisoryLock *lock = &before->locks[i];
		LOCKMASK	lost = lock->modes & ~ModesOf(&now, &lock->tag);

		for (LOCKMODE mode = 1; mode <= MaxLockMode; mode++)
			if ((lost & LOCKBIT_ON(mode)) &&
				LockAcquire(&lock->tag, mode, true, true) == LOCKACQUIRE_NOT_AVAIL)
				ereport(WARNING,
						(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
						 errmsg("an advisory lock of this session was given up by a function of the relation that was read, and somebody else holds it now")));
	}
}

void
RunForeign(Oid role, void (*work) (void *arg), void *arg)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	AdvisoryLocks locks = HeldLocks();
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	PG_TRY();
	{
		Guard		guard;

		/* Never left: the rollback puts back the user and the settings, too. */
		GuardEnter(&guard, role);
		/* Not as a setting, which 19 lets nobody set for a while. */
		XactReadOnly = true;
		work(arg);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();

	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;
	RestoreLocks(&locks);
	if (error)
		ReThrowError(error);
}
