/*
 * stream.h
 *		The rows of a statement one by one, without keeping them.
 */
#ifndef CUSTSEG_STREAM_H
#define CUSTSEG_STREAM_H

#include "postgres.h"

#include "executor/spi.h"
#include "executor/tuptable.h"
#include "tcop/dest.h"

typedef void (*StreamRow) (TupleTableSlot *slot, void *arg);

/*
 * Run a prepared SELECT and hand each row to a function, with all its columns
 * deformed. What the function allocates lives in the caller's memory context.
 * Returns how many rows there were.
 */
extern uint64 SpiStream(SPIPlanPtr plan, int nargs, const Oid *types, const Datum *values,
						StreamRow row, void *arg);

/* A receiver for any query that does so, in the current memory context. */
extern DestReceiver *StreamTo(StreamRow row, void *arg);

/*
 * Between these two, statements are planned to go by index, whatever the
 * statistics say: tables that were just loaded have none.
 */
extern int	PlanByIndexBegin(void);

/* The same, and rows come in the order of an index, not sorted: for the first few of very many. */
extern int	PlanInOrderBegin(void);

/* By index, but rather in the order of the table: for rows that lie all over it. */
extern int	PlanBySortedIndexBegin(void);
extern void PlanByIndexEnd(int level);

/*
 * Until PlanByIndexEnd, large tables are joined as a whole: of tables without
 * statistics the planner may think that few rows are left.
 */
extern int	PlanWholeBegin(void);

#endif							/* CUSTSEG_STREAM_H */
