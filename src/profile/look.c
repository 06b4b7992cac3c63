/*
 * look.c
 *		A look for newer orders of some customers, by collecting what a source
 *		says of them.
 *
 * The usual look (source/probe.c) is one statement of SQL. Days and amounts
 * that are texts are read in C alone, so here the orders of the customers are
 * collected as a refresh would, and what they come to is looked at.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "common/settings.h"
#include "profile/collector.h"
#include "profile/look.h"
#include "source/keys.h"
#include "source/limits.h"
#include "source/read.h"
#include "timeline/timeline.h"

#define LOOK_MEMORY		(4 * 1024 * 1024)	/* bytes, for the orders of some customers */

/* The last day on which something was bought and not given back whole; DATEVAL_NOBEGIN for none. */
static DateADT
LastBought(const struct varlena *timeline)
{
	TimelineIter iter;
	TimelineEntry entry;
	DateADT		last = DATEVAL_NOBEGIN;

	if (!TimelineIterInit(&iter, timeline))
		TimelineVersionError();
	while (TimelineIterNextCounted(&iter, &entry))
		if (entry.orders > 0)
			last = entry.day;
	return last;
}

static pg_noinline void
LookAtCollected(Collector *collector, int n, char **keys, const DateADT *after, bool *ordered)
{
	KeyIndex   *index = KeyIndexCreate(n, keys);
	Collected  *rows;
	int			n_rows;

	while (CollectorNext(collector, n, &rows, &n_rows))
		for (int row = 0; row < n_rows; row++)
		{
			const char *key = rows[row].key ? rows[row].key : psprintf(INT64_FORMAT, rows[row].customer_id);
			DateADT		last = LastBought(rows[row].timeline);
			int			at;

			for (int i = KeyIndexFirst(index, key, &at); i >= 0; i = KeyIndexNext(index, &at))
				ordered[i] |= last > after[i];
		}
}

void
LookByCollecting(Source *source, DayMapper *days, int n, char **keys, const DateADT *after, bool *ordered)
{
	Collector  *collector;
	DayLimits	limits;
	DateADT		today = 0;
	Oid			type;
	Datum		array;

	if (n == 0)
	{
		SourceTry(source);
		return;
	}
	(void) DayMapperDay(days, GetCurrentTimestamp(), &today);
	(void) ReadDayLimits(source->source_id, today, &limits);
	array = KeyArray(source, n, keys, &type);
	collector = CollectorCreate(CurrentMemoryContext, source, ReadShopSettings()->time_zone, &limits, LOOK_MEMORY);
	PG_TRY();
	{
		SourceReadCustomers(source, type, array, CollectorReceiver(collector));
		LookAtCollected(collector, n, keys, after, ordered);
	}
	PG_FINALLY();
	{
		CollectorClose(collector);
	}
	PG_END_TRY();
}
