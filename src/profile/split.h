/*
 * split.h
 *		From a partition of any size to timelines.
 */
#ifndef CUSTSEG_SPLIT_H
#define CUSTSEG_SPLIT_H

#include "profile/keys.h"

/*
 * Add the customers of a partition, or their differences from what is stored, to
 * the batch, in their order: by id, or by key, and then the ids are numbers of
 * locals.
 */
extern void AssemblePartition(Collector *c, int p, LocalKeys *locals);

#endif							/* CUSTSEG_SPLIT_H */
