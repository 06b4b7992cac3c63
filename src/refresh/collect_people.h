/*
 * collect_people.h
 *		Sources of people in a refresh.
 */
#ifndef CUSTSEG_COLLECT_PEOPLE_H
#define CUSTSEG_COLLECT_PEOPLE_H

#include "refresh/merge_profile.h"

/* As of sources of orders: see collect.c and incremental.h. all_merged: afterwards everybody is merged anew. */
extern bool CollectPeople(Run *run, Source *source, const ProfileTarget *target, ChangeFollower *follower,
						  bool known, bool all_merged, char **snapshot);
extern bool CollectPeopleChanges(Run *run, Source *source, const ProfileTarget *target,
								 const ChangeFollower *follower);

/* Forget what sources said that are not in a list of numbers (as in SQL), and note whose profiles that may change. */
extern void DropPeople(const char *keep);

#endif							/* CUSTSEG_COLLECT_PEOPLE_H */
