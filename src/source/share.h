/*
 * share.h
 *		A read of a source that several processes share; see share.c.
 */
#ifndef CUSTSEG_SHARE_H
#define CUSTSEG_SHARE_H

#include "source/mapping.h"
#include "tcop/dest.h"

typedef struct SharedRead SharedRead;

/*
 * Plan and start the read that SourceRead does, in the active snapshot. NULL
 * where processes cannot share it. Call as the owner, inside SPI.
 */
extern SharedRead *SharedReadBegin(const Source *source, DestReceiver *dest);

/* Blocks to read. */
extern int64 SharedReadBlocks(const SharedRead *read);

/* What another process needs to take part: the plan, the statement, and shared memory. */
extern const char *SharedReadPlan(const SharedRead *read);
extern const char *SharedReadStatement(const SharedRead *read);
extern Size SharedReadSize(const SharedRead *read);
extern void SharedReadInit(SharedRead *read, char *space);
extern SharedRead *SharedReadJoin(const char *plan, const char *statement, char *space, DestReceiver *dest);

/* Send rows to the receiver until no process finds any more. */
extern void SharedReadRun(SharedRead *read);
extern void SharedReadEnd(SharedRead *read);

/* Where the row is that the receiver just got, as a number that grows with its place. */
extern uint64 SharedReadPlace(const SharedRead *read);

#endif							/* CUSTSEG_SHARE_H */
