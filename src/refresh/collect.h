/*
 * collect.h
 *		The stages of a refresh that bring the sources into the profiles.
 */
#ifndef CUSTSEG_COLLECT_H
#define CUSTSEG_COLLECT_H

#include "refresh/apply.h"

/*
 * Read what the sources (all, or the one the run names) have that is new, and
 * write what differs. reread_all: read all of them whole, and why.
 */
extern void CollectSources(Run *run, List *sources, const char *reread_all, const ChangeFollower *follower);

#endif							/* CUSTSEG_COLLECT_H */
