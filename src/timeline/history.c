/*
 * history.c
 *		What models and cut points need of a timeline as of a day.
 */
#include "postgres.h"

#include "timeline/history.h"
#include "timeline/timeline.h"

void
HistoryReaderInit(HistoryReader *reader)
{
	memset(reader, 0, sizeof(HistoryReader));
	reader->context = CurrentMemoryContext;
	reader->capacity = 64;
	reader->history.gaps = palloc(reader->capacity * sizeof(int32));
}

const History *
ReadHistory(HistoryReader *reader, Datum timeline, DateADT day)
{
	return ReadHistoryBetween(reader, timeline, DATEVAL_NOBEGIN, day);
}

const History *
ReadHistoryBetween(HistoryReader *reader, Datum timeline, DateADT from, DateADT until)
{
	History    *history = &reader->history;
	struct varlena *stored = (struct varlena *) DatumGetPointer(timeline);
	struct varlena *t = pg_detoast_datum_packed(stored);
	TimelineIter iter;
	TimelineEntry entry;
	int64		first_spend = 0;

	if (!TimelineIterInit(&iter, t))
		TimelineVersionError();
	if (iter.head.entries > reader->capacity)
	{
		pfree(history->gaps);
		reader->capacity = Max(iter.head.entries, 2 * reader->capacity);
		history->gaps = MemoryContextAllocHuge(reader->context, reader->capacity * sizeof(int32));
	}

	history->orders = history->gross = history->refunded = 0;
	history->order_days = 0;
	while (TimelineIterNextCounted(&iter, &entry) && entry.day <= until)
	{
		if (entry.day < from)
			continue;
		if (entry.orders > 0)
		{
			if (history->order_days == 0)
				history->first_order = entry.day;
			else
			{
				if (history->order_days == 1)
					first_spend = history->gross - history->refunded;
				history->gaps[history->order_days - 1] = entry.day - history->last_order;
			}
			history->last_order = entry.day;
			history->order_days++;
		}
		history->orders += entry.orders;
		history->gross += entry.gross;
		history->refunded += entry.refunded;
	}
	history->repeat_spend = history->order_days < 2 ? 0 :
		history->gross - history->refunded - first_spend;
	if (t != stored)
		pfree(t);
	return history;
}
