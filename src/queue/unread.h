/*
 * unread.h
 *		What the sources know of customers that no refresh has read yet.
 */
#ifndef CUSTSEG_UNREAD_H
#define CUSTSEG_UNREAD_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "source/mapping.h"
#include "utils/date.h"

/*
 * The sources, for questions within one statement. Call inside SPI; it lives
 * as long as the memory context it was made in.
 */
typedef struct Probe Probe;

extern Probe *ProbeSources(void);

/*
 * What they know of customers that no refresh has read yet. pending[i]:
 * something of theirs changed in a tracked source of orders or complaints.
 * ordered[i]: there is an order on a later shop day than after[i] in a source that
 * is not tracked, or is partitioned, where an index finds it or the source is small.
 * checked_at[i] is when the probe was made where every source was looked at, else
 * when the longest unread of them was last read.
 */
extern void ProbeOrders(Probe *probe, int n, const int64 *ids, const DateADT *after,
						bool *ordered, bool *pending, TimestampTz *checked_at);

/* pending alone, and whether it pays to ask this early about more customers than needed. */
extern void ProbeChanges(Probe *probe, int n, const int64 *ids, bool *pending);
extern bool ProbeAheadPays(const Probe *probe);

/* Whether all customers there are turned out to be pending, not only those asked about. */
extern bool ProbeAllChanged(const Probe *probe);

#endif							/* CUSTSEG_UNREAD_H */
