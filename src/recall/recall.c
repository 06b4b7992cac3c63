/*
 * recall.c
 *		Opening and closing episodes.
 *
 * Who is eligible is decided, and stamped, without a look at arms (audience.c);
 * the arm is drawn afterwards (arm.c), and then the episode begins (episode.c).
 */
#include "postgres.h"

#include "catalog/pg_extension.h"
#include "catalog/pg_type.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "common/guard.h"
#include "common/spi.h"
#include "person/handle.h"
#include "playbook/audience.h"
#include "recall/arm.h"
#include "recall/audience.h"
#include "recall/episode.h"
#include "recall/recall.h"

#define RECALL_LOCK 1			/* sub-object of the extension that stands for recall */

void
RecallLock(void)
{
	LockDatabaseObject(ExtensionRelationId, ExtensionOid(), RECALL_LOCK, ShareUpdateExclusiveLock);
}

typedef struct Opening
{
	const Moment *now;
	int64		episodes;
	int64		controls;
} Opening;

static void
OpenPortion(const Changes *portion, void *arg)
{
	Opening    *opening = arg;

	DrawArms(portion, opening->now);
	EpisodesOpen(portion, opening->now, &opening->episodes, &opening->controls);
}

void
OpenBacklog(const char *playbook, const Moment *now, int64 *episodes, int64 *controls)
{
	Opening		opening = {now};

	(void) ReadHandleSalt();
	EachAudience(BacklogAudience(), now, TEXTOID, CStringGetTextDatum(playbook), OpenPortion, &opening);
	*episodes = opening.episodes;
	*controls = opening.controls;
}

Followed
RecallFollow(const Moment *now, int64 after_transition)
{
	Oid			types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(after_transition)};
	Followed	followed = {false};
	bool		opens;
	bool		by_data;

	/* Most batches have nothing for us: one look at the batch's own rows. */
	SpiRun("SELECT count(*) FILTER (WHERE to_value = " AUDIENCE_BEGINS_AS " AND cause IN ('data', 'time')),"
		   " count(*) FILTER (WHERE from_value IN " AUDIENCE_STAYS_AS " OR to_value IS NULL),"
		   " count(*) FILTER (WHERE to_value = " AUDIENCE_BEGINS_AS " AND cause = 'data')"
		   " FROM custseg.transition WHERE transition_id > $1 AND label = " AUDIENCE_LABEL,
		   1, types, values, NULL);
	opens = SpiInt64(0, 1, 0) > 0;
	followed.closed = SpiInt64(0, 2, 0) > 0;
	by_data = SpiInt64(0, 3, 0) > 0;

	/*
	 * The lock comes first: whoever is just enabling a playbook either sees
	 * what this batch wrote, or is seen here.
	 */
	if (opens)
	{
		RecallLock();
		opens = SpiRun("SELECT FROM custseg.playbook_choice WHERE enabled LIMIT 1", 0, NULL, NULL, NULL) > 0;
	}
	/* Before opening, because who has an open episode gets no other. */
	if (followed.closed)
		EpisodesCloseLeft(now, after_transition);
	if (opens && by_data)
		followed.left_out = CountOldNews(now, after_transition);
	if (opens)
	{
		Opening		opening = {now};

		(void) ReadHandleSalt();
		EachAudience(FreshAudience(), now, INT8OID, values[0], OpenPortion, &opening);
	}
	return followed;
}
