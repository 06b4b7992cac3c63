/*
 * collect.h
 *		The stages of a refresh that bring the sources into the profiles.
 */
#ifndef CUSTSEG_COLLECT_H
#define CUSTSEG_COLLECT_H

#include "refresh/run.h"
#include "segment/standing.h"

/* What happens to customers whose profile changed. */
typedef struct ChangeFollower
{
	StandingRun *standing;		/* NULL before the first calibration: nothing yet */
	Cause		cause;
} ChangeFollower;

/* Read the sources (all, or the one the run names) and write what differs. */
extern void CollectSources(Run *run, List *sources, bool reread_all, const ChangeFollower *follower);

/* Evaluate customers and let recall follow the transitions, in one batch. */
extern void FollowChanges(Run *run, const ChangeFollower *follower, const int64 *ids, int n);

#endif							/* CUSTSEG_COLLECT_H */
