/*
 * follow.c
 *		Opening and closing episodes.
 *
 * An episode is one silence of one customer for one goal, and the day of the
 * last order before it tells it from any other: (goal, customer, since) is
 * unique, so however often a transition is followed, and whatever other
 * playbooks of the same goal want, there is one. Where a correction moves that
 * day, an episode that is open stays the one. Only silence that came with data
 * or time opens one; a new calibration or setting that moves a thousand
 * customers across a line does not. Nor does old history that has just come to
 * light: a silence longer than that of a backlog.
 *
 * Who is eligible is decided, and stamped, without a look at arms; the arm is
 * drawn afterwards by a hash of the customer's own key, stored, and never
 * drawn again, so that a later holdout leaves the people drawn before alone.
 *
 * Everything here takes rows FOR UPDATE SKIP LOCKED. What a worker holds in an
 * open transaction is left to the next refresh, so that a desk that forgot to
 * commit never stops the pipeline and no two of us can deadlock.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "common/changes.h"
#include "common/guard.h"
#include "common/settings.h"
#include "common/spi.h"
#include "common/stream.h"
#include "recall/follow.h"
#include "recall/recall.h"

PG_FUNCTION_INFO_V1(custseg_recall_follow);

#define RECALL_LOCK 1			/* sub-object of the extension that stands for recall */

void
RecallLock(void)
{
	LockDatabaseObject(ExtensionRelationId, ExtensionOid(), RECALL_LOCK, ShareUpdateExclusiveLock);
}

