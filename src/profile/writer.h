/*
 * writer.h
 *		Collected customers into custseg.profile, where they differ.
 */
#ifndef CUSTSEG_WRITER_H
#define CUSTSEG_WRITER_H

#include "profile/collector.h"

typedef struct ProfileChanges
{
	int64	   *ids;			/* customers inserted, updated or removed */
	struct varlena **timelines; /* what they now are; NULL: removed */
	int			n;
	int			written;
	int			removed;
} ProfileChanges;

/* Write differences that were found, sorted by customer. */
extern void ProfileWrite(const ProfileTarget *target, const Collected *differences, int n, ProfileChanges *changes);

/* Fill a target that holds none of these customers yet. */
typedef struct ProfileLoader ProfileLoader;

extern ProfileLoader *ProfileLoadBegin(const ProfileTarget *target);
extern void ProfileLoadPut(ProfileLoader *loader, const Collected *row);
extern void ProfileLoadEnd(ProfileLoader *loader);

/* Bring just these customers to what is given of them, sorted; those of whom nothing is given go. */
extern void ProfileWriteIds(const ProfileTarget *target, const int64 *ids, int n_ids,
							const Collected *customers, int n, ProfileChanges *changes);

/* Remove customers. */
extern void ProfileRemove(const ProfileTarget *target, int64 *ids, int n, ProfileChanges *changes);

/* Up to "limit" customer ids of the target above "after", ascending. */
extern int	ProfileIds(const ProfileTarget *target, int64 after, int limit, int64 *ids);

extern bool ProfileTargetIsEmpty(const ProfileTarget *target);

#endif							/* CUSTSEG_WRITER_H */
