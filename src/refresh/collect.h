/*
 * collect.h
 *		The stages of a refresh that bring the sources into the profiles.
 */
#ifndef CUSTSEG_COLLECT_H
#define CUSTSEG_COLLECT_H

#include "refresh/merge_profile.h"

/*
 * Read what the sources (all, or the one the run names) have that is new, and
 * write what differs. reread_all: read all of them whole, and why; known: the
 * profiles hold what these sources said, and of no others. A source that cannot
 * be read or shrank is left as it was, and counted in run->left.
 */
extern void CollectSources(Run *run, List *sources, const char *reread_all, bool known, ChangeFollower *follower);

/*
 * Read one source into a target, in the way it is worth. "snapshot" is what to
 * forget its log of changes by when all of it is applied; NULL: nothing.
 */
extern void CollectOne(Run *run, Source *source, const ProfileTarget *target, ChangeFollower *follower,
					   const char *reread_all, bool known, char **snapshot);

/* Before a second source is read for the first time: what the profiles hold is the part of the one there was. */
extern void KeepAsPart(List *sources);

#endif							/* CUSTSEG_COLLECT_H */
