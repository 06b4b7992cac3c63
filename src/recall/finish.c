/*
 * finish.c
 *		Bringing tasks back: complete, fail, extend, release.
 *
 * The token of a claim is a fence. While it is the last one given out for the
 * task, its holder may report, even after the lease has run out or the task
 * was withdrawn: the call was made, and what the customer said must not be
 * lost. Once somebody else has claimed the task, or it was given back, the
 * token is stale, and an error of its own says who has the task now.
 *
 * The task is locked before its episode, in every function, since a sender may
 * claim and report in one transaction, and claim() locks tasks alone.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "common/guard.h"
#include "common/spi.h"
#include "recall/handle.h"
#include "recall/input.h"
#include "recall/suppress.h"

PG_FUNCTION_INFO_V1(custseg_release);

#define ERRCODE_STALE_TOKEN MAKE_SQLSTATE('S', 'C', '0', '0', '1')
#define ERRCODE_MUST_NOT_CONTACT MAKE_SQLSTATE('S', 'C', '0', '0', '2')

typedef struct Held
{
	int64		task_id;
	int64		episode_id;
	int64		customer_id;
	bool		episode_is_open;
	char	   *state;
	char	   *outcome;
	char	   *channel;
	int			attempts;
	int			max_attempts;
	int64		handle;
} Held;

static bool
Is(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

static void
StaleToken(const Held *held, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_STALE_TOKEN),
			 errmsg("the token does not hold task %lld any more", (long long) held->task_id),
			 errdetail_internal("%s", detail),
			 errhint("Nothing was changed. Claim another task.")));
}

/* Who claimed a task may report on it, and whoever may act for him. */
static void
CheckRole(int64 task_id, const char *claimed_role, Oid caller)
{
	Oid			role = claimed_role ? get_role_oid(claimed_role, true) : InvalidOid;

	if (!superuser_arg(caller) && !(OidIsValid(role) && has_privs_of_role(caller, role)))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("role \"%s\" did not claim task %lld", GetUserNameFromId(caller, false), (long long) task_id),
				 errdetail("A task is brought back by the role that claimed it, or a member of that role.")));
}

/* Lock the task and its episode; an error unless the token is the last one. */
static Held
Hold(int64 task_id, const pg_uuid_t *token, Oid caller)
{
	static SPIPlanPtr lock_episode = NULL;
	static SPIPlanPtr lock_task = NULL;
	Oid			types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(task_id)};
	Held		held = {task_id};
	char	   *worker;
	char	   *until;
	Datum		last;
	bool		unclaimed;

	SpiRunPlan(SpiKeep(&lock_task,
					   "SELECT t.state, t.token, t.claimed_by, t.lease_until::text, t.outcome, t.attempts, t.customer_id,"
					   " t.episode_id, t.channel, t.max_attempts, t.handle, t.claimed_role FROM custseg.task t WHERE t.task_id = $1 FOR NO KEY UPDATE", 1, types), values, NULL);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("task %lld does not exist", (long long) task_id),
				 errhint("Pass a task_id that custseg.claim() returned.")));
	held.state = SpiText(0, 1);
	held.outcome = SpiText(0, 5);
	held.attempts = (int) SpiInt64(0, 6, 0);
	held.customer_id = SpiInt64(0, 7, 0);
	held.episode_id = SpiInt64(0, 8, 0);
	worker = SpiText(0, 3);
	until = SpiText(0, 4);

	held.channel = SpiText(0, 9);
	held.max_attempts = (int) SpiInt64(0, 10, 1);
	held.handle = SpiInt64(0, 11, NO_HANDLE);

	last = SpiField(0, 2, &unclaimed);
	if (!unclaimed && memcmp(DatumGetUUIDP(last), token, sizeof(pg_uuid_t)) == 0)
	{
		CheckRole(task_id, SpiText(0, 12), caller);
		values[0] = Int64GetDatum(held.episode_id);
		SpiRunPlan(SpiKeep(&lock_episode,
						   "SELECT e.state IN ('waiting', 'contacting', 'unreachable')"
						   " FROM custseg.episode e WHERE e.episode_id = $1 FOR NO KEY UPDATE", 1, types), values, NULL);
		held.episode_is_open = SPI_processed > 0 && SpiInt64(0, 1, 0) != 0;
		return held;
	}
	if (Is(held.state, "claimed"))
		StaleToken(&held, psprintf("It is held by \"%s\" until %s.", worker, until));
	if (Is(held.state, "open") && worker != NULL)
		StaleToken(&held, psprintf("It waits to be claimed again, after \"%s\" had it.", worker));
	if (Is(held.state, "open"))
		StaleToken(&held, "It waits to be claimed.");
	StaleToken(&held, psprintf("It is %s%s%s%s%s.", held.state,
							   held.outcome ? " with outcome " : "", held.outcome ? held.outcome : "",
							   worker ? " by " : "", worker ? quote_identifier(worker) : ""));
	return held;				/* not reached */
}

