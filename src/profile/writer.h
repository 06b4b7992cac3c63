/*
 * writer.h
 *		Collected customers into custseg.profile, or another table of timelines,
 *		where they differ.
 */
#ifndef CUSTSEG_WRITER_H
#define CUSTSEG_WRITER_H

#include "executor/spi.h"
#include "profile/collector.h"

/* What is done to a table of timelines. */
typedef enum TargetStatement
{
	READ_IDS,					/* $1 ids: customer, timeline and, of events, the event */
	UPDATE_ROWS,				/* $1 ids, $2 timelines, of events $3 the event of each */
	DELETE_ROWS,				/* $1 ids */
	DELETE_PAIRS,				/* of events: $1 ids, $2 the event of each */
	LIST_IDS,					/* $1 after, $2 limit */
	ANY_ROW,
} TargetStatement;

#define TARGET_STATEMENTS (ANY_ROW + 1)

/*
 * A table that holds timelines, with the primary key NAME_pkey. The last
 * parameter of each statement is the source where it holds parts, and an array of
 * the source's events where it holds those.
 */
typedef struct TargetTable
{
	const char *name;
	const char *statements[TARGET_STATEMENTS];
	SPIPlanPtr *plans;
} TargetTable;

/* The profile itself, or a source's part of it. */
extern void TargetOrders(ProfileTarget *target, int source_id);

typedef struct ProfileChanges
{
	int64	   *ids;			/* customers inserted, updated or removed; with several events, several times */
	struct varlena **timelines; /* what they now are, or their event's; NULL: removed */
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

/* The ids of a target's events, an integer[]. */
extern Datum TargetEvents(const ProfileTarget *target);

/* Remove customers. */
extern void ProfileRemove(const ProfileTarget *target, int64 *ids, int n, ProfileChanges *changes);

/* Up to "limit" customer ids of the target above "after", ascending. */
extern int	ProfileIds(const ProfileTarget *target, int64 after, int limit, int64 *ids);

extern bool ProfileTargetIsEmpty(const ProfileTarget *target);

#endif							/* CUSTSEG_WRITER_H */
