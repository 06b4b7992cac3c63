/*
 * merge_profile.h
 *		What sources say, made the profiles' own, and what follows from it.
 */
#ifndef CUSTSEG_MERGE_PROFILE_H
#define CUSTSEG_MERGE_PROFILE_H

#include "person/identity.h"
#include "profile/writer.h"
#include "refresh/run.h"
#include "segment/standing.h"

/* What happens to customers whose profile changed. */
typedef struct ChangeFollower
{
	StandingRun *standing;		/* NULL before the first calibration: nothing yet */
	Cause		cause;
	bool		sudden;			/* a source had or lost many at once: who is silent by that is no news */
} ChangeFollower;

/* In SQL: the shop's key of the customer with that id, as profile shows it. Numbers of ours are negative. */
#define CUSTOMER_KEY(id) \
	"CASE WHEN " id " < 0 THEN" \
	" (SELECT i.key FROM custseg.identity i WHERE i.customer_id = " id " ORDER BY i.namespace, i.key LIMIT 1) END"

/* Give new keys their numbers. */
extern void NumberCustomers(IdentityWriter **identities, const Source *source, Collected *rows, int n);

extern int	CompareCollected(const void *a, const void *b);

/* Add what was read to the run's counts. */
extern void CountRows(Run *run, const Source *source, const CollectCounts *counts);

/* What follows from changes of a target, in the same transaction. */
extern void AfterChanges(Run *run, const ProfileTarget *target, const ChangeFollower *follower,
						 const ProfileChanges *changes);

/* What follows for customers to whom something happened besides orders, some perhaps named twice. */
extern void FollowEvents(Run *run, const ChangeFollower *follower, int64 *ids, int n);

/* Customers whose parts are to be merged, and who are to be evaluated in any case. */
extern void NotePending(const int64 *ids, int n, bool evaluate);

/* Merge the parts of some customers, by ascending id, and of all who are one person with them, into their profiles. */
extern void MergeCustomers(Run *run, const ChangeFollower *follower, const int64 *ids, int n);

/* Merge the parts of a batch of customers of whom a source said something new; false when there are none. */
extern bool MergePending(Run *run, const ChangeFollower *follower);

/*
 * The whole shop in batches, by id: merge the parts of the customers after
 * "last", those included who have a profile and no part. False at the end.
 */
extern bool MergeRange(Run *run, const ChangeFollower *follower, int64 *last);

#endif							/* CUSTSEG_MERGE_PROFILE_H */