/* For what only makes sense while the task is still to be done. */
static void
RequireOpen(const Held *held)
{
	if (!Is(held->state, "claimed") && !Is(held->state, "open"))
		StaleToken(held, psprintf("It is %s%s%s.", held->state,
								  held->outcome ? ": " : "", held->outcome ? held->outcome : ""));
}

static void
EndEpisode(const Held *held, const char *state, const char *reason, TimestampTz as_of)
{
	static SPIPlanPtr kept = NULL;
	Oid			types[] = {INT8OID, TEXTOID, TEXTOID, TIMESTAMPTZOID};
	Datum		values[] = {Int64GetDatum(held->episode_id), CStringGetTextDatum(state),
	CStringGetTextDatum(reason), TimestampTzGetDatum(as_of)};

	if (held->episode_is_open)
		SpiRunPlan(SpiKeep(&kept, "UPDATE custseg.episode SET state = $2, reason = $3, closed_at = $4"
						   " WHERE episode_id = $1", 4, types), values, NULL);
}

/*
 * The contact was made though the task had ended in the meantime: whatever was
 * planned in its place is not needed.
 */
static void
ContactedAfterAll(const Held *held, TimestampTz as_of)
{
	Oid			types[] = {INT8OID, TIMESTAMPTZOID};
	Datum		values[] = {Int64GetDatum(held->episode_id), TimestampTzGetDatum(as_of)};

	SpiRun("UPDATE custseg.task u SET state = 'withdrawn', outcome = 'contacted', closed_at = $2, wake_at = NULL,"
		   " slot = CASE WHEN u.token IS NOT NULL OR u.attempts > 0 THEN u.slot END"
		   " FROM (SELECT t.task_id FROM custseg.task t WHERE t.episode_id = $1 AND t.state = 'open'"
		   "  FOR NO KEY UPDATE SKIP LOCKED) o"
		   " WHERE u.task_id = o.task_id", 2, types, values, NULL);
	if (held->episode_is_open)
		SpiRun("UPDATE custseg.episode SET state = 'contacting', reason = NULL, look_again_on = NULL"
			   " WHERE episode_id = $1 AND $2 IS NOT NULL", 2, types, values, NULL);
}

static void
CheckOutcome(const char *outcome)
{
	static const char *const known[] = {"reached", "message_left", "no_answer", "declined",
	"wrong_contact", "opted_out", "ordered"};

	for (int i = 0; i < lengthof(known); i++)
		if (Is(outcome, known[i]))
			return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"%s\" is not an outcome of a task", outcome),
			 errhint("There are reached, message_left, no_answer, declined, wrong_contact, opted_out and ordered.")));
}

