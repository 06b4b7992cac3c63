/*
 * episode.c
 *		Everything that happens to an episode: no other file writes custseg.episode.
 *
 * An episode is one silence of one customer for one goal, and the day of the
 * last order before it tells it from any other: (goal, customer, since) is
 * unique, so however often a transition is followed, and whatever other
 * playbooks of the same goal want, there is one. Where a correction moves that
 * day, an episode that is open stays the one.
 *
 *    (opened) ─── arm = control ───▶ watching ──┐
 *        │                                      │   an order: converted
 *        ▼         cannot be reached            │   an order out of time, gone: withdrawn
 *     waiting ─────────────────────┐            ├─▶ time is over: expired
 *      │  ▲ │                      ▼            │   refused, or tried enough: exhausted
 *      │  │ └──────────────────────│────────────┤   opted out: withdrawn
 *      ▼  │ no contact came of it  │            │
 *   contacting ◀────────────▶ unreachable ──────┤
 *      └────────────────────────────────────────┘
 *
 * A task leads from waiting or unreachable to contacting, and so does a contact
 * that is reported late. What a worker reports ends only who is in contact:
 * exhausted, and withdrawn for who opted out. converted, expired, exhausted and
 * withdrawn are the end. test/t/050_queue_states.pl has all of it.
 *
 * What is done to many takes rows FOR NO KEY UPDATE SKIP LOCKED. What a worker
 * holds in an open transaction is left to the next refresh, so that a desk that
 * forgot to commit never stops the pipeline and no two of us can deadlock.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "common/ids.h"
#include "common/spi.h"
#include "person/identity.h"
#include "person/person.h"
#include "playbook/audience.h"
#include "recall/audience.h"
#include "recall/episode.h"

#define OPEN(arm, mixed, accounts) \
	"WITH opened AS (" \
	"INSERT INTO custseg.episode (goal, playbook, version, customer_id, since, eligible_at, eligible_on," \
	" window_days, expires_on, arm, mixed, state, priority, opened_run, opened_by)" \
	" SELECT a.goal, a.playbook, a.version, a.customer_id, a.since, $12, $13," \
	" a.window_days, $13 + a.expire_days, " arm ", " mixed "," \
	" CASE " arm " WHEN 'control' THEN 'watching' ELSE 'waiting' END," \
	" a.priority, nullif($14, 0), a.opened_by" \
	FROM_AUDIENCE " JOIN custseg.arm r USING (goal, person)" accounts \
	" ORDER BY a.priority DESC, a.since DESC, a.person COLLATE \"C\"" \
	" ON CONFLICT (goal, customer_id, since) DO NOTHING" \
	" RETURNING arm) SELECT count(*), count(*) FILTER (WHERE arm = 'control') FROM opened"

void
EpisodesOpen(const Changes *audience, const Moment *now, int64 *episodes, int64 *controls)
{
	static SPIPlanPtr open = NULL;
	static SPIPlanPtr open_linked = NULL;
	Oid			types[] = {TIMESTAMPTZOID, DATEOID, INT8OID};
	Datum		values[] = {TimestampTzGetDatum(now->as_of), DateADTGetDatum(now->day), Int64GetDatum(now->run_id)};

	if (PersonsLinked())
		(void) WriteChanges(&open_linked,
							OPEN("CASE WHEN x.control THEN 'control' ELSE r.arm END", "x.mixed",
								 " CROSS JOIN LATERAL " ARMS_OF_ACCOUNTS("a.customer_id") " x"),
							audience, 3, types, values);
	else
		(void) WriteChanges(&open, OPEN("r.arm", "false", ""), audience, 3, types, values);
	*episodes += SpiInt64(0, 1, 0);
	*controls += SpiInt64(0, 2, 0);
	SPI_freetuptable(SPI_tuptable);
}

/*
 * An order ends the silence. It is a conversion when it came on a later day
 * than eligibility, within the window; an order that became known late and
 * lies before leaves a customer who is still silent as they are.
 */
#define ORDERED(which) \
	"SELECT e.episode_id," \
	"   custseg.order_count(p.timeline, least(e.eligible_on + e.window_days, $2))" \
	"   > custseg.order_count(p.timeline, e.eligible_on) AS converted" \
	"  FROM custseg.episode e" \
	"  JOIN custseg.profile p USING (customer_id)" \
	"  LEFT JOIN custseg.standing s USING (customer_id)" \
	"  WHERE e.state IN " EPISODE_OPEN which \
	"  AND custseg.last_order_day(p.timeline) > e.since" \
	"  AND (custseg.order_count(p.timeline, $2) > custseg.order_count(p.timeline, e.eligible_on)" \
	"   OR (s.lifecycle NOT IN " AUDIENCE_STAYS_AS \
	"    AND custseg.order_count(p.timeline, $2) > custseg.order_count(p.timeline, e.since)))"

