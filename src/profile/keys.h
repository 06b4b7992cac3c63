/*
 * keys.h
 *		Customers of one partition whose keys are not numbers.
 */
#ifndef CUSTSEG_KEYS_H
#define CUSTSEG_KEYS_H

#include "profile/state.h"

/* Keys of a partition that are not numbers, numbered from 0. */
typedef struct LocalKeys
{
	WideKey    *keys;
	int			n;
	int			max;
	int32	   *table;			/* position + 1, 0 is free */
	uint32		mask;
} LocalKeys;

extern LocalKeys *LocalKeysCreate(void);

/* The number of a key within the partition; -1 if it has none and shall get none. */
extern int	LocalKey(LocalKeys *locals, WideKey key, bool insert);

/* Give the results from first_result on, whose ids are such numbers, their real ids (0 for new ones) and keys. */
extern void ResolveKeys(Collector *c, int p, LocalKeys *locals, int first_result);

#endif							/* CUSTSEG_KEYS_H */