void
DrawSalt(void)
{
	Oid			types[] = {INT8OID};
	Datum		values[1];
	int64		salt;

	SpiRun("SELECT FROM custseg.arm_salt", 0, NULL, NULL, NULL);
	if (SPI_processed > 0)
		return;
	if (!pg_strong_random(&salt, sizeof(salt)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not draw a random number")));
	values[0] = Int64GetDatum(salt);
	SpiRun("INSERT INTO custseg.arm_salt (salt) VALUES ($1) ON CONFLICT DO NOTHING", 1, types, values, NULL);
}

/*
 * Whom a playbook makes eligible. Somebody who must never be contacted is in
 * neither arm; somebody who must not for a while is, and waits.
 */
#define AUDIENCE(fresh, which) \
	"SELECT DISTINCT ON (b.goal, f.customer_id)" \
	" b.goal, b.playbook, b.version, b.holdout, b.window_days, b.expire_days," \
	" f.customer_id, f.opened_by, coalesce(p.customer_key, p.customer_id::text) AS person," \
	" custseg.last_order_day(p.timeline, $2) AS since," \
	" custseg.spend(p.timeline, $2)::float8 AS priority" \
	" FROM (" fresh ") f" \
	" JOIN custseg.standing s USING (customer_id)" \
	" JOIN custseg.profile p USING (customer_id)" \
	" JOIN custseg.playbook b ON " which \
	" WHERE s.lifecycle = 'silent'" \
	" AND s.quadrant IS DISTINCT FROM 'angry_churn'" \
	" AND custseg.last_order_day(p.timeline, $2) IS NOT NULL" \
	" AND NOT EXISTS (SELECT FROM custseg.suppression x" \
	"   WHERE x.customer_id = f.customer_id AND x.channel IS NULL AND x.until IS NULL)" \
	" AND (SELECT o.episode_id FROM custseg.episode o" \
	"   WHERE o.customer_id = f.customer_id AND o.goal = b.goal AND o.state IN " EPISODE_OPEN " LIMIT 1) IS NULL" \
	" ORDER BY b.goal, f.customer_id, b.playbook"

#define FRESHLY_SILENT \
	"SELECT DISTINCT ON (t.customer_id) t.customer_id, t.cause AS opened_by" \
	" FROM custseg.transition t" \
	" WHERE t.transition_id > $3 AND t.label = 'lifecycle' AND t.to_value = 'silent'" \
	" AND t.cause IN ('data', 'time')" \
	" ORDER BY t.customer_id, t.transition_id DESC"

#define OLD_NEWS "(f.opened_by = 'data' AND s.silent_at < $2 - (SELECT backlog_days FROM custseg.settings))"

#define SILENT_BEFORE \
	"SELECT s.customer_id, 'backlog'::text AS opened_by" \
	" FROM custseg.standing s" \
	" WHERE s.lifecycle = 'silent' AND s.silent_at <= $2" \
	" AND s.silent_at >= $2 - (SELECT backlog_days FROM custseg.settings)"

/* What an audience is kept as, for statements that take it by unnest(). */
static const Oid audience_types[] = {TEXTOID, TEXTOID, INT4OID, FLOAT8OID, INT4OID, INT4OID, INT8OID, TEXTOID, TEXTOID,
DATEOID, FLOAT8OID};

#define FROM_AUDIENCE \
	" FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) a" \
	" (goal, playbook, version, holdout, window_days, expire_days, customer_id, opened_by, person, since, priority)"

/* Who is eligible for several goals at once is drawn for the first of them. */
#define DRAW \
	"INSERT INTO custseg.arm (goal, person, arm, share, drawn_at)" \
	" SELECT DISTINCT ON (a.for_goal, a.person) a.for_goal, a.person, " ARM_OF_A ", coalesce(r.share, a.holdout), $12" \
	" FROM (SELECT n.person, n.goal AS for_goal, n.playbook, first_value(n.goal) OVER w AS goal," \
	"  first_value(n.holdout) OVER w AS holdout FROM (SELECT a.*" FROM_AUDIENCE ") n" \
	"  WINDOW w AS (PARTITION BY n.person ORDER BY n.goal COLLATE \"C\", n.playbook COLLATE \"C\")) a" ARM_BEFORE \
	" ORDER BY a.for_goal, a.person, a.playbook" \
	" ON CONFLICT (goal, person) DO NOTHING"

#define OPEN \
	"WITH opened AS (" \
	"INSERT INTO custseg.episode (goal, playbook, version, customer_id, since, eligible_at, eligible_on," \
	" window_days, expires_on, arm, state, priority, opened_run, opened_by)" \
	" SELECT a.goal, a.playbook, a.version, a.customer_id, a.since, $12, $13," \
	" a.window_days, $13 + a.expire_days, r.arm," \
	" CASE r.arm WHEN 'control' THEN 'watching' ELSE 'waiting' END," \
	" a.priority, nullif($14, 0), a.opened_by" \
	FROM_AUDIENCE " JOIN custseg.arm r USING (goal, person)" \
	" ORDER BY a.priority DESC, a.since DESC, a.person COLLATE \"C\"" \
	" ON CONFLICT (goal, customer_id, since) DO NOTHING" \
	" RETURNING arm) SELECT count(*), count(*) FILTER (WHERE arm = 'control') FROM opened"

/* Draw and open for the rows just fetched. */
static void
OpenPortion(const Oid *types, const Datum *values, int64 run_id, int64 *episodes, int64 *controls)
{
	static SPIPlanPtr draw = NULL;
	static SPIPlanPtr open = NULL;
	Oid			more_types[] = {types[0], types[1], INT8OID};
	Datum		more[] = {values[0], values[1], Int64GetDatum(run_id)};
	Changes		audience = {lengthof(audience_types)};
	uint64		n = SPI_processed;

	for (int c = 0; c < audience.ncolumns; c++)
		audience.columns[c].type = audience_types[c];
	for (uint64 row = 0; row < n; row++)
	{
		Datum		columns[lengthof(audience_types)];
		bool		nulls[lengthof(audience_types)];

		for (int c = 0; c < audience.ncolumns; c++)
			columns[c] = SpiField(row, c + 1, &nulls[c]);
		AddChange(&audience, columns, nulls);
	}
	(void) WriteChanges(&draw, DRAW, &audience, 1, more_types, more);
	(void) WriteChanges(&open, OPEN, &audience, 3, more_types, more);
	*episodes += SpiInt64(0, 1, 0);
	*controls += SpiInt64(0, 2, 0);
	SPI_freetuptable(SPI_tuptable);
}

/*
 * Open the episodes of an audience, which is looked for once and taken in
 * portions. The statement's parameters are as_of, day and one more.
 */
static void
OpenEpisodes(const char *audience_sql, TimestampTz as_of, DateADT day, Oid type, Datum value, int64 run_id,
			 int64 *episodes, int64 *controls)
{
	Oid			types[] = {TIMESTAMPTZOID, DATEOID, type};
	Datum		values[] = {TimestampTzGetDatum(as_of), DateADTGetDatum(day), value};
	MemoryContext portion = AllocSetContextCreate(CurrentMemoryContext, "custseg audience", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old;
	int			level = PlanByIndexBegin();
	Portal		cursor;

	*episodes = *controls = 0;
	DrawSalt();
	cursor = SPI_cursor_open_with_args(NULL, audience_sql, lengthof(types), types, values, NULL, false,
									   CURSOR_OPT_NO_SCROLL);
	old = MemoryContextSwitchTo(portion);
	for (bool more = true; more;)
	{
		SPITupleTable *found;

		SPI_cursor_fetch(cursor, true, custseg_batch_size);
		MemoryContextSwitchTo(portion);
		found = SPI_tuptable;
		more = SPI_processed > 0;
		if (more)
			OpenPortion(types, values, run_id, episodes, controls);
		SPI_freetuptable(found);
		MemoryContextReset(portion);
	}
	MemoryContextSwitchTo(old);
	SPI_cursor_close(cursor);
	PlanByIndexEnd(level);
	MemoryContextDelete(portion);
}

const char *
BacklogAudience(void)
{
	return AUDIENCE(SILENT_BEFORE, "b.playbook = $3");
}

void
OpenBacklog(const char *playbook, TimestampTz as_of, DateADT day, int64 *episodes, int64 *controls)
{
	OpenEpisodes(BacklogAudience(), as_of, day, TEXTOID, CStringGetTextDatum(playbook), 0, episodes, controls);
}

/*
 * An order ends the silence. It is a conversion when it came on a later day
 * than eligibility, within the window; an order that became known late and
 * lies before leaves a customer who is still silent where he is.
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
	"   OR (s.lifecycle NOT IN ('silent', 'lost')" \
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
	"  AND NOT EXISTS (SELECT FROM custseg.profile p WHERE p.customer_id = e.customer_id)"

#define CLOSE_GONE(which) \
	"UPDATE custseg.episode u SET reason = 'gone', closed_at = $1, state = 'withdrawn'" \
	" FROM (" GONE(which) " FOR NO KEY UPDATE OF e SKIP LOCKED) o" \
	" WHERE u.episode_id = o.episode_id"

bool
CloseOrdered(TimestampTz as_of, DateADT day, ArrayType *customers)
{
	Oid			types[] = {TIMESTAMPTZOID, DATEOID, INT8ARRAYOID};
	Datum		values[] = {TimestampTzGetDatum(as_of), DateADTGetDatum(day), PointerGetDatum(customers)};
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

#define WITHDRAW(which) \
	"UPDATE custseg.task u SET outcome = o.reason, closed_at = $1," \
	" state = CASE o.reason WHEN 'expired' THEN 'expired' ELSE 'withdrawn' END," \
	" lease_until = NULL, wake_at = NULL," \
	" slot = CASE WHEN u.token IS NOT NULL OR u.attempts > 0 THEN u.slot END" \
	" FROM (SELECT t.task_id," \
	"   CASE e.state WHEN 'expired' THEN 'expired' ELSE coalesce(e.reason, e.state) END AS reason" \
	"  FROM custseg.task t JOIN custseg.episode e USING (episode_id)" \
	"  WHERE (t.state = 'open' OR (t.state = 'claimed' AND t.lease_until <= $1))" \
	"  AND e.state NOT IN " EPISODE_OPEN which \
	"  FOR UPDATE OF t SKIP LOCKED) o" \
	" WHERE u.task_id = o.task_id"

void
WithdrawTasks(TimestampTz as_of, ArrayType *customers)
{
	Oid			types[] = {TIMESTAMPTZOID, INT8ARRAYOID};
	Datum		values[] = {TimestampTzGetDatum(as_of), PointerGetDatum(customers)};

	SpiRun(WITHDRAW(OF_CUSTOMERS("$2")), 2, types, values, customers ? NULL : " n");
}

#define LEFT_SILENCE \
	" AND e.customer_id IN (SELECT m.customer_id FROM custseg.transition m" \
	"  WHERE m.transition_id > $3 AND m.label = 'lifecycle'" \
	"  AND (m.from_value IN ('silent', 'lost') OR m.to_value IS NULL))"

int64
RecallFollow(int64 run_id, TimestampTz as_of, DateADT day, int64 after_transition)
{
	Oid			types[] = {TIMESTAMPTZOID, DATEOID, INT8OID, INT8OID};
	Datum		values[] = {TimestampTzGetDatum(as_of), DateADTGetDatum(day),
		Int64GetDatum(after_transition), Int64GetDatum(run_id)};
	int64		opens,
				closes,
				by_data,
				left_out = 0;

	/* Most batches have nothing for us: one look at the batch's own rows. */
	SpiRun("SELECT count(*) FILTER (WHERE to_value = 'silent' AND cause IN ('data', 'time')),"
		   " count(*) FILTER (WHERE from_value IN ('silent', 'lost') OR to_value IS NULL),"
		   " count(*) FILTER (WHERE to_value = 'silent' AND cause = 'data')"
		   " FROM custseg.transition WHERE transition_id > $1 AND label = 'lifecycle'",
		   1, &types[2], &values[2], NULL);
	opens = SpiInt64(0, 1, 0);
	closes = SpiInt64(0, 2, 0);
	by_data = SpiInt64(0, 3, 0);

	/*
	 * The lock comes first: whoever is just enabling a playbook either sees
	 * what this batch wrote, or is seen here.
	 */
	if (opens > 0)
	{
		RecallLock();
		opens = SpiRun("SELECT FROM custseg.playbook_choice WHERE enabled LIMIT 1", 0, NULL, NULL, NULL);
	}
	/* Before opening, because who has an open episode gets no other. */
	if (closes > 0)
	{
		SpiRun(CLOSE(LEFT_SILENCE), 3, types, values, NULL);
		SpiRun(CLOSE_GONE(LEFT_SILENCE), 3, types, values, NULL);
		SpiRun(WITHDRAW(LEFT_SILENCE), 3, types, values, NULL);
	}
	if (opens > 0 && by_data > 0)
	{
		SpiRun("SELECT count(DISTINCT a.customer_id) FROM (" AUDIENCE(FRESHLY_SILENT, "b.enabled AND " OLD_NEWS) ") a"
			   " WHERE $1 IS NOT NULL", 3, types, values, NULL);
		left_out = SpiInt64(0, 1, 0);
	}
	if (opens > 0)
		OpenEpisodes(AUDIENCE(FRESHLY_SILENT, "b.enabled AND NOT " OLD_NEWS), as_of, day, INT8OID, values[2], run_id,
					 &opens, &closes);
	return left_out;
}

Datum
custseg_recall_follow(PG_FUNCTION_ARGS)
{
	int64		run_id = PG_GETARG_INT64(0);
	TimestampTz as_of = PG_GETARG_TIMESTAMPTZ(1);
	int64		after_transition = PG_GETARG_INT64(2);
	Guard		guard;

	SPI_connect();
	GuardEnter(&guard, ExtensionOwner());
	(void) RecallFollow(run_id, as_of, ShopDay(as_of, ReadShopSettings()->time_zone), after_transition);
	GuardLeave(&guard);
	SPI_finish();
	PG_RETURN_VOID();
}