#define CLOSE(which) \
	"UPDATE custseg.episode u SET reason = 'ordered', closed_at = $1," \
	" state = CASE WHEN o.converted THEN 'converted' ELSE 'withdrawn' END" \
	" FROM (" ORDERED(which) " FOR NO KEY UPDATE OF e SKIP LOCKED) o" \
	" WHERE u.episode_id = o.episode_id"

/* Who has no purchases any more, because they were deleted, cancelled or were somebody else's, is not called. */
#define GONE(which) \
	"SELECT e.episode_id FROM custseg.episode e" \
	"  WHERE e.state IN " EPISODE_OPEN which \
	"  AND NOT EXISTS (SELECT FROM custseg.profile p WHERE p.customer_id = e.customer_id" \
	"   AND custseg.last_order_day(p.timeline) IS NOT NULL)" \
	"  AND NOT " IS_ACCOUNT_OF_ANOTHER("e.customer_id")

#define CLOSE_GONE(which) \
	"UPDATE custseg.episode u SET reason = 'gone', closed_at = $1, state = 'withdrawn'" \
	" FROM (" GONE(which) " FOR NO KEY UPDATE OF e SKIP LOCKED) o" \
	" WHERE u.episode_id = o.episode_id"

bool
EpisodesCloseOrdered(const Moment *now, ArrayType *customers)
{
	Oid			types[] = {TIMESTAMPTZOID, DATEOID, INT8ARRAYOID};
	Datum		values[] = {TimestampTzGetDatum(now->as_of), DateADTGetDatum(now->day), PointerGetDatum(customers)};
	const char *nulls = customers ? NULL : "  n";
	int64		ordered;
	int64		gone;
	bool		all;

	SpiRun("SELECT (SELECT count(*) FROM (" ORDERED(OF_CUSTOMERS("$3")) ") o),"
		   " (SELECT count(*) FROM (" GONE(OF_CUSTOMERS("$3")) ") g)", 3, types, values, nulls);
	ordered = SpiInt64(0, 1, 0);
	gone = SpiInt64(0, 2, 0);
	all = ordered == 0 || SpiRun(CLOSE(OF_CUSTOMERS("$3")), 3, types, values, nulls) == ordered;
	return (gone == 0 || SpiRun(CLOSE_GONE(OF_CUSTOMERS("$3")), 3, types, values, nulls) == gone) && all;
}

/*
 * Open episodes of accounts that are one person, with their place in the
 * person's order for the goal: the oldest first. One that the person cannot have,
 * because one of the same silence is there, comes last.
 */
#define OF_ONE_PERSON \
	"SELECT e.episode_id, e.customer_id, g.person_id, b.blocked," \
	"   row_number() OVER (PARTITION BY g.person_id, e.goal ORDER BY b.blocked, e.eligible_at, e.episode_id) AS place" \
	"  FROM custseg.episode e JOIN custseg.person g USING (customer_id)" \
	"  CROSS JOIN LATERAL (SELECT e.customer_id <> g.person_id AND EXISTS (SELECT FROM custseg.episode o" \
	"   WHERE o.customer_id = g.person_id AND o.goal = e.goal AND o.since = e.since) AS blocked) b" \
	"  WHERE e.state IN " EPISODE_OPEN OF_CUSTOMERS("$2")

/* Its contact has been stopped by the arm of another account. */
#define OF_MIXED_ARMS \
	"SELECT e.episode_id, x.mixed FROM custseg.episode e" \
	"  CROSS JOIN LATERAL " ARMS_OF_ACCOUNTS("e.customer_id") " x" \
	"  WHERE e.state IN " EPISODE_OPEN OF_CUSTOMERS("$2") \
	"  AND e.customer_id IN (SELECT g.person_id FROM custseg.person g)" \
	"  AND ((x.control AND e.arm = 'contact') OR x.mixed > e.mixed)"

