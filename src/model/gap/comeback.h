/*
 * comeback.h
 *		How silent customers come back unaided, from the shop's own past.
 *
 * A life table of past silences: on each day of a silence a customer either
 * returns or stays away. The chance to return on a day is taken to be the
 * same within an interval of days, for customers of one tier.
 */
#ifndef CUSTSEG_COMEBACK_H
#define CUSTSEG_COMEBACK_H

#include "postgres.h"

#define RETURN_GROUPS		3	/* tiers */
#define RETURN_INTERVALS	12

/* First day of each interval, counted from the day on which the silence began. */
extern const int32 return_starts[RETURN_INTERVALS];

typedef struct ReturnTable
{
	int64		silences;
	int64		returned[RETURN_GROUPS][RETURN_INTERVALS];
	int64		watched[RETURN_GROUPS][RETURN_INTERVALS];	/* days on which one could have */
} ReturnTable;

/* A past silence that ended, or is watched, that many days after the day it began: until today or the first contact. */
extern void ReturnsAdd(ReturnTable *table, int group, int32 days, bool returned);

/* Past returns of a group; of all groups for -1. */
extern int64 ReturnsOf(const ReturnTable *table, int group);

/*
 * The chance that a customer who has been silent for "since" days returns
 * within the next "days". Groups with few returns are shrunken to all groups,
 * which count as RETURN_PRIOR returns; group -1 is all of them. An interval is
 * shrunken to the one before it, which counts as INTERVAL_PRIOR returns: late
 * in a silence a young shop has seen little or nothing, and that nobody was
 * seen to return is not to say that nobody will. NaN without a silence to
 * learn from.
 */
#define RETURN_PRIOR 10
#define INTERVAL_PRIOR 1
extern double ReturnChance(const ReturnTable *table, int group, int32 since, int32 days);

#endif							/* CUSTSEG_COMEBACK_H */
