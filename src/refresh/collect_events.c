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
#include "refresh/collect_lines.h"
#include "track/change_log.h"

/* Events whose source was dropped, and what is still stored of them. */
#define GONE "SELECT e.event_id FROM custseg.event e" \
	" WHERE NOT EXISTS (SELECT FROM custseg.source_mapping m WHERE m.source_id = e.source_id)"

/* Take a batch of rows away that nobody answers for any more; false where there are none. */
static bool
RemoveGone(Run *run, const ChangeFollower *follower)
{
	Oid			types[1] = {INT4OID};
	Datum		values[1] = {Int32GetDatum(custseg_batch_size)};
	int			n;
	int64	   *ids;
	int			n_ids = 0;

	RunStage(run, STAGE_WRITE);
	SpiRun("WITH gone AS (DELETE FROM custseg.profile_event WHERE ctid = ANY (ARRAY("
		   "  SELECT p.ctid FROM custseg.profile_event p WHERE p.event_id IN (" GONE ") LIMIT $1))"
		   "  RETURNING customer_id, event_id)"
		   " SELECT g.customer_id, coalesce(e.meaning IN " LABEL_MEANINGS ", false)"
		   " FROM gone g JOIN custseg.event e USING (event_id)", 1, types, values, NULL);
	n = SPI_processed;
	ids = palloc_extended(Max(n, 1) * sizeof(int64), MCXT_ALLOC_HUGE);
	for (int i = 0; i < n; i++)
		if (SpiInt64(i, 2, 0) != 0)
			ids[n_ids++] = SpiInt64(i, 1, 0);
	FollowEvents(run, follower, ids, n_ids);
	return n > 0;
}

/* That somebody forgot a source is no event. */
static void
DropGone(Run *run, const ChangeFollower *follower)
{
	ChangeFollower own = *follower;

	own.cause = CAUSE_SETTING;
	if (SpiRun(GONE " LIMIT 1", 0, NULL, NULL, NULL) == 0)
		return;
	while (RemoveGone(run, &own))
		RunCommit(run);
	SpiRun("DELETE FROM custseg.event WHERE event_id IN (" GONE ")", 0, NULL, NULL, NULL);
	SpiRun("DELETE FROM custseg.product p WHERE NOT EXISTS"
		   " (SELECT FROM custseg.source_mapping m WHERE m.source_id = p.source_id)", 0, NULL, NULL, NULL);
	RunCommit(run);
}

void
CollectEvents(Run *run, List *sources, const char *reread_all, const ChangeFollower *follower)
{
	ListCell   *cell;

	DropGone(run, follower);
	foreach(cell, sources)
	{
		Source	   *source = lfirst(cell);
		ProfileTarget target;
		ChangeFollower own = *follower;
		char	   *snapshot = NULL;
		int			left;

		if (!LearnFirstProducts(run, source))
			continue;
		TargetOfEvents(&target, source);
		left = run->counts.left;
		CollectOne(run, source, &target, &own, reread_all, true, &snapshot);
		NoteLinesRead(run, source, run->counts.left == left);
		if (snapshot)
			ChangeLogForget(source->source_id, snapshot);
	}
}
