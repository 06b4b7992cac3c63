/*
 * compare.h
 *		What was collected, beside what is stored; see compare.c.
 */
#ifndef CUSTSEG_COMPARE_H
#define CUSTSEG_COMPARE_H

#include "profile/collector.h"

/* A walk along both, by ascending customer and event. The differences are in the caller's memory context. */
typedef struct Comparison
{
	const Collected *given;
	int			n_given;
	int			at;				/* the next that is given */
	Collected  *differences;
	int			n;
	int			max;
} Comparison;

extern void CompareBegin(Comparison *comparison, const Collected *given, int n);
extern void CompareStored(Comparison *comparison, int64 customer_id, int event_id, Datum timeline);
extern void CompareEnd(Comparison *comparison);

/* Before the snapshot under which a target is read: nobody rewrites it until the transaction ends. */
extern void CompareLock(const ProfileTarget *target);

/* The same with all that is stored of the customers from "from" up to "to", under the active snapshot. */
extern void CompareRange(Comparison *comparison, const ProfileTarget *target, int64 from, int64 to);

#endif							/* CUSTSEG_COMPARE_H */
