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
	int			running_job;	/* the job it is running, or -1 */
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
	bool		full;			/* the log has said that there are too many databases */
	DatabaseEntry entries[CUSTSEG_MOST_DATABASES];
} WorkerShared;

/* NULL where custseg is not in shared_preload_libraries. */
extern WorkerShared *worker_shared;

/* The entry of a database, made if need be; NULL when there is no room. Call with the lock held. */
extern DatabaseEntry *EntryOf(Oid database, bool make);

/* Make the launcher look at once. Call with the lock held. */
extern void WakeLauncher(void);

/* Does custseg.databases name this database? */
extern bool DatabaseIsCovered(const char *name);

extern void WorkerInit(void);

#endif							/* CUSTSEG_SHARED_H */
