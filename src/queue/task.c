/*
 * task.c
 *		Everything that happens to a task: no other file writes custseg.task.
 *
 *      (planned)
 *          │
 *          ▼    claim               complete
 *        open ─────────▶ claimed ─────────────▶ done
 *        │  ▲              │ │
 *        │  └──────────────┘ │ fail, lease over:
 *        │    release,       │ tries are used up
 *        │    fail, lease    ▼
 *        │    over:        failed
 *        │    another try
 *        ├─────▶ expired     its time is over, or that of its episode
 *        └─────▶ withdrawn   the customer ordered, is gone, must not be contacted, ...
 *
 * A claimed task whose lease is over is as good as an open one, whatever becomes
 * of it. Who held it last may report late, as long as nobody else has claimed
 * it: extend() claims an open one again, complete() makes it done, and fail()
 * lets it be tried again or makes it failed. complete() does that even with one
 * that was withdrawn, has expired or has failed, and fail() with one that was
 * withdrawn or has expired. test/t/050_queue_states.pl has all of it.
 *
 * Its slot is a place in a day's capacity (slots.c). What is withdrawn gives its
 * slot back, unless somebody had the task: then the capacity was used.
 *
 * What is done to many takes rows FOR UPDATE SKIP LOCKED: what a worker holds in
 * an open transaction is left to claim() or the next refresh. The plans that
 * claim() uses are kept, and are made under its settings (claim.c).
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "common/ids.h"
#include "common/spi.h"
#include "playbook/audience.h"
#include "playbook/channel.h"
#include "playbook/playbook.h"
#include "queue/task.h"
#include "recall/episode.h"

/* Not a condition of any partial index: tasks found by their number need none of those. */
#define STILL_OPEN "state || '' = 'open' AND wake_at IS NULL"

/*
 * The slot of a task that ends without a contact, and its tries: a lease that is
 * over is one. So each hand-out that was not released or completed counts once,
 * when its task leaves "claimed".
 */
#define SLOT_KEPT \
	" slot = CASE WHEN u.token IS NOT NULL OR u.attempts > 0 THEN u.slot END," \
	" attempts = u.attempts + (u.state = 'claimed')::integer"

/* A task t that nobody holds. */
#define NOBODY_HOLDS(now) "(t.state = 'open' OR (t.state = 'claimed' AND t.lease_until <= " now "))"

/*
 * Whatever happens to a claimed task whose lease has run out is the same: it was
 * a try, and after the tries allowed the task has failed. What is not claimed
 * wakes up.
 */
#define LEASE_OVER(now) \
	"attempts = attempts + (state = 'claimed')::integer," \
	" state = CASE WHEN state = 'claimed' AND attempts + 1 >= max_attempts THEN 'failed' ELSE 'open' END," \
	" outcome = CASE state WHEN 'claimed' THEN 'lease_expired' ELSE outcome END," \
	" closed_at = CASE WHEN state = 'claimed' AND attempts + 1 >= max_attempts THEN " now " END," \
	" lease_until = NULL, wake_at = NULL"

void
TasksPlanBegin(Changes *tasks)
{
	static const Oid types[] = {INT8OID, INT8OID, TEXTOID, FLOAT8OID, INT4OID, INT4OID, INT4OID, TEXTOID, TEXTOID,
	INT4OID, UUIDOID};

	StaticAssertStmt(lengthof(types) == PLAN_COLUMNS, "one type a column");
	memset(tasks, 0, sizeof(*tasks));
	tasks->ncolumns = PLAN_COLUMNS;
	for (int c = 0; c < PLAN_COLUMNS; c++)
		tasks->columns[c].type = types[c];
}

