/*
 * collect.h
 *		The stages of a refresh that bring the sources into the profiles.
 */
#ifndef CUSTSEG_COLLECT_H
#define CUSTSEG_COLLECT_H

#include "refresh/merge_profile.h"

/*
 * Read what the sources (all, or the one the run names) have that is new, and
 * write what differs, with the sources' parts beside the profiles or not.
 * reread_all: read all of them whole, and why; known: the profiles hold what these
 * sources said, and of no others. A source that cannot be read or shrank is left
 * as it was, and counted in run->left.
 */
extern void CollectSources(Run *run, List *sources, bool parts, const char *reread_all, bool known,
						   ChangeFollower *follower);

/*
 * Read one source into a target, in the way it is worth. "snapshot" is what to
 * forget its log of changes by when all of it is applied; NULL: nothing.
 */
extern void CollectOne(Run *run, Source *source, const ProfileTarget *target, ChangeFollower *follower,
					   const char *reread_all, bool known, char **snapshot);

/*
 * From now on the parts of sources are kept beside the profiles: what these hold
 * is the part of the one source there was. And they are not any more, when the
 * profiles are what the one source there is says.
 */
extern void KeepAsPart(void);
extern void ForgetParts(void);

#endif							/* CUSTSEG_COLLECT_H */
