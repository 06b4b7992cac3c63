/*
 * attempt.h
 *		Work that may fail without failing what it is part of.
 */
#ifndef CUSTSEG_ATTEMPT_H
#define CUSTSEG_ATTEMPT_H

#include "postgres.h"

/*
 * Do the work in a subtransaction. NULL if that went well; else its error, and
 * nothing else of it is left. A cancellation or shutdown by PostgreSQL itself is
 * raised; an error that only bears its code is the work's own.
 */
extern ErrorData *Attempt(void (*work) (void *arg), void *arg);

/* Was it that somebody else had a lock, so that the work may be tried again later? */
extern bool LockWasRefused(const ErrorData *error);

#endif							/* CUSTSEG_ATTEMPT_H */