void
TasksPlan(const Changes *tasks, const char *channel, Datum lease, Datum cost, const Moment *now)
{
	static SPIPlanPtr kept = NULL;
	Oid			types[] = {TEXTOID, TIMESTAMPTZOID, INT8OID, DATEOID, INTERVALOID, NUMERICOID};
	Datum		values[] = {CStringGetTextDatum(channel), TimestampTzGetDatum(now->as_of), Int64GetDatum(now->run_id),
	DateADTGetDatum(now->day), lease, cost};

	(void) WriteChanges(&kept,
						"INSERT INTO custseg.task (episode_id, customer_id, playbook, channel, state, priority,"
						" planned_at, planned_run, due_at, expires_at, reason, message, slot_day, slot, max_attempts, handle,"
						" task_days, retry_days, lease, contact_cost, attempts)"
						" SELECT u.episode_id, u.customer_id, u.playbook, $12, 'open', u.priority,"
						" $13, nullif($14, 0), $13, $13 + pg_catalog.make_interval(days => u.task_days),"
						" u.reason, u.message, $15, u.slot, u.max_attempts, u.handle,"
						" u.task_days, u.retry_days, $16, $17,"
						/* Those of an earlier task, which was withdrawn, count. */
						" coalesce((SELECT t.attempts FROM custseg.task t WHERE t.episode_id = u.episode_id"
						"  ORDER BY t.task_id DESC LIMIT 1), 0)"
						" FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
						" u (episode_id, customer_id, playbook, priority, task_days, retry_days, max_attempts,"
						" reason, message, slot, handle)",
						tasks, lengthof(types), types, values);
}

void
TasksPlace(const int64 *ids, const int *slots, int n, DateADT day)
{
	Oid			types[] = {INT8ARRAYOID, DATEOID, INT4ARRAYOID};
	Datum		values[3];
	Datum	   *elements = palloc_extended(sizeof(Datum) * Max(n, 1), MCXT_ALLOC_HUGE);

	for (int i = 0; i < n; i++)
		elements[i] = Int32GetDatum(slots[i]);
	values[0] = IdArray(ids, n);
	values[1] = DateADTGetDatum(day);
	values[2] = PointerGetDatum(construct_array(elements, n, INT4OID, sizeof(int32), true, TYPALIGN_INT));
	SpiRun("UPDATE custseg.task u SET slot_day = $2, slot = p.slot FROM unnest($1, $3) p (task_id, slot)"
		   " WHERE u.task_id = p.task_id", 3, types, values, NULL);
}

uint64
TasksEndLeases(TimestampTz as_of)
{
	Oid			types[] = {TIMESTAMPTZOID};
	Datum		values[] = {TimestampTzGetDatum(as_of)};

	return SpiRun("UPDATE custseg.task SET " LEASE_OVER("$1")
				  " WHERE task_id = ANY (ARRAY(SELECT t.task_id FROM custseg.task t WHERE t.state = 'claimed' AND t.wake_at <= $1"
				  "  FOR UPDATE SKIP LOCKED))", 1, types, values, NULL);
}

void
TasksWake(const char *channel, TimestampTz as_of)
{
	static SPIPlanPtr kept = NULL;
	Oid			types[] = {TEXTOID, TIMESTAMPTZOID};
	Datum		values[] = {CStringGetTextDatum(channel), TimestampTzGetDatum(as_of)};

	SpiRunPlan(SpiKeep(&kept,
					   "UPDATE custseg.task SET " LEASE_OVER("$2")
					   " WHERE task_id = ANY (ARRAY(SELECT t.task_id FROM custseg.task t WHERE t.channel = $1 AND t.wake_at <= $2"
					   "  ORDER BY t.wake_at LIMIT 1000 FOR UPDATE SKIP LOCKED))", 2, types), values, NULL);
}

/* Tasks that nobody holds of episodes that are over, and why. */
#define CLOSED(which) \
	"SELECT t.task_id," \
	"   CASE e.state WHEN 'expired' THEN 'expired' ELSE coalesce(e.reason, e.state) END AS reason" \
	"  FROM custseg.task t JOIN custseg.episode e USING (episode_id)" \
	"  WHERE " NOBODY_HOLDS("$1") " AND e.state NOT IN " EPISODE_OPEN which

#define WITHDRAW_CLOSED(which) \
	"UPDATE custseg.task u SET outcome = o.reason, closed_at = $1," \
	" state = CASE o.reason WHEN 'expired' THEN 'expired' ELSE 'withdrawn' END," \
	" lease_until = NULL, wake_at = NULL," SLOT_KEPT \
	" FROM (" CLOSED(which) " FOR UPDATE OF t SKIP LOCKED) o" \
	" WHERE u.task_id = o.task_id"

