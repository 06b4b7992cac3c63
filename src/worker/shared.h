/*
 * shared.h
 *		What launcher, workers and sessions tell each other in shared memory.
 */
#ifndef CUSTSEG_SHARED_H
#define CUSTSEG_SHARED_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "storage/latch.h"
#include "storage/lwlock.h"

#define CUSTSEG_MOST_WORKERS 64
#define CUSTSEG_MOST_DATABASES 1024

extern bool custseg_enabled;
extern char *custseg_databases;
extern int	custseg_naptime;	/* seconds */
extern int	custseg_max_workers;
extern int	custseg_worker_linger;	/* seconds, 0 = none */
extern int	custseg_job_timeout;	/* milliseconds, 0 = none */

/* The jobs there are. A job's number is its place in the table. */
typedef struct JobKind
{
	const char *name;
	const char *command;
	int			default_days;	/* between two starts where no schedule is said; 0: none */
} JobKind;

extern const JobKind job_kinds[];
extern const int job_kind_count;

/* The number of a job, or an error that lists the known ones. */
extern int	JobByName(const char *name);

typedef struct DatabaseEntry
{
	Oid			database;		/* InvalidOid: the entry is free */
	pid_t		worker_pid;		/* the one worker in this database, or 0 */
	Latch	   *worker_latch;	/* its latch, while worker_pid is set */
	int			running_job;	/* the job it is running, or -1 */
	TimestampTz waiting_since;	/* it has nothing to do and waits; 0: it does not, or was woken */
	bool		leave;			/* it shall leave instead of waiting, or does so */
	bool		look;			/* somebody changed a job: look at once */
	bool		stopped;		/* the launcher told the worker to leave */
	bool		told_paused;	/* the log has said that jobs here are paused */
	uint32		requests;		/* bit n: job n was asked for by a read-only transaction */
	int			troubles;		/* workers in a row that did not end well */
	char		trouble[200];	/* what went wrong with the last of them */
	int			missing;		/* scans in a row that did not see the database */
	TimestampTz next_look;		/* no worker is started before this */
	TimestampTz last_look;		/* 0: never */
} DatabaseEntry;

typedef struct WorkerShared
{
	LWLock	   *lock;			/* protects everything below */
	pid_t		launcher_pid;	/* 0: not running */
	Latch	   *launcher_latch;
	TimestampTz no_slot;		/* since when no worker could be registered; 0: one could, the last time */
	bool		full;			/* the log has said that there are too many databases */
	bool		room_wanted;	/* the next worker that would wait shall leave */
	DatabaseEntry entries[CUSTSEG_MOST_DATABASES];
} WorkerShared;

/* NULL where custseg is not in shared_preload_libraries. */
extern WorkerShared *worker_shared;

/* The entry of a database, made if need be; NULL when there is no room. Call with the lock held. */
extern DatabaseEntry *EntryOf(Oid database, bool make);

/* Make the launcher look at once. Call with the lock held. */
extern void WakeLauncher(void);

/* The same for the worker that waits in this database, else the launcher. Call with the lock held. */
extern void WakeFor(DatabaseEntry *entry);

/* Make a worker that waits leave. Call with the lock held. */
extern void AskToLeave(DatabaseEntry *entry);

/*
 * A worker sets to work. Assume that it comes to no good end: it says so when
 * it comes to a good one. Call with the lock held.
 */
extern void ExpectTrouble(DatabaseEntry *entry, TimestampTz now);

/* The longest that a database is left alone, whatever happened. */
#define CUSTSEG_LAST_PAUSE (600 * USECS_PER_SEC)

/* Does custseg.databases name this database? */
extern bool DatabaseIsCovered(const char *name);

extern void WorkerInit(void);

#endif							/* CUSTSEG_SHARED_H */
