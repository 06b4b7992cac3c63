/*
 * probe.h
 *		What the sources know of customers that no refresh has read yet.
 */
#ifndef CUSTSEG_PROBE_H
#define CUSTSEG_PROBE_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "source/mapping.h"
#include "utils/date.h"

/*
 * What the sources know of customers that no refresh has read yet. pending[i]:
 * something of theirs changed in a tracked source. ordered[i]: there is an
 * order on a later shop day than after[i] in a source that is not tracked, or
 * is partitioned, where an index finds it or the source is small.
 * checked_at[i] is now where every source was looked at, else when the longest
 * unread of them was last read. Call inside SPI.
 */
extern void ProbeOrders(int n, const int64 *ids, const DateADT *after,
						bool *ordered, bool *pending, TimestampTz *checked_at);

/* Whether rows of single customers can be found by an index on the customer column. After SourceOpen. */
extern bool HasCustomerIndex(const Source *source);

#endif							/* CUSTSEG_PROBE_H */