bool
TasksWithdrawClosed(const Moment *now, ArrayType *customers)
{
	Oid			types[] = {TIMESTAMPTZOID, INT8ARRAYOID};
	Datum		values[] = {TimestampTzGetDatum(now->as_of), PointerGetDatum(customers)};
	const char *nulls = customers ? NULL : " n";
	uint64		n = SpiRun(CLOSED(OF_CUSTOMERS("$2")), 2, types, values, nulls);

	return n == 0 || SpiRun(WITHDRAW_CLOSED(OF_CUSTOMERS("$2")), 2, types, values, nulls) == n;
}

void
TasksWithdrawClosedAfter(const Moment *now, int64 after_transition)
{
	Oid			types[] = {TIMESTAMPTZOID, INT8OID};
	Datum		values[] = {TimestampTzGetDatum(now->as_of), Int64GetDatum(after_transition)};

	SpiRun(WITHDRAW_CLOSED(" AND e.customer_id IN (SELECT m.customer_id FROM custseg.transition m"
						   " WHERE m.transition_id > $2 AND m.label = " AUDIENCE_LABEL ")"), 2, types, values, NULL);
}

void
TasksEndSenseless(const Moment *now, ArrayType *customers)
{
	Oid			types[] = {TIMESTAMPTZOID, INT8ARRAYOID, TEXTARRAYOID, TEXTARRAYOID};
	Datum		values[] = {TimestampTzGetDatum(now->as_of), PointerGetDatum(customers), PlaybooksInUse(), ChannelsInUse()};

	SpiRun("UPDATE custseg.task u SET closed_at = $1, lease_until = NULL, wake_at = NULL, outcome = o.outcome,"
		   " state = CASE WHEN o.outcome = 'expired' THEN 'expired' ELSE 'withdrawn' END," SLOT_KEPT
		   " FROM (SELECT t.task_id,"
		   "   CASE " AUDIENCE_LEFT_WHY
		   "        WHEN t.playbook <> ALL ($3) THEN 'disabled'"
		   "        WHEN t.channel <> ALL ($4) THEN 'channel_off'"
		   "        ELSE 'expired' END AS outcome"
		   "  FROM custseg.task t"
		   "  LEFT JOIN custseg.standing s USING (customer_id)"
		   "  WHERE " NOBODY_HOLDS("$1")
		   "  AND (t.expires_at <= $1 OR " AUDIENCE_LEFT " OR t.playbook <> ALL ($3) OR t.channel <> ALL ($4))"
		   "  AND ($2 IS NULL OR t.episode_id = ANY (ARRAY(SELECT e.episode_id FROM custseg.episode e"
		   "   WHERE e.customer_id = ANY ($2))))"
		   "  FOR UPDATE OF t SKIP LOCKED) o"
		   " WHERE u.task_id = o.task_id", 4, types, values, customers ? NULL : " n  ");
}

/*
 * Of an account that is one person with others the task is the person's, who has
 * one at a time. One that a worker has stays with the account where the person
 * has another, until it is brought back.
 */
#define OF_ANOTHER \
	"SELECT t.task_id, t.state, e.customer_id FROM custseg.task t JOIN custseg.episode e USING (episode_id)" \
	"  WHERE t.state IN ('open', 'claimed') AND e.customer_id <> t.customer_id" OF_CUSTOMERS("$2")

#define WITHDRAW_MERGED(which) \
	"UPDATE custseg.task u SET state = 'withdrawn', outcome = 'merged', closed_at = $1, lease_until = NULL, wake_at = NULL," SLOT_KEPT \
	" FROM (SELECT t.task_id FROM custseg.task t WHERE " NOBODY_HOLDS("$1") " AND t.task_id IN (" which ") FOR UPDATE SKIP LOCKED) o" \
	" WHERE u.task_id = o.task_id"

