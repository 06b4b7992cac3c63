/*
 * history.h
 *		What models and cut points need of a timeline as of a day.
 */
#ifndef CUSTSEG_HISTORY_H
#define CUSTSEG_HISTORY_H

#include "postgres.h"

#include "utils/date.h"

typedef struct History
{
	int64		orders;
	int64		gross;			/* scaled by 10^4 */
	int64		refunded;
	int32		order_days;
	DateADT		first_order;	/* valid if there are order days */
	DateADT		last_order;
	int64		repeat_spend;	/* net, since the second order day */
	int32	   *gaps;			/* days between order days; order_days - 1 of them */
} History;

/* Reads histories one after the other into the same memory. */
typedef struct HistoryReader
{
	History		history;
	int32		capacity;		/* of history.gaps */
	MemoryContext context;
} HistoryReader;

extern void HistoryReaderInit(HistoryReader *reader);

/*
 * The history up to and including a day of a timeline datum; the result is
 * valid until the next call. A refund counts for the order day before it.
 */
extern const History *ReadHistory(HistoryReader *reader, Datum timeline, DateADT day);

/* The same of what happened from one day to another, both included. */
extern const History *ReadHistoryBetween(HistoryReader *reader, Datum timeline, DateADT from,
										 DateADT until);

/* The repeat spend per repeat order day in the shop's currency; 0 without one. */
static inline double
MeanRepeatSpend(const History *history)
{
	return history->order_days < 2 ? 0 :
		(double) history->repeat_spend / 10000.0 / (history->order_days - 1);
}

#endif							/* CUSTSEG_HISTORY_H */
