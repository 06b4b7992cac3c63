/*
 * parallel.h
 *		What several processes collected, handed out by the first of them.
 */
#ifndef CUSTSEG_PARALLEL_H
#define CUSTSEG_PARALLEL_H

#include "profile/keys.h"

/* As AssemblePartition, for a partition that some process has assembled already. */
extern void GatheredPartition(Collector *c, int p, LocalKeys *locals);

#endif							/* CUSTSEG_PARALLEL_H */
