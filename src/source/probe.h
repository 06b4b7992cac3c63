/*
 * probe.h
 *		Has a customer ordered since the source was last read?
 */
#ifndef CUSTSEG_PROBE_H
#define CUSTSEG_PROBE_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "utils/date.h"

/*
 * Look for orders on a later shop day than after[i], in every source where an
 * index allows it or which is small. checked_at[i] is now where every source
 * was looked at, else when the longest unread of them was last read. Call
 * inside SPI.
 */
extern void ProbeOrders(int n, const int64 *ids, const DateADT *after,
						bool *ordered, TimestampTz *checked_at);

#endif							/* CUSTSEG_PROBE_H */
