/*
 * incremental.h
 *		Reading only the customers whose orders changed.
 */
#ifndef CUSTSEG_INCREMENTAL_H
#define CUSTSEG_INCREMENTAL_H

#include "refresh/merge_profile.h"

typedef enum Reading
{
	READ_NOT,
	READ_CHANGES,
	READ_WHOLE,
} Reading;

extern const char *const reading_names[];

/* What no table has, as the layout of a source while a whole read of it is being applied. */
#define MIXED_LAYOUT	""

/*
 * How a source is read in this run, and why, in words: at first why all are read
 * whole, if they are. Opens it, or what follows it.
 */
extern Reading HowToRead(Run *run, Source *source, const ProfileTarget *target, const char **why);

/*
 * Read the changed customers of a tracked source, batch by batch. False where so
 * many more came meanwhile that it has to be read whole.
 */
extern bool CollectChanges(Run *run, Source *source, const ProfileTarget *target,
						   const ChangeFollower *follower);

#define SMALL_COLLECTION (4 * 1024 * 1024)	/* bytes to collect some customers in */

/*
 * What a source says of n customers, sorted by id: keys as the source writes
 * them (those that are NULL are left out), ids 0 where they have none yet.
 */
extern Collected *ReadSomeCustomers(Source *source, Collector *collector, char **keys, const int64 *ids,
									int n, int *n_rows);

#endif							/* CUSTSEG_INCREMENTAL_H */