void
TasksMerge(const Moment *now, ArrayType *customers)
{
	Oid			types[] = {TIMESTAMPTZOID, INT8ARRAYOID};
	Datum		values[] = {TimestampTzGetDatum(now->as_of), PointerGetDatum(customers)};
	const char *nulls = customers ? NULL : " n";

	(void) TasksWithdrawClosed(now, customers);
	SpiRun(WITHDRAW_MERGED("SELECT c.task_id FROM custseg.episode e JOIN custseg.task c USING (episode_id)"
						   " WHERE e.state = 'watching' AND e.mixed" OF_CUSTOMERS("$2")), 2, types, values, nulls);
	SpiRun("UPDATE custseg.task u SET customer_id = o.customer_id"
		   " FROM (SELECT DISTINCT ON (n.customer_id) n.task_id, n.customer_id FROM (" OF_ANOTHER ") n"
		   "  WHERE (SELECT true FROM custseg.task h WHERE h.customer_id = n.customer_id"
		   "   AND h.state IN ('open', 'claimed') LIMIT 1) IS NULL"
		   "  ORDER BY n.customer_id, n.state, n.task_id) o"
		   " WHERE u.task_id = o.task_id AND $1 IS NOT NULL AND u.task_id IN (SELECT l.task_id FROM custseg.task l"
		   "  WHERE l.task_id IN (SELECT w.task_id FROM (" OF_ANOTHER ") w) FOR UPDATE SKIP LOCKED)", 2, types, values, nulls);
	SpiRun(WITHDRAW_MERGED("SELECT n.task_id FROM (" OF_ANOTHER ") n"), 2, types, values, nulls);
}

int64 *
TasksWithdrawPlaybook(const char *playbook, TimestampTz as_of, int *n)
{
	Oid			types[] = {TEXTOID, TIMESTAMPTZOID};
	Datum		values[] = {CStringGetTextDatum(playbook), TimestampTzGetDatum(as_of)};
	int64	   *episodes;

	*n = (int) SpiRun("UPDATE custseg.task u SET state = 'withdrawn', outcome = 'disabled', closed_at = $2,"
					  " lease_until = NULL, wake_at = NULL," SLOT_KEPT
					  " FROM (SELECT t.task_id FROM custseg.task t"
					  "  WHERE t.playbook = $1 AND " NOBODY_HOLDS("$2")
					  "  FOR UPDATE SKIP LOCKED) o"
					  " WHERE u.task_id = o.task_id RETURNING u.episode_id", 2, types, values, NULL);
	episodes = palloc_extended(sizeof(int64) * Max(*n, 1), MCXT_ALLOC_HUGE);
	for (int i = 0; i < *n; i++)
		episodes[i] = SpiInt64(i, 1, 0);
	SPI_freetuptable(SPI_tuptable);
	return episodes;
}

void
TasksWithdrawContacted(int64 episode_id, TimestampTz as_of)
{
	Oid			types[] = {INT8OID, TIMESTAMPTZOID};
	Datum		values[] = {Int64GetDatum(episode_id), TimestampTzGetDatum(as_of)};

	SpiRun("UPDATE custseg.task u SET state = 'withdrawn', outcome = 'contacted', closed_at = $2, wake_at = NULL," SLOT_KEPT
		   " FROM (SELECT t.task_id FROM custseg.task t WHERE t.episode_id = $1 AND t.state = 'open'"
		   "  FOR NO KEY UPDATE SKIP LOCKED) o"
		   " WHERE u.task_id = o.task_id", 2, types, values, NULL);
}

void
TaskDrop(int64 task_id, const char *outcome, TimestampTz as_of)
{
	static SPIPlanPtr kept = NULL;
	Oid			types[] = {INT8OID, TEXTOID, TIMESTAMPTZOID};
	Datum		values[] = {Int64GetDatum(task_id), CStringGetTextDatum(outcome), TimestampTzGetDatum(as_of)};

	SpiRunPlan(SpiKeep(&kept,
					   "UPDATE custseg.task u SET outcome = $2, closed_at = $3,"
					   " state = CASE $2 WHEN 'expired' THEN 'expired' ELSE 'withdrawn' END," SLOT_KEPT
					   " WHERE task_id = $1", 3, types), values, NULL);
}

