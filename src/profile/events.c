/*
 * events.c
 *		Rows of a source of events, of which a customer has several kinds.
 */
#include "postgres.h"

#include "port/pg_bitutils.h"

#include "profile/state.h"

StaticAssertDecl(2 * DAY_LIMIT < 1 << EVENT_DAY_BITS, "days fit into their bits");
StaticAssertDecl(MOST_EVENTS <= 1 << (32 - EVENT_DAY_BITS), "events fit into the others");

EventTable *
EventTableCreate(const Source *source)
{
	EventTable *table = palloc(sizeof(EventTable));

	table->mask = pg_nextpower2_32(4 * Max(source->n_events, 1)) - 1;
	table->slots = palloc0((table->mask + 1) * sizeof(*table->slots));
	for (int i = 0; i < source->n_events; i++)
	{
		const char *name = source->events[i].name;
		int			len = strlen(name);
		uint32		at = EventHash(name, len) & table->mask;

		while (table->slots[at].name)
			at = (at + 1) & table->mask;
		table->slots[at].name = name;
		table->slots[at].len = len;
		table->slots[at].event = i;
	}
	return table;
}

int
EventBits(int n_events)
{
	return n_events > 1 ? pg_leftmost_one_pos32(n_events - 1) + 1 : 0;
}
