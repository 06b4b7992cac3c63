/*
 * persons.h
 *		The step of a refresh that works out who is one person.
 */
#ifndef CUSTSEG_PERSONS_H
#define CUSTSEG_PERSONS_H

#include "refresh/merge_profile.h"

/*
 * Whether the sources' parts are to be kept beside the profiles: several sources,
 * or several accounts, go into one. Where they are kept, also as long as a profile
 * is still to be merged from them.
 */
extern bool PartsAreWanted(const Run *run, List *sources, bool kept);

/*
 * Follow what was linked and parted since the last refresh: the profiles of those
 * customers are merged anew from the parts as they are, with a cause of its own.
 */
extern void FollowLinks(Run *run, const ChangeFollower *follower);

#endif							/* CUSTSEG_PERSONS_H */
