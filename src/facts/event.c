/*
 * event.c
 *		What can happen to customers besides orders: the events of sources.
 *
 * A source of events tells of a few kinds of them, each with a name, which is
 * listed when the source is added: what a log is full of otherwise is none of
 * our business. All of it becomes timelines, one a customer and event, in
 * custseg.profile_event: how many there were on each day, and how much they came
 * to where they have a value. A refresh reads and compares them as it does
 * orders (profile/, refresh/collect_events.c).
 */
#include "postgres.h"

#include "access/table.h"
#include "storage/bufmgr.h"

#include "common/bulk.h"
#include "common/spi.h"
#include "facts/event.h"

const char *const event_meanings[] = {
	"complaint", "resolved", "login", "registration", "delivered", "ticket", "cart", "nps", NULL
};

static Source *
SourceNumbered(List *sources, int source_id)
{
	ListCell   *cell;

	foreach(cell, sources)
		if (((Source *) lfirst(cell))->source_id == source_id)
			return lfirst(cell);
	return NULL;
}

/* Was there never a source of events? Most shops have none, and a desk waits for the answer: no statement asks. */
static bool
NeverAny(void)
{
	Relation	rel = table_open(OwnRelation("event"), AccessShareLock);
	bool		none = RelationGetNumberOfBlocks(rel) == 0;

	table_close(rel, AccessShareLock);
	return none;
}

List *
ListEventSources(void)
{
	static SPIPlanPtr kept = NULL;
	List	   *sources;
	ListCell   *cell;

	if (NeverAny())
		return NIL;
	sources = list_concat(ListSources(SOURCE_EVENTS), ListSources(SOURCE_LINES));
	SpiRunPlan(SpiKeep(&kept,
					   "SELECT source_id, event_id, event, coalesce(meaning IN " LABEL_MEANINGS ", false)"
					   " FROM custseg.event ORDER BY event_id", 0, NULL), NULL, NULL);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		Source	   *source = SourceNumbered(sources, SpiInt64(row, 1, 0));
		SourceEvent *event;

		if (source == NULL || source->n_events == MOST_EVENTS)
			continue;
		if (source->events == NULL)
			source->events = palloc(MOST_EVENTS * sizeof(SourceEvent));
		event = &source->events[source->n_events++];
		event->event_id = SpiInt64(row, 2, 0);
		strlcpy(event->name, SpiText(row, 3), sizeof(event->name));
		source->moves_labels |= SpiInt64(row, 4, 0) != 0;
	}
	SPI_freetuptable(SPI_tuptable);

	/* One whose events somebody deleted says nothing. */
	foreach(cell, sources)
		if (((Source *) lfirst(cell))->events == NULL)
			sources = foreach_delete_current(sources, cell);
	return sources;
}

List *
ListComplaintSources(void)
{
	static SPIPlanPtr kept = NULL;
	List	   *all;
	List	   *sources = NIL;
	uint64		n;
	int		   *ids;

	if (NeverAny())
		return NIL;
	n = SpiRunPlan(SpiKeep(&kept, "SELECT DISTINCT source_id FROM custseg.event WHERE meaning = 'complaint'", 0, NULL),
				   NULL, NULL);
	if (n == 0)
		return NIL;
	ids = palloc(n * sizeof(int));
	for (uint64 row = 0; row < n; row++)
		ids[row] = SpiInt64(row, 1, 0);
	SPI_freetuptable(SPI_tuptable);
	all = ListSources(SOURCE_EVENTS);
	for (uint64 i = 0; i < n; i++)
	{
		Source	   *source = SourceNumbered(all, ids[i]);

		if (source)
			sources = lappend(sources, source);
	}
	return sources;
}

bool
EventsMoveLabels(void)
{
	static SPIPlanPtr kept = NULL;

	return !NeverAny() &&
		SpiRunPlan(SpiKeep(&kept, "SELECT FROM custseg.event WHERE meaning IN " LABEL_MEANINGS " LIMIT 1", 0, NULL),
					  NULL, NULL) > 0;
}

static SPIPlanPtr event_plans[TARGET_STATEMENTS];

static const TargetTable event_table = {
	"profile_event",
	{
		[READ_IDS] = "SELECT customer_id, timeline, event_id FROM custseg.profile_event"
		" WHERE event_id = ANY ($2) AND customer_id = ANY ($1) ORDER BY customer_id, event_id",
		[UPDATE_ROWS] = "UPDATE custseg.profile_event p SET timeline = n.timeline"
		" FROM unnest($1, $2, $3) n (customer_id, timeline, event_id)"
		" WHERE p.customer_id = n.customer_id AND p.event_id = n.event_id",
		[DELETE_ROWS] = "DELETE FROM custseg.profile_event WHERE event_id = ANY ($2) AND customer_id = ANY ($1)",
		[DELETE_PAIRS] = "DELETE FROM custseg.profile_event p USING unnest($1, $2) n (customer_id, event_id)"
		" WHERE p.customer_id = n.customer_id AND p.event_id = n.event_id",
		[LIST_IDS] = "SELECT DISTINCT customer_id FROM custseg.profile_event"
		" WHERE event_id = ANY ($3) AND customer_id > $1 ORDER BY customer_id LIMIT $2",
		[ANY_ROW] = "SELECT FROM custseg.profile_event WHERE event_id = ANY ($1) LIMIT 1",
	},
	event_plans
};

void
TargetOfEvents(ProfileTarget *target, const Source *source)
{
	memset(target, 0, sizeof(*target));
	target->table = &event_table;
	target->source_id = source->source_id;
	target->events = source->events;
	target->n_events = source->n_events;
	target->moves_labels = source->moves_labels;
}
