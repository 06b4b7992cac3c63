/*
 * complete.c
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
#include "common/input.h"
#include "common/spi.h"
#include "person/handle.h"
#include "playbook/suppress.h"
#include "queue/task.h"
#include "recall/episode.h"

PG_FUNCTION_INFO_V1(custseg_release);

#define ERRCODE_STALE_TOKEN MAKE_SQLSTATE('S', 'C', '0', '0', '1')
#define ERRCODE_MUST_NOT_CONTACT MAKE_SQLSTATE('S', 'C', '0', '0', '2')

typedef struct Held
{
	int64		task_id;
	int64		episode_id;
	int64		customer_id;	/* 0: was forgotten */
	bool		episode_is_open;
	char	   *state;
	char	   *outcome;
	char	   *channel;
	int			attempts;
	int			max_attempts;
	Handle		handle;
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

/* Who claimed a task may report on it, and whoever may act for them. */
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
HoldTask(int64 task_id, const pg_uuid_t *token, Oid caller)
{
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
	held.handle = SpiHandle(0, 11);

	last = SpiField(0, 2, &unclaimed);
	if (!unclaimed && memcmp(DatumGetUUIDP(last), token, sizeof(pg_uuid_t)) == 0)
	{
		CheckRole(task_id, SpiText(0, 12), caller);
		held.episode_is_open = EpisodeLock(held.episode_id);
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
	if (held->customer_id == 0)
		ereport(ERROR,
				(errcode(ERRCODE_MUST_NOT_CONTACT),
				 errmsg("the customer of task %lld was forgotten", (long long) held->task_id),
				 errhint("Do not contact the customer. If the contact was made, complete() or fail() still counts it.")));
	if (!Is(held->state, "claimed") && !Is(held->state, "open"))
		StaleToken(held, psprintf("It is %s%s%s.", held->state,
								  held->outcome ? ": " : "", held->outcome ? held->outcome : ""));
}

static void
EndEpisode(const Held *held, const char *state, const char *reason, TimestampTz as_of)
{
	if (held->episode_is_open)
		EpisodeEnd(held->episode_id, state, reason, as_of);
}

/*
 * The contact was made though the task had ended in the meantime: whatever was
 * planned in its place is not needed.
 */
static void
ContactedAfterAll(const Held *held, TimestampTz as_of)
{
	TasksWithdrawContacted(held->episode_id, as_of);
	if (held->episode_is_open)
		EpisodeContacted(held->episode_id);
}

/* What somebody wrote about a customer who was forgotten is not kept. */
static char *
Kept(const Held *held, char *text, char *instead)
{
	if (held->customer_id != 0 || text == instead)
		return text;
	ereport(NOTICE,
			(errmsg("the customer of task %lld was forgotten: that it was done is counted, what was noted is not kept",
					(long long) held->task_id)));
	return instead;
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
	int64		task_id = ArgInt64(fcinfo, first, "task_id");
	pg_uuid_t  *token = ArgUuid(fcinfo, first + 1, "token");
	char	   *outcome = ArgText(fcinfo, first + 2, "outcome");
	char	   *note = PG_ARGISNULL(first + 3) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(first + 3));
	Oid			caller = GetUserId();
	bool		fresh = true;
	Held		held;
	Guard		guard;

	CheckOutcome(outcome);
	OwnerBegin(&guard);
	held = HoldTask(task_id, token, caller);
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
		TaskDone(task_id, outcome, Kept(&held, note, NULL), as_of);
		if (Is(outcome, "declined") || Is(outcome, "wrong_contact"))
			EndEpisode(&held, "exhausted", outcome, as_of);
		else if (Is(outcome, "opted_out") && held.customer_id != 0)
		{
			Suppression suppression = {held.customer_id, NULL, true, 0, "opted_out", caller, held.handle};

			(void) Suppress(&suppression, as_of);
			EndEpisode(&held, "withdrawn", "opted_out", as_of);
		}
	}
	OwnerEnd(&guard);
	PG_RETURN_BOOL(fresh);
}

static Datum
FailCall(FunctionCallInfo fcinfo, int first, TimestampTz as_of)
{
	int64		task_id = ArgInt64(fcinfo, first, "task_id");
	pg_uuid_t  *token = ArgUuid(fcinfo, first + 1, "token");
	char	   *reason = ArgText(fcinfo, first + 2, "reason");
	Interval   *retry_after = ArgSpan(fcinfo, first + 3, "retry_after", "1 second", "366 days");
	Oid			caller = GetUserId();
	bool		again = false;
	char	   *because = NULL;
	TimestampTz due_at = 0;
	Held		held;
	Guard		guard;

	OwnerBegin(&guard);
	held = HoldTask(task_id, token, caller);
	if (Is(held.state, "done"))
		RequireOpen(&held);
	if (!Is(held.state, "failed"))
	{
		bool		was_open = Is(held.state, "claimed") || Is(held.state, "open");

		again = was_open && held.episode_is_open &&
			held.attempts + (Is(held.state, "claimed") ? 1 : 0) < held.max_attempts;
		if (again && (because = SuppressedBecause(held.customer_id, &held.handle, held.channel, as_of)) != NULL)
		{
			again = false;
			ereport(NOTICE,
					(errmsg("customer %lld must not be contacted any more (%s); task %lld is not tried again",
							(long long) held.customer_id, because, (long long) task_id)));
		}
		if (again)
			due_at = TaskTryAgain(task_id, reason, retry_after, as_of);
		else
			TaskFailed(task_id, Kept(&held, reason, "failed"), as_of);
		if (!again && was_open)
			EndEpisode(&held, because ? "withdrawn" : "exhausted", because ? "suppressed" : "failed", as_of);
	}
	OwnerEnd(&guard);
	if (!again)
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(due_at);
}

static Datum
ExtendCall(FunctionCallInfo fcinfo, int first, TimestampTz as_of)
{
	int64		task_id = ArgInt64(fcinfo, first, "task_id");
	pg_uuid_t  *token = ArgUuid(fcinfo, first + 1, "token");
	Interval   *lease = ArgSpan(fcinfo, first + 2, "lease", "1 second", "30 days");
	Oid			caller = GetUserId();
	TimestampTz until;
	char	   *because;
	Held		held;
	Guard		guard;

	OwnerBegin(&guard);
	held = HoldTask(task_id, token, caller);
	RequireOpen(&held);
	because = SuppressedBecause(held.customer_id, &held.handle, held.channel, as_of);
	if (because != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_MUST_NOT_CONTACT),
				 errmsg("customer %lld must not be contacted any more: %s", (long long) held.customer_id, because),
				 errhint("Do not contact the customer, and bring the task back with release(), or complete() if it was done.")));
	until = TaskExtend(task_id, lease, as_of);
	OwnerEnd(&guard);
	PG_RETURN_TIMESTAMPTZ(until);
}

Datum
custseg_release(PG_FUNCTION_ARGS)
{
	int64		task_id = ArgInt64(fcinfo, 0, "task_id");
	pg_uuid_t  *token = ArgUuid(fcinfo, 1, "token");
	Oid			caller = GetUserId();
	Held		held;
	Guard		guard;

	OwnerBegin(&guard);
	held = HoldTask(task_id, token, caller);
	RequireOpen(&held);
	TaskRelease(task_id);
	OwnerEnd(&guard);
	PG_RETURN_VOID();
}

CLOCK_AND_REPLAY(complete, CompleteCall)
CLOCK_AND_REPLAY(fail, FailCall)
CLOCK_AND_REPLAY(extend, ExtendCall)