void
TaskPutOffToTomorrow(int64 task_id, TimestampTz as_of)
{
	static SPIPlanPtr kept = NULL;
	Oid			types[] = {INT8OID, TIMESTAMPTZOID};
	Datum		values[] = {Int64GetDatum(task_id), TimestampTzGetDatum(as_of)};

	SpiRunPlan(SpiKeep(&kept,
					   "UPDATE custseg.task SET wake_at = (custseg.day_of($2, z.time_zone) + 1)::timestamp AT TIME ZONE z.time_zone"
					   " FROM custseg.settings z WHERE task_id = $1", 2, types), values, NULL);
}

void
TaskNoteHandle(int64 task_id, const Handle *handle)
{
	static SPIPlanPtr kept = NULL;
	Oid			types[] = {INT8OID, UUIDOID};
	Datum		values[] = {Int64GetDatum(task_id), UUIDPGetDatum(handle)};

	SpiRunPlan(SpiKeep(&kept, "UPDATE custseg.task SET handle = $2 WHERE task_id = $1", 2, types), values,
			   IsHandle(handle) ? NULL : " n");
}

void
TasksPutOff(Datum ids, TimestampTz as_of)
{
	static SPIPlanPtr kept = NULL;
	Oid			types[] = {INT8ARRAYOID, TIMESTAMPTZOID};
	Datum		values[] = {ids, TimestampTzGetDatum(as_of)};

	SpiRunPlan(SpiKeep(&kept,
					   "UPDATE custseg.task SET wake_at = $2 + interval '1 minute'"
					   " WHERE task_id = ANY (ARRAY(SELECT t.task_id FROM custseg.task t WHERE t.task_id = ANY ($1)"
					   "  AND t." STILL_OPEN " FOR UPDATE SKIP LOCKED))", 2, types), values, NULL);
}

void
TasksTake(Datum ids, TimestampTz as_of, const char *worker, const char *role, Datum lease)
{
	static SPIPlanPtr kept = NULL;
	Oid			types[] = {INT8ARRAYOID, TIMESTAMPTZOID, TEXTOID, INTERVALOID, TEXTOID};
	Datum		values[] = {ids, TimestampTzGetDatum(as_of), CStringGetTextDatum(worker), lease, CStringGetTextDatum(role)};

	SpiRunPlan(SpiKeep(&kept,
					   "UPDATE custseg.task SET state = 'claimed', claimed_by = $3, claimed_role = $5, claimed_at = $2,"
					   " lease_until = $2 + $4, wake_at = $2 + $4,"
					   " token = pg_catalog.gen_random_uuid()"
					   " WHERE task_id = ANY ($1) AND " STILL_OPEN
					   " AND (SELECT e.state FROM custseg.episode e WHERE e.episode_id = task.episode_id) = 'contacting'"
					   " RETURNING task_id, token, lease_until",
					   5, types), values, NULL);
}

void
TaskDone(int64 task_id, const char *outcome, const char *note, TimestampTz as_of)
{
	static SPIPlanPtr kept = NULL;
	Oid			types[] = {INT8OID, TEXTOID, TEXTOID, TIMESTAMPTZOID};
	Datum		values[] = {Int64GetDatum(task_id), CStringGetTextDatum(outcome),
	note ? CStringGetTextDatum(note) : (Datum) 0, TimestampTzGetDatum(as_of)};

	SpiRunPlan(SpiKeep(&kept,
					   "UPDATE custseg.task t SET state = 'done', outcome = $2, note = $3, closed_at = $4,"
					   " lease_until = NULL, wake_at = NULL, cost = t.cost + t.contact_cost"
					   " WHERE t.task_id = $1", 4, types), values, note ? NULL : "  n ");
}

