/*
 * session.h
 *		The session of a worker, in which its jobs run.
 */
#ifndef CUSTSEG_SESSION_H
#define CUSTSEG_SESSION_H

#include "postgres.h"

typedef enum JobOutcome
{
	CUSTSEG_SUCCEEDED,
	CUSTSEG_FAILED,
	CUSTSEG_INTERRUPTED,		/* left for somebody who wants the database */
	CUSTSEG_SKIPPED				/* somebody else is running it */
} JobOutcome;

/* Put the session back as a new process would have it. */
extern void ResetSession(void);

/* Become the owner of the extension. False when there is none here. */
extern bool BecomeOwner(void);

/* Run a job, in transactions of its own. *error is why it did not succeed, or NULL. */
extern JobOutcome RunJob(int job, char **error);

#endif							/* CUSTSEG_SESSION_H */
