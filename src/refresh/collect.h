/*
 * collect.h
 *		The stages of a refresh that bring the sources into the profiles.
 */
#ifndef CUSTSEG_COLLECT_H
#define CUSTSEG_COLLECT_H

#include "profile/writer.h"
#include "refresh/run.h"
#include "segment/standing.h"
#include "source/identity.h"

/* What happens to customers whose profile changed. */
typedef struct ChangeFollower
{
	StandingRun *standing;		/* NULL before the first calibration: nothing yet */
	Cause		cause;
} ChangeFollower;

/*
 * Read what the sources (all, or the one the run names) have that is new, and
 * write what differs. reread_all: read all of them whole, and why.
 */
extern void CollectSources(Run *run, List *sources, const char *reread_all, const ChangeFollower *follower);

/* --- what a whole read and a read of changed customers have in common */

/* Give new keys their numbers. */
extern void NumberCustomers(IdentityWriter **identities, const Source *source, Collected *rows, int n);

extern int	CompareCollected(const void *a, const void *b);

/* Add what was read to the run's counts. */
extern void CountRows(Run *run, const Source *source, const CollectCounts *counts);

/* What follows from changes of a target, in the same transaction. */
extern void AfterChanges(Run *run, const ProfileTarget *target, const ChangeFollower *follower,
						 const ProfileChanges *changes);

/* Merge the parts of a batch of customers of whom a source said something new; false when there are none. */
extern bool MergePending(Run *run, const ChangeFollower *follower);

#endif							/* CUSTSEG_COLLECT_H */
