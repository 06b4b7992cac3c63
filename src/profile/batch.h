/*
 * batch.h
 *		A batch of results: the timelines that are handed out together.
 */
#ifndef CUSTSEG_BATCH_H
#define CUSTSEG_BATCH_H

#include "profile/keys.h"
#include "profile/state.h"

/* Begin a batch of results, in batch_context, which is the current one until the caller switches back. */
extern MemoryContext BeginBatch(Collector *c, int wanted);

/* Make room for so many bytes at c->out, and add a result whose timeline was put there to the batch. */
extern void MakeRoom(Collector *c, Size size);
extern void AddResult(Collector *c, const Collected *result);

/* Encode one customer's days, of one event where there are several, folded, and add the timeline to the batch. */
extern void EmitCustomer(Collector *c, int64 id, int event, const TimelineEntry *entries, int n, int64 rows);

/*
 * Append the batch, which is that of a partition, to a partition set, and add to a
 * batch what was appended, from "at" up to "end": customer, whether stored and of
 * which event, timeline.
 */
extern void PackBatch(Collector *c, PartitionSet *set, int p, const LocalKeys *locals);
extern void UnpackBatch(Collector *c, char *at, const char *end, LocalKeys *locals);

#endif							/* CUSTSEG_BATCH_H */
