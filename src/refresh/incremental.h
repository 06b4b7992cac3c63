/*
 * incremental.h
 *		Reading only the customers whose orders changed.
 */
#ifndef CUSTSEG_INCREMENTAL_H
#define CUSTSEG_INCREMENTAL_H

#include "refresh/collect.h"

typedef enum Reading
{
	READ_NOT,
	READ_CHANGES,
	READ_WHOLE,
} Reading;

extern const char *const reading_names[];

/* How a source is read in this run, and why, in words. Opens it. */
extern Reading HowToRead(Run *run, Source *source, const char **why);

/* Read the changed customers of a tracked source, batch by batch. */
extern void CollectChanges(Run *run, Source *source, const ProfileTarget *target,
						   const ChangeFollower *follower);

#endif							/* CUSTSEG_INCREMENTAL_H */