bool
EpisodesMerge(const Moment *now, ArrayType *customers)
{
	Oid			types[] = {TIMESTAMPTZOID, INT8ARRAYOID};
	Datum		values[] = {TimestampTzGetDatum(now->as_of), PointerGetDatum(customers)};
	const char *nulls = customers ? NULL : " n";
	int64		left;

	SpiRun("UPDATE custseg.episode u SET state = 'withdrawn', reason = 'merged', closed_at = $1"
		   " FROM (SELECT l.episode_id FROM custseg.episode l WHERE l.episode_id IN (SELECT o.episode_id FROM (" OF_ONE_PERSON ") o"
		   "  WHERE o.place > 1 OR o.blocked) FOR NO KEY UPDATE SKIP LOCKED) o"
		   " WHERE u.episode_id = o.episode_id", 2, types, values, nulls);
	SpiRun("UPDATE custseg.episode u SET customer_id = o.person_id"
		   " FROM (" OF_ONE_PERSON ") o"
		   " WHERE u.episode_id = o.episode_id AND o.place = 1 AND NOT o.blocked AND o.customer_id <> o.person_id"
		   " AND u.episode_id IN (SELECT l.episode_id FROM custseg.episode l WHERE l.episode_id IN"
		   "  (SELECT w.episode_id FROM (" OF_ONE_PERSON ") w WHERE w.customer_id <> w.person_id) FOR UPDATE SKIP LOCKED)"
		   " AND $1 IS NOT NULL", 2, types, values, nulls);
	SpiRun("UPDATE custseg.episode u SET arm = 'control', mixed = o.mixed, state = 'watching', reason = NULL, look_again_on = NULL"
		   " FROM (" OF_MIXED_ARMS " FOR NO KEY UPDATE OF e SKIP LOCKED) o"
		   " WHERE u.episode_id = o.episode_id AND $1 IS NOT NULL", 2, types, values, nulls);
	SpiRun("SELECT (SELECT count(*) FROM (" OF_ONE_PERSON ") o WHERE o.customer_id <> o.person_id OR o.place > 1)"
		   " + (SELECT count(*) FROM (" OF_MIXED_ARMS ") x) WHERE $1 IS NOT NULL", 2, types, values, nulls);
	left = SpiInt64(0, 1, 0);
	return left == 0;
}

#define LEFT_AUDIENCE \
	" AND e.customer_id IN (SELECT m.customer_id FROM custseg.transition m" \
	"  WHERE m.transition_id > $3 AND m.label = " AUDIENCE_LABEL \
	"  AND (m.from_value IN " AUDIENCE_STAYS_AS " OR m.to_value IS NULL))"

void
EpisodesCloseLeft(const Moment *now, int64 after_transition)
{
	Oid			types[] = {TIMESTAMPTZOID, DATEOID, INT8OID};
	Datum		values[] = {TimestampTzGetDatum(now->as_of), DateADTGetDatum(now->day), Int64GetDatum(after_transition)};

	SpiRun(CLOSE(LEFT_AUDIENCE), 3, types, values, NULL);
	SpiRun(CLOSE_GONE(LEFT_AUDIENCE), 3, types, values, NULL);
}

int64 *
EpisodesDue(const Moment *now, ArrayType *customers, int *n)
{
	Oid			types[] = {DATEOID, INT8ARRAYOID};
	Datum		values[] = {DateADTGetDatum(now->day), PointerGetDatum(customers)};
	int64	   *ids;

	/* Who was contacted has the whole window to order in. */
	*n = (int) SpiRun("SELECT e.episode_id FROM custseg.episode e"
					  " WHERE e.state IN " EPISODE_OPEN " AND e.expires_on < $1"
					  " AND (e.state IN ('waiting', 'unreachable') OR e.eligible_on + e.window_days < $1)"
					  OF_CUSTOMERS("$2"), 2, types, values, customers ? NULL : " n");
	ids = palloc_extended(sizeof(int64) * Max(*n, 1), MCXT_ALLOC_HUGE);
	for (int i = 0; i < *n; i++)
		ids[i] = SpiInt64(i, 1, 0);
	SPI_freetuptable(SPI_tuptable);
	return ids;
}

void
EpisodesExpire(const int64 *ids, int n, const Moment *now)
{
	Oid			types[] = {INT8ARRAYOID, TIMESTAMPTZOID};
	Datum		values[] = {IdArray(ids, n), TimestampTzGetDatum(now->as_of)};

	SpiRun("UPDATE custseg.episode u SET state = 'expired', closed_at = $2,"
		   " reason = CASE WHEN u.state IN ('waiting', 'unreachable') THEN coalesce(u.reason, 'not_contacted')"
		   "  ELSE 'no_order' END"
		   " FROM (SELECT e.episode_id FROM custseg.episode e WHERE e.episode_id = ANY ($1)"
		   "  AND e.state IN " EPISODE_OPEN " FOR NO KEY UPDATE SKIP LOCKED) o"
		   " WHERE u.episode_id = o.episode_id", 2, types, values, NULL);
}

void
EpisodesNoteChannelOff(ArrayType *customers)
{
	Oid			types[] = {INT8ARRAYOID};
	Datum		values[] = {PointerGetDatum(customers)};

	SpiRun("WITH off AS MATERIALIZED (SELECT y.tier FROM custseg.tier_policy y"
		   "  WHERE NOT EXISTS (SELECT FROM custseg.channel c WHERE c.channel = y.channel AND c.enabled))"
		   " UPDATE custseg.episode u SET reason = 'channel_off'"
		   " FROM (SELECT e.episode_id FROM custseg.episode e"
		   "  JOIN custseg.standing s USING (customer_id)"
		   "  WHERE EXISTS (SELECT FROM off) AND s.tier = ANY (ARRAY(SELECT tier FROM off))"
		   "  AND e.state = 'waiting' AND e.reason IS DISTINCT FROM 'channel_off'" OF_CUSTOMERS("$1")
		   "  FOR NO KEY UPDATE OF e SKIP LOCKED) o"
		   " WHERE u.episode_id = o.episode_id", 1, types, values, customers ? NULL : "n");
}

