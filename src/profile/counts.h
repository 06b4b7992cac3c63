/*
 * counts.h
 *		What a process counted while it collected, for another to add.
 */
#ifndef CUSTSEG_COUNTS_H
#define CUSTSEG_COUNTS_H

#include "lib/stringinfo.h"

#include "profile/collector.h"

/* Rows that are none of our business: of a status that is not accepted, or an event that is not listed. */
extern int64 CountsLeftOut(const CollectCounts *counts);

extern void CountsPack(StringInfo data, const CollectCounts *counts);

/* Add them, with those samples of both that lie first in the source; strings go to "context". */
extern void CountsMerge(MemoryContext context, CollectCounts *counts, const char *data);

#endif							/* CUSTSEG_COUNTS_H */