static Datum
CompleteCall(FunctionCallInfo fcinfo, int first, TimestampTz as_of)
{
	static SPIPlanPtr kept = NULL;
	int64		task_id = ArgInt64(fcinfo, first, "task_id");
	pg_uuid_t  *token = ArgUuid(fcinfo, first + 1, "token");
	char	   *outcome = ArgText(fcinfo, first + 2, "outcome");
	char	   *note = PG_ARGISNULL(first + 3) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(first + 3));
	Oid			caller = GetUserId();
	Oid			types[] = {INT8OID, TEXTOID, TEXTOID, TIMESTAMPTZOID};
	Datum		values[] = {Int64GetDatum(task_id), CStringGetTextDatum(outcome),
	note ? CStringGetTextDatum(note) : (Datum) 0, TimestampTzGetDatum(as_of)};
	bool		fresh = true;
	Held		held;
	Guard		guard;

	CheckOutcome(outcome);
	SPI_connect();
	GuardEnter(&guard, ExtensionOwner());
	held = Hold(task_id, token, caller);
	if (Is(held.state, "done"))
	{
		if (!Is(held.outcome, outcome))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("task %lld was completed with outcome \"%s\" already",
							(long long) task_id, held.outcome)));
		fresh = false;
	}
	else
	{
		if (Is(held.state, "withdrawn") || Is(held.state, "expired"))
			ContactedAfterAll(&held, as_of);
		SpiRunPlan(SpiKeep(&kept,
						   "UPDATE custseg.task t SET state = 'done', outcome = $2, note = $3, closed_at = $4,"
						   " lease_until = NULL, wake_at = NULL,"
						   " cost = t.cost + coalesce((SELECT c.cost FROM custseg.channel c WHERE c.channel = t.channel), 0)"
						   " WHERE t.task_id = $1", 4, types), values, note ? NULL : "  n ");
		if (Is(outcome, "declined") || Is(outcome, "wrong_contact"))
			EndEpisode(&held, "exhausted", outcome, as_of);
		else if (Is(outcome, "opted_out"))
		{
			Suppression suppression = {held.customer_id, NULL, true, 0, "opted_out", caller, held.handle};

			(void) Suppress(&suppression, as_of);
			EndEpisode(&held, "withdrawn", "opted_out", as_of);
		}
	}
	GuardLeave(&guard);
	SPI_finish();
	PG_RETURN_BOOL(fresh);
}

static Datum
FailCall(FunctionCallInfo fcinfo, int first, TimestampTz as_of)
{
	static SPIPlanPtr kept = NULL;
	int64		task_id = ArgInt64(fcinfo, first, "task_id");
	pg_uuid_t  *token = ArgUuid(fcinfo, first + 1, "token");
	char	   *reason = ArgText(fcinfo, first + 2, "reason");
	Interval   *retry_after = ArgSpan(fcinfo, first + 3, "retry_after", "1 second", "366 days");
	Oid			caller = GetUserId();
	Oid			types[] = {INT8OID, TEXTOID, TIMESTAMPTZOID, BOOLOID, INTERVALOID};
	Datum		values[] = {Int64GetDatum(task_id), CStringGetTextDatum(reason),
		TimestampTzGetDatum(as_of), (Datum) 0,
	retry_after ? IntervalPGetDatum(retry_after) : (Datum) 0};
	char		nulls[] = "     ";
	bool		again = false;
	char	   *because = NULL;
	Datum		due_at = (Datum) 0;
	Held		held;
	Guard		guard;

	SPI_connect();
	GuardEnter(&guard, ExtensionOwner());
	held = Hold(task_id, token, caller);
	if (Is(held.state, "done"))
		RequireOpen(&held);
	if (!Is(held.state, "failed"))
	{
		bool		isnull;

		again = (Is(held.state, "claimed") || Is(held.state, "open")) &&
			held.episode_is_open && held.attempts + 1 < held.max_attempts;
		if (again && (because = SuppressedBecause(held.customer_id, held.handle, held.channel, as_of)) != NULL)
		{
			again = false;
			ereport(NOTICE,
					(errmsg("customer %lld must not be contacted any more (%s); task %lld is not tried again",
							(long long) held.customer_id, because, (long long) task_id)));
		}

		values[3] = BoolGetDatum(again);
		if (retry_after == NULL)
			nulls[4] = 'n';
		SpiRunPlan(SpiKeep(&kept,
						   "UPDATE custseg.task t SET state = CASE WHEN $4 THEN 'open' ELSE 'failed' END,"
						   " outcome = $2, attempts = t.attempts + 1, lease_until = NULL,"
						   " due_at = CASE WHEN $4 THEN b.due_at ELSE t.due_at END,"
						   " wake_at = CASE WHEN $4 THEN b.due_at END,"
						   " expires_at = CASE WHEN $4 THEN b.due_at + b.valid ELSE t.expires_at END,"
						   " token = CASE WHEN NOT $4 THEN t.token END,"
						   " closed_at = CASE WHEN NOT $4 THEN $3 END,"
						   " cost = t.cost + coalesce((SELECT c.cost FROM custseg.channel c WHERE c.channel = t.channel), 0)"
						   " FROM (SELECT o.task_id,"
						   "   $3 + coalesce($5, pg_catalog.make_interval(days => p.retry_days)) AS due_at,"
						   "   pg_catalog.make_interval(days => p.task_days) AS valid"
						   "  FROM custseg.task o LEFT JOIN custseg.playbook p USING (playbook)"
						   "  WHERE o.task_id = $1) b"
						   " WHERE t.task_id = $1 AND b.task_id = t.task_id RETURNING t.due_at",
						   5, types), values, nulls);
		due_at = TimestampTzGetDatum(DatumGetTimestampTz(SpiField(0, 1, &isnull)));
		if (!again && (Is(held.state, "claimed") || Is(held.state, "open")))
			EndEpisode(&held, because ? "withdrawn" : "exhausted", because ? "suppressed" : "failed", as_of);
	}
	GuardLeave(&guard);
	SPI_finish();
	if (!again)
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(DatumGetTimestampTz(due_at));
}