void
EpisodesContacting(const Changes *ids)
{
	static SPIPlanPtr kept = NULL;

	(void) WriteChanges(&kept,
						"UPDATE custseg.episode SET state = 'contacting', reason = NULL, look_again_on = NULL"
						" WHERE episode_id = ANY ($1)", ids, 0, NULL, NULL);
}

void
EpisodesPutAside(const Changes *aside)
{
	static SPIPlanPtr kept = NULL;

	(void) WriteChanges(&kept,
						"UPDATE custseg.episode e SET state = 'unreachable', reason = u.reason,"
						" look_again_on = u.look_again_on"
						" FROM unnest($1, $2, $3) u (episode_id, reason, look_again_on)"
						" WHERE e.episode_id = u.episode_id", aside, 0, NULL, NULL);
}

void
EpisodesTakeBack(const Changes *back, const Moment *now)
{
	static SPIPlanPtr kept = NULL;
	Oid			types[] = {TIMESTAMPTZOID};
	Datum		values[] = {TimestampTzGetDatum(now->as_of)};

	(void) WriteChanges(&kept,
						"UPDATE custseg.episode e SET state = u.state, reason = u.reason,"
						" closed_at = CASE u.state WHEN 'exhausted' THEN $5 END,"
						" look_again_on = u.look_again_on"
						" FROM unnest($1, $2, $3, $4) u (episode_id, state, reason, look_again_on)"
						" WHERE e.episode_id = u.episode_id", back, 1, types, values);
}

void
EpisodesDisabled(const int64 *ids, int n)
{
	Oid			types[] = {INT8ARRAYOID};
	Datum		values[] = {IdArray(ids, n)};

	SpiRun("UPDATE custseg.episode u SET state = 'waiting', reason = 'disabled'"
		   " FROM (SELECT e.episode_id FROM custseg.episode e WHERE e.episode_id = ANY ($1)"
		   "  AND e.state = 'contacting' FOR NO KEY UPDATE SKIP LOCKED) o"
		   " WHERE u.episode_id = o.episode_id", 1, types, values, NULL);
}

bool
EpisodeLock(int64 episode_id)
{
	static SPIPlanPtr kept = NULL;
	Oid			types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(episode_id)};

	SpiRunPlan(SpiKeep(&kept, "SELECT e.state IN " EPISODE_IN_CONTACT
					   " FROM custseg.episode e WHERE e.episode_id = $1 FOR NO KEY UPDATE", 1, types), values, NULL);
	return SPI_processed > 0 && SpiInt64(0, 1, 0) != 0;
}

void
EpisodeEnd(int64 episode_id, const char *state, const char *reason, TimestampTz as_of)
{
	static SPIPlanPtr kept = NULL;
	Oid			types[] = {INT8OID, TEXTOID, TEXTOID, TIMESTAMPTZOID};
	Datum		values[] = {Int64GetDatum(episode_id), CStringGetTextDatum(state),
	CStringGetTextDatum(reason), TimestampTzGetDatum(as_of)};

	SpiRunPlan(SpiKeep(&kept, "UPDATE custseg.episode SET state = $2, reason = $3, closed_at = $4"
					   " WHERE episode_id = $1", 4, types), values, NULL);
}

void
EpisodeContacted(int64 episode_id)
{
	Oid			types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(episode_id)};

	SpiRun("UPDATE custseg.episode SET state = 'contacting', reason = NULL, look_again_on = NULL"
		   " WHERE episode_id = $1", 1, types, values, NULL);
}

/* As custseg.playbook_result finds the share of the arm. */
void
EpisodesForget(Datum customers)
{
	Oid			types[] = {INT8ARRAYOID};

	SpiRun("UPDATE custseg.episode e SET customer_id = NULL,"
		   " share = (SELECT a.share FROM custseg.arm a WHERE a.goal = e.goal AND a.person = " ARM_PERSON("e.customer_id") "),"
		   " closed_at = CASE WHEN e.state IN " EPISODE_OPEN " THEN pg_catalog.clock_timestamp() ELSE e.closed_at END,"
		   " reason = CASE WHEN e.state IN " EPISODE_OPEN " THEN 'forgotten' ELSE e.reason END,"
		   " state = CASE WHEN e.state IN " EPISODE_OPEN " THEN 'withdrawn' ELSE e.state END, look_again_on = NULL"
		   " WHERE e.customer_id = ANY ($1)", 1, types, &customers, NULL);
}
