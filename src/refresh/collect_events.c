/*
 * collect_events.c
 *		The sources of events, in a refresh.
 *
 * They are read before the orders, so that whoever is evaluated for an order is
 * evaluated with all that is known. Each is its own target: what happened at two
 * sources is never added up, and one can be read again, or forgotten, alone.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/memutils.h"

#include "common/ids.h"
#include "common/settings.h"
#include "common/spi.h"
#include "facts/event.h"
#include "refresh/collect.h"
#include "refresh/collect_events.h"
#include "track/change_log.h"

/* Events whose source was dropped, and what is still stored of them. */
#define GONE "SELECT e.event_id FROM custseg.event e" \
	" WHERE NOT EXISTS (SELECT FROM custseg.source_mapping m WHERE m.source_id = e.source_id)"

/* Take a batch of rows away that nobody answers for any more; false where there are none. */
static bool
RemoveGone(Run *run)
{
	Oid			types[1] = {INT4OID};
	Datum		values[1] = {Int32GetDatum(custseg_batch_size)};

	RunStage(run, STAGE_WRITE);
	SpiRun("DELETE FROM custseg.profile_event WHERE ctid = ANY (ARRAY("
		   "SELECT p.ctid FROM custseg.profile_event p WHERE p.event_id IN (" GONE ") LIMIT $1))", 1, types, values, NULL);
	return SPI_processed > 0;
}

static void
DropGone(Run *run)
{
	if (SpiRun(GONE " LIMIT 1", 0, NULL, NULL, NULL) == 0)
		return;
	while (RemoveGone(run))
		RunCommit(run);
	SpiRun("DELETE FROM custseg.event WHERE event_id IN (" GONE ")", 0, NULL, NULL, NULL);
	RunCommit(run);
}

void
CollectEvents(Run *run, List *sources, const char *reread_all, const ChangeFollower *follower)
{
	ListCell   *cell;

	DropGone(run);
	foreach(cell, sources)
	{
		Source	   *source = lfirst(cell);
		ProfileTarget target;
		ChangeFollower own = *follower;
		char	   *snapshot = NULL;

		TargetOfEvents(&target, source);
		CollectOne(run, source, &target, &own, reread_all, true, &snapshot);
		if (snapshot)
			ChangeLogForget(source->source_id, snapshot);
	}
}
