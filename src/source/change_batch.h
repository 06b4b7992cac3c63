/*
 * change_batch.h
 *		The entries of the log of changes that name several customers, as claim()
 *		looks through them.
 */
#ifndef CUSTSEG_CHANGE_BATCH_H
#define CUSTSEG_CHANGE_BATCH_H

#include "postgres.h"

#include "utils/rel.h"
#include "utils/snapshot.h"

/* A customer as one source's entries name it. */
typedef struct Wanted
{
	int64		customer;
	int			source_id;
	int			position;
} Wanted;

/* Mark those wanted that an entry which the snapshot sees names. */
extern void ChangeBatchLook(Relation batch, Snapshot snapshot, const Wanted *wanted, int n, bool *pending);

#endif							/* CUSTSEG_CHANGE_BATCH_H */
