/*
 * batch.h
 *		A batch of results: the timelines that are handed out together.
 */
#ifndef CUSTSEG_BATCH_H
#define CUSTSEG_BATCH_H

#include "profile/state.h"

/* Begin a batch of results, in batch_context, which is the current one until the caller switches back. */
extern MemoryContext BeginBatch(Collector *c, int wanted);

/* Make room for so many bytes at c->out, and add a result whose timeline was put there to the batch. */
extern void MakeRoom(Collector *c, Size size);
extern void AddResult(Collector *c, const Collected *result);

/* Encode one customer's days, of one event where there are several, folded, and add the timeline to the batch. */
extern void EmitCustomer(Collector *c, int64 id, int event, const TimelineEntry *entries, int n, int64 rows);

#endif							/* CUSTSEG_BATCH_H */