TimestampTz
TaskTryAgain(int64 task_id, const char *reason, const Interval *retry_after, TimestampTz as_of)
{
	static SPIPlanPtr kept = NULL;
	Oid			types[] = {INT8OID, TEXTOID, TIMESTAMPTZOID, INTERVALOID};
	Datum		values[] = {Int64GetDatum(task_id), CStringGetTextDatum(reason), TimestampTzGetDatum(as_of),
	PointerGetDatum(retry_after)};
	bool		isnull;

	SpiRunPlan(SpiKeep(&kept,
					   "UPDATE custseg.task t SET state = 'open', outcome = $2, attempts = t.attempts + (t.state = 'claimed')::integer,"
					   " lease_until = NULL, due_at = b.due_at, wake_at = b.due_at,"
					   " expires_at = b.due_at + pg_catalog.make_interval(days => t.task_days),"
					   " token = NULL, closed_at = NULL, cost = t.cost + t.contact_cost"
					   " FROM (SELECT o.task_id, $3 + coalesce($4, pg_catalog.make_interval(days => o.retry_days)) AS due_at"
					   "  FROM custseg.task o WHERE o.task_id = $1) b"
					   " WHERE t.task_id = $1 AND b.task_id = t.task_id RETURNING t.due_at",
					   4, types), values, retry_after ? NULL : "   n");
	return DatumGetTimestampTz(SpiField(0, 1, &isnull));
}

void
TaskFailed(int64 task_id, const char *reason, TimestampTz as_of)
{
	static SPIPlanPtr kept = NULL;
	Oid			types[] = {INT8OID, TEXTOID, TIMESTAMPTZOID};
	Datum		values[] = {Int64GetDatum(task_id), CStringGetTextDatum(reason), TimestampTzGetDatum(as_of)};

	SpiRunPlan(SpiKeep(&kept,
					   "UPDATE custseg.task t SET state = 'failed', outcome = $2, attempts = t.attempts + (t.state = 'claimed')::integer,"
					   " lease_until = NULL, wake_at = NULL, closed_at = $3, cost = t.cost + t.contact_cost"
					   " WHERE t.task_id = $1", 3, types), values, NULL);
}

TimestampTz
TaskExtend(int64 task_id, const Interval *lease, TimestampTz as_of)
{
	static SPIPlanPtr kept = NULL;
	Oid			types[] = {INT8OID, TIMESTAMPTZOID, INTERVALOID};
	Datum		values[] = {Int64GetDatum(task_id), TimestampTzGetDatum(as_of), PointerGetDatum(lease)};
	bool		isnull;

	SpiRunPlan(SpiKeep(&kept,
					   "UPDATE custseg.task t SET state = 'claimed', lease_until = $2 + coalesce($3, t.lease),"
					   /* It is the same hand-out, after all. */
					   " attempts = t.attempts - (t.state = 'open')::integer,"
					   " wake_at = $2 + coalesce($3, t.lease)"
					   " WHERE t.task_id = $1 RETURNING t.lease_until",
					   3, types), values, lease ? NULL : "  n");
	return DatumGetTimestampTz(SpiField(0, 1, &isnull));
}

void
TaskRelease(int64 task_id)
{
	static SPIPlanPtr kept = NULL;
	Oid			types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(task_id)};

	SpiRunPlan(SpiKeep(&kept, "UPDATE custseg.task SET state = 'open', token = NULL, claimed_by = NULL, claimed_role = NULL,"
					   " claimed_at = NULL, lease_until = NULL, wake_at = NULL WHERE task_id = $1",
					   1, types), values, NULL);
}

/* Words of people may say who it was. */
void
TasksForget(Datum customers)
{
	Oid			types[] = {INT8ARRAYOID};

	SpiRun("UPDATE custseg.task u SET customer_id = NULL, handle = NULL, reason = 'forgotten', message = '', note = NULL,"
		   " outcome = CASE WHEN u.state IN ('open', 'claimed') THEN 'forgotten'"
		   "  WHEN u.state = 'failed' AND u.outcome <> 'lease_expired' THEN 'failed' ELSE u.outcome END,"
		   " closed_at = coalesce(u.closed_at, pg_catalog.clock_timestamp()), lease_until = NULL, wake_at = NULL,"
		   " state = CASE WHEN u.state IN ('open', 'claimed') THEN 'withdrawn' ELSE u.state END," SLOT_KEPT
		   " WHERE u.customer_id = ANY ($1) OR u.episode_id IN"
		   " (SELECT e.episode_id FROM custseg.episode e WHERE e.customer_id = ANY ($1))", 1, types, &customers, NULL);
}