static Datum
ExtendCall(FunctionCallInfo fcinfo, int first, TimestampTz as_of)
{
	static SPIPlanPtr kept = NULL;
	int64		task_id = ArgInt64(fcinfo, first, "task_id");
	pg_uuid_t  *token = ArgUuid(fcinfo, first + 1, "token");
	Interval   *lease = ArgSpan(fcinfo, first + 2, "lease", "1 second", "30 days");
	Oid			caller = GetUserId();
	Oid			types[] = {INT8OID, TIMESTAMPTZOID, INTERVALOID};
	Datum		values[] = {Int64GetDatum(task_id), TimestampTzGetDatum(as_of),
	lease ? IntervalPGetDatum(lease) : (Datum) 0};
	TimestampTz until;
	char	   *because;
	bool		isnull;
	Held		held;
	Guard		guard;

	SPI_connect();
	GuardEnter(&guard, ExtensionOwner());
	held = Hold(task_id, token, caller);
	RequireOpen(&held);
	because = SuppressedBecause(held.customer_id, held.handle, held.channel, as_of);
	if (because != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_MUST_NOT_CONTACT),
				 errmsg("customer %lld must not be contacted any more: %s", (long long) held.customer_id, because),
				 errhint("Do not contact the customer, and bring the task back with release(), or complete() if it was done.")));
	SpiRunPlan(SpiKeep(&kept,
					   "UPDATE custseg.task t SET state = 'claimed', lease_until = o.until, wake_at = o.until"
					   " FROM (SELECT k.task_id, $2 + coalesce($3, c.lease, interval '30 minutes') AS until"
					   "  FROM custseg.task k LEFT JOIN custseg.channel c USING (channel) WHERE k.task_id = $1) o"
					   " WHERE t.task_id = $1 AND o.task_id = t.task_id RETURNING t.lease_until",
					   3, types), values, lease ? NULL : "  n");
	until = DatumGetTimestampTz(SpiField(0, 1, &isnull));
	GuardLeave(&guard);
	SPI_finish();
	PG_RETURN_TIMESTAMPTZ(until);
}

Datum
custseg_release(PG_FUNCTION_ARGS)
{
	static SPIPlanPtr kept = NULL;
	int64		task_id = ArgInt64(fcinfo, 0, "task_id");
	pg_uuid_t  *token = ArgUuid(fcinfo, 1, "token");
	Oid			caller = GetUserId();
	Oid			types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(task_id)};
	Held		held;
	Guard		guard;

	SPI_connect();
	GuardEnter(&guard, ExtensionOwner());
	held = Hold(task_id, token, caller);
	RequireOpen(&held);
	SpiRunPlan(SpiKeep(&kept, "UPDATE custseg.task SET state = 'open', token = NULL, claimed_by = NULL, claimed_role = NULL,"
					   " claimed_at = NULL, lease_until = NULL, wake_at = NULL WHERE task_id = $1",
					   1, types), values, NULL);
	GuardLeave(&guard);
	SPI_finish();
	PG_RETURN_VOID();
}

CLOCK_AND_REPLAY(complete, CompleteCall)
CLOCK_AND_REPLAY(fail, FailCall)
CLOCK_AND_REPLAY(extend, ExtendCall)
