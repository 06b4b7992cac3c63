/*
 * place.h
 *		A worker's place in shared memory: what it tells the launcher.
 */
#ifndef CUSTSEG_PLACE_H
#define CUSTSEG_PLACE_H

#include "postgres.h"

#include "datatype/timestamp.h"

/* Report in, unless this database has a worker already. */
extern bool WorkerAttach(Oid database);

/* Leave the place: a callback of the process's exit. */
extern void WorkerDetach(int code, Datum database);

/* Running this job now; -1 is none. */
extern void WorkerSetRunningJob(int job);

/* Everything was looked at; come again then. */
extern void WorkerReportNextLook(TimestampTz next);

/* Leave the reason where custseg.worker_status shows it. */
extern void WorkerReportTrouble(Oid database);

/* What a worker does that has nothing to do until then. */
typedef enum Idle
{
	CUSTSEG_WAIT,
	CUSTSEG_LOOK,				/* the time has come, or somebody changed a job */
	CUSTSEG_LEAVE				/* for somebody else */
} Idle;

extern Idle WorkerIdle(TimestampTz until);

/* Start looking: what is changed from here on needs another look. */
extern uint32 WorkerBeginLook(bool *told_paused);

/* The log has been told that jobs here are paused. */
extern void WorkerSaidPaused(void);

#endif							/* CUSTSEG_PLACE_H */
