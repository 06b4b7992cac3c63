/*
 * collect_handles.h
 *		Handles in a refresh, and the rules that go by them.
 */
#ifndef CUSTSEG_COLLECT_HANDLES_H
#define CUSTSEG_COLLECT_HANDLES_H

#include "refresh/merge_profile.h"

/* Where rules are in use they are in run->link_rules from here on. */
extern void BeginLinkRules(Run *run);

/*
 * Read the handles of sources that were read whole, or are read with every
 * refresh, apply the rules, and let profiles follow. After all sources.
 */
extern void FollowLinkRules(Run *run, List *sources, bool parts, const ChangeFollower *follower);

#endif							/* CUSTSEG_COLLECT_HANDLES_H */
