/*
 * collect_events.h
 *		The sources of events, in a refresh.
 */
#ifndef CUSTSEG_COLLECT_EVENTS_H
#define CUSTSEG_COLLECT_EVENTS_H

#include "refresh/merge_profile.h"

/* Read what the sources of events have that is new, as CollectSources does, and forget what those said that are gone. */
extern void CollectEvents(Run *run, List *sources, const char *reread_all, const ChangeFollower *follower);

#endif							/* CUSTSEG_COLLECT_EVENTS_H */
