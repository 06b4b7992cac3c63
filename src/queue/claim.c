/*
 * claim.c
 *		Handing out tasks.
 *
 * A claim takes the best tasks of a channel that nobody else holds or is just
 * taking. Three things keep that fast whatever the queue looks like.
 *
 * The walk never passes a task that cannot be had. Claimed tasks and later
 * tries are not in the index that is walked (task_ready_idx) but in another,
 * by the moment they can be had again (task_wake_idx); each claim first puts
 * back the few whose moment has come. So a thousand claimed tasks at the head
 * of the queue cost nothing, and an expired lease needs no process that looks
 * for it.
 *
 * The plans are kept, and pinned to those indexes: a plan made while the table
 * was empty would be a scan of all of it, and would be kept as well. For the
 * same reason no statement joins tasks.
 *
 * And everything is checked for the few that were picked, not for all. Whoever
 * ordered, opted out or can no longer be reached is passed over; that task is
 * withdrawn and the walk goes on. Customers whose orders changed in a tracked source
 * since the last refresh are put off for a minute, because what the task says
 * of them may not be so any more; where much has changed, some more tasks than
 * are asked for are looked at before any is picked. Each round ends with its
 * tasks claimed, closed, put off, or not needed, so the walk cannot turn in a
 * circle.
 *
 * A claim locks tasks and nothing else, and never waits: refresh draws the
 * conclusions for the episodes. Every claim gets a new token from one sequence.
 * Who comes back with an older one has lost the task to somebody else in the
 * meantime, and is told so (complete.c).
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
#include "utils/uuid.h"

#include "common/guard.h"
#include "common/home.h"
#include "common/ids.h"
#include "common/input.h"
#include "common/settings.h"
#include "common/spi.h"
#include "person/contact.h"
#include "person/handle.h"
#include "playbook/channel.h"
#include "playbook/message.h"
#include "playbook/playbook.h"
#include "playbook/suppress.h"
#include "queue/reach.h"
#include "queue/same_person.h"
#include "queue/task.h"
#include "queue/unread.h"

#define MAX_TASKS 1000
#define LONGEST_WAIT 1000		/* ms, for a lock on the customer table */

typedef struct Picked
{
	int64		task_id;
	int64		customer_id;
	bool		known;			/* the customer has ordered */
	char	   *customer_key;
	Handle		handle;			/* as it was planned, and then as it is */
	Datum		priority;
	Datum		due_at;
	TimestampTz expires_at;
	char	   *reason;
	char	   *message;
	int			attempts;
	bool		open;			/* the episode is */
	bool		enabled;		/* the playbook is */
	bool		suppressed;
	DateADT		last_order;		/* that we know of */
	pg_uuid_t	token;
	bool		taken;
	TimestampTz lease_until;
} Picked;

typedef struct Claim
{
	TimestampTz as_of;
	bool		replay;			/* of the past: time stands still */
	Oid			role;			/* whose tasks they will be */
	Channel		channel;
	Datum		playbooks;		/* that are on */
	char	   *worker;
	Datum		lease;
	bool		contacts;		/* a customer table is mapped */
	Probe	   *probe;
	bool		ahead;			/* look ahead of what is picked */
	ReturnSetInfo *result;

	/* Why there may be nothing to return. */
	int			passed_over;	/* withdrawn */
	int			put_off;
	bool		all_changed;
} Claim;

/* Our own statements, and only they, run with the indexes they are made for. */
static int
PinPlans(void)
{
	static const char *const off[] = {"enable_seqscan", "enable_bitmapscan", "enable_sort",
	"enable_hashjoin", "enable_mergejoin"};
	int			level = NewGUCNestLevel();

	for (int i = 0; i < lengthof(off); i++)
		(void) set_config_option(off[i], "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("plan_cache_mode", "force_generic_plan", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	return level;
}

/*
 * The best of those that can be had, with all we know of them. An order that
 * became known after the episode was opened, and did not end it, is not news,
 * hence the later one of the two days. These are scalar subqueries because
 * they are looked up one by one: an EXISTS may be answered from a hash of the
 * whole table.
 */
static Picked *
PickTasks(Claim *claim, int most, Datum passed, int *n)
{
	static SPIPlanPtr kept = NULL;
	Oid			types[] = {TEXTOID, TIMESTAMPTZOID, INT4OID, INT8ARRAYOID, TEXTARRAYOID};
	Datum		values[] = {CStringGetTextDatum(claim->channel.name), TimestampTzGetDatum(claim->as_of),
	Int32GetDatum(most), passed, claim->playbooks};
	Picked	   *picked;

	SpiRunPlan(SpiKeep(&kept,
					   "SELECT t.task_id, t.customer_id, t.priority, t.due_at, t.expires_at, t.reason, t.message,"
					   " t.attempts,"
					   " (SELECT coalesce(p.customer_key, '') FROM custseg.profile p WHERE p.customer_id = t.customer_id"
					   "  AND custseg.last_order_day(p.timeline) IS NOT NULL),"
					   " t.playbook = ANY ($5),"
					   " " IS_SUPPRESSED("t.customer_id", "$1", "$2") ","
					   " (SELECT greatest(e.since, (SELECT custseg.last_bought_day(p.timeline) FROM custseg.profile p"
					   "   WHERE p.customer_id = e.customer_id))"
					   "  FROM custseg.episode e WHERE e.episode_id = t.episode_id AND e.state = 'contacting'),"
					   " t.handle"
					   " FROM custseg.task t"
					   " WHERE t.channel = $1 AND t.state = 'open' AND t.wake_at IS NULL AND t.due_at <= $2"
					   " AND t.task_id <> ALL ($4)"
					   " ORDER BY t.priority DESC, t.task_id LIMIT $3 FOR UPDATE OF t SKIP LOCKED",
					   5, types), values, NULL);
	*n = (int) SPI_processed;
	picked = palloc0(sizeof(Picked) * Max(*n, 1));
	for (int i = 0; i < *n; i++)
	{
		bool		isnull;

		picked[i].task_id = SpiInt64(i, 1, 0);
		picked[i].customer_id = SpiInt64(i, 2, 0);
		picked[i].priority = Float8GetDatum(DatumGetFloat8(SpiField(i, 3, &isnull)));
		picked[i].due_at = TimestampTzGetDatum(DatumGetTimestampTz(SpiField(i, 4, &isnull)));
		picked[i].expires_at = DatumGetTimestampTz(SpiField(i, 5, &isnull));
		picked[i].reason = SpiText(i, 6);
		picked[i].message = SpiText(i, 7);
		picked[i].attempts = (int) SpiInt64(i, 8, 0);
		picked[i].customer_key = SpiText(i, 9);
		picked[i].known = picked[i].customer_key != NULL;
		if (picked[i].known && picked[i].customer_key[0] == '\0')
			picked[i].customer_key = NULL;
		picked[i].enabled = SpiInt64(i, 10, 0) != 0;
		picked[i].suppressed = SpiInt64(i, 11, 0) != 0;
		(void) SpiField(i, 12, &isnull);
		picked[i].open = !isnull;
		picked[i].last_order = (DateADT) SpiInt64(i, 12, 0);
		picked[i].handle = SpiHandle(i, 13);
	}
	SPI_freetuptable(SPI_tuptable);
	return picked;
}

static void
DropTask(Claim *claim, const Picked *task, const char *outcome)
{
	claim->passed_over++;
	TaskDrop(task->task_id, outcome, claim->as_of);
}

/* Let these be until a refresh has seen what changed. */
static void
PutOff(Claim *claim, const int64 *ids, int n)
{
	claim->put_off += n;
	TasksPutOff(IdArray(ids, n), claim->as_of);
}

/*
 * Find those of the next tasks whose customers changed, before any is picked;
 * false when there are no tasks, or everything changed. Where much has changed
 * that saves second rounds, in which fewer tasks would cost as much again. A few
 * are passed over; if they are more, they are put off, so that the walk stays
 * short.
 */
static bool
LookAhead(Claim *claim, int look, Datum *passed)
{
	int			spare = look / 4 + 2;
	static SPIPlanPtr kept = NULL;
	Oid			types[] = {TEXTOID, TIMESTAMPTZOID, INT4OID};
	Datum		values[] = {CStringGetTextDatum(claim->channel.name), TimestampTzGetDatum(claim->as_of),
	Int32GetDatum(look + spare)};
	int			n;
	int			n_changed = 0;
	int64	   *tasks;
	int64	   *customers;
	bool	   *pending;

	SpiRunPlan(SpiKeep(&kept,
					   "SELECT t.task_id, t.customer_id FROM custseg.task t"
					   " WHERE t.channel = $1 AND t.state = 'open' AND t.wake_at IS NULL AND t.due_at <= $2"
					   " ORDER BY t.priority DESC, t.task_id LIMIT $3", 3, types), values, NULL);
	n = (int) SPI_processed;
	tasks = palloc(sizeof(int64) * Max(n, 1));
	customers = palloc(sizeof(int64) * Max(n, 1));
	pending = palloc(sizeof(bool) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		tasks[i] = SpiInt64(i, 1, 0);
		customers[i] = SpiInt64(i, 2, 0);
	}
	SPI_freetuptable(SPI_tuptable);

	ProbeChanges(claim->probe, n, customers, pending);
	claim->all_changed = ProbeAllChanged(claim->probe);
	if (claim->all_changed)
		return false;
	for (int i = 0; i < n; i++)
		if (pending[i])
			tasks[n_changed++] = tasks[i];
	if (n_changed > spare)
		PutOff(claim, tasks, n_changed);
	else
		*passed = IdArray(tasks, n_changed);
	return n > 0;
}

/*
 * Claim those that still can be: since they were picked, a refresh may have read
 * of an order and ended the episode.
 */
static int
TakeTasks(Claim *claim, Picked *tasks, int n)
{
	int64	   *ids = palloc(sizeof(int64) * n);
	int			taken;

	/* A lease begins when it is given. */
	if (!claim->replay)
		claim->as_of = GetCurrentTimestamp();
	for (int i = 0; i < n; i++)
		ids[i] = tasks[i].task_id;
	TasksTake(IdArray(ids, n), claim->as_of, claim->worker, GetUserNameFromId(claim->role, false), claim->lease);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		int64		task_id = SpiInt64(row, 1, 0);
		bool		isnull;

		for (int i = 0; i < n; i++)
			if (tasks[i].task_id == task_id)
			{
				tasks[i].taken = true;
				tasks[i].token = *DatumGetUUIDP(SpiField(row, 2, &isnull));
				tasks[i].lease_until = DatumGetTimestampTz(SpiField(row, 3, &isnull));
				break;
			}
	}
	taken = (int) SPI_processed;
	SPI_freetuptable(SPI_tuptable);
	return taken;
}

static void
ReturnTask(Claim *claim, Picked *task, const Contact *contact, TimestampTz checked_at)
{
	Datum		values[14] = {0};
	bool		nulls[14] = {false};
	const char *handle = claim->channel.by_email ? contact->email : contact->phone;
	const char *name = contact->name;

	if (name == NULL || name[0] == '\0')
		name = DearCustomer(ReadShopSettings()->chinese);

	values[0] = Int64GetDatum(task->task_id);
	values[1] = UUIDPGetDatum(&task->token);
	values[2] = Int64GetDatum(task->customer_id);
	values[3] = task->customer_key ? CStringGetTextDatum(task->customer_key) : (Datum) 0;
	nulls[3] = task->customer_key == NULL;
	values[4] = contact->name ? CStringGetTextDatum(contact->name) : (Datum) 0;
	nulls[4] = contact->name == NULL;
	values[5] = handle ? CStringGetTextDatum(handle) : (Datum) 0;
	nulls[5] = handle == NULL;
	values[6] = task->priority;
	values[7] = CStringGetTextDatum(task->reason);
	values[8] = CStringGetTextDatum(RenderName(task->message, name));
	values[9] = task->due_at;
	values[10] = TimestampTzGetDatum(task->expires_at);
	values[11] = TimestampTzGetDatum(task->lease_until);
	values[12] = Int32GetDatum(task->attempts + 1);
	values[13] = TimestampTzGetDatum(checked_at);
	nulls[13] = TIMESTAMP_IS_NOBEGIN(checked_at);
	tuplestore_putvalues(claim->result->setResult, claim->result->setDesc, values, nulls);
}

/*
 * What the handles are now. Tasks that were planned have different ones; whose
 * number changed since then lets those with the same number go first, and of
 * two at the same moment one waits.
 */
static void
CheckHandles(Claim *claim, Picked *picked, const Contact *contacts, const int64 *ids, int n, HandleState *states)
{
	Handle	   *handles = palloc(sizeof(Handle) * n);
	bool	   *changed = palloc(sizeof(bool) * n);
	HandleSalt	salt = ReadHandleSalt();

	for (int i = 0; i < n; i++)
	{
		bool		other;

		handles[i] = ContactHandle(&salt, &contacts[i], claim->channel.by_email);
		other = !SameHandle(&picked[i].handle, &handles[i]);
		changed[i] = other && IsHandle(&handles[i]);
		if (other)
			TaskNoteHandle(picked[i].task_id, &handles[i]);
		picked[i].handle = handles[i];
	}
	LookAtHandles(n, handles, ids, claim->channel.name, claim->as_of, changed, states);
	for (int i = 0; i < n; i++)
		states[i].taken = states[i].taken || (changed[i] && !LockHandle(&handles[i]));
}

/* Is there one among those that are about to be claimed? */
static bool
HasHandle(const Picked *tasks, int n, const Picked *task)
{
	for (int i = 0; i < n && IsHandle(&task->handle); i++)
		if (SameHandle(&tasks[i].handle, &task->handle) && tasks[i].customer_id != task->customer_id)
			return true;
	return false;
}

/*
 * Look at some tasks, and claim, close or put off each until enough are
 * claimed; false when there are none, or everything changed: then there is no
 * point in putting off a whole queue.
 */
static bool
ClaimRound(Claim *claim, int look, int most, int *claimed)
{
	int			n = 0;
	Datum		passed = IdArray(NULL, 0);
	int			good = 0;
	int			n_put_off = 0;
	int			level;
	Picked	   *picked = NULL;
	Contact    *contacts;
	int64	   *ids;
	int64	   *put_off;
	DateADT    *after;
	bool	   *ordered;
	bool	   *pending;
	HandleState *handles;
	TimestampTz *checked_at;

	level = PinPlans();
	if (!claim->ahead || LookAhead(claim, look, &passed))
		picked = PickTasks(claim, look, passed, &n);
	AtEOXact_GUC(false, level);
	if (n == 0)
		return false;

	contacts = palloc0(sizeof(Contact) * n);
	ids = palloc(sizeof(int64) * n);
	put_off = palloc(sizeof(int64) * n);
	after = palloc(sizeof(DateADT) * n);
	ordered = palloc0(sizeof(bool) * n);
	handles = palloc0(sizeof(HandleState) * n);
	checked_at = palloc(sizeof(TimestampTz) * n);
	for (int i = 0; i < n; i++)
	{
		ids[i] = picked[i].customer_id;
		after[i] = picked[i].last_order;
		checked_at[i] = DT_NOBEGIN;
	}
	if (claim->contacts)
	{
		level = LimitLockWait(LONGEST_WAIT);
		ReadContacts(n, ids, contacts);
		AtEOXact_GUC(false, level);
	}
	pending = palloc0(sizeof(bool) * n);
	ProbeOrders(claim->probe, n, ids, after, ordered, pending, checked_at);
	claim->all_changed = ProbeAllChanged(claim->probe);
	if (claim->all_changed)
		return false;

	level = PinPlans();
	if (claim->contacts)
		CheckHandles(claim, picked, contacts, ids, n, handles);
	for (int i = 0; i < n && good < most; i++)
	{
		const char *outcome = NULL;

		if (pending[i] && !ordered[i] && picked[i].known)
		{
			put_off[n_put_off++] = picked[i].task_id;
			continue;
		}
		if (!picked[i].known)
			outcome = "gone";
		else if (ordered[i])
			outcome = "ordered";
		else if (picked[i].suppressed)
			outcome = "suppressed";
		else if (!picked[i].open)
			outcome = "closed";
		else if (!picked[i].enabled)
			outcome = "disabled";
		else if (picked[i].expires_at <= claim->as_of)
			outcome = "expired";
		else if (claim->contacts)
			outcome = Unreachable(&contacts[i], claim->channel.by_email, false, true, handles[i].suppressed);

		if (outcome != NULL)
			DropTask(claim, &picked[i], outcome);
		else if (handles[i].taken || HasHandle(picked, good, &picked[i]))
		{
			claim->put_off++;
			TaskPutOffToTomorrow(picked[i].task_id, claim->as_of);
		}
		else
		{
			picked[good] = picked[i];
			contacts[good] = contacts[i];
			checked_at[good] = checked_at[i];
			good++;
		}
	}
	if (n_put_off > 0)
		PutOff(claim, put_off, n_put_off);
	if (good > 0)
		*claimed += TakeTasks(claim, picked, good);
	AtEOXact_GUC(false, level);

	for (int i = 0; i < good; i++)
		if (picked[i].taken)
			ReturnTask(claim, &picked[i], &contacts[i], checked_at[i]);
	return true;
}

/* How many tasks to look at for those still missing: as many as the last round needed for its own. */
static int
LookAtNext(int looked, int claimed, int missing)
{
	int64		look = claimed > 0 ? (int64) missing * looked / claimed + 1 : 2 * (int64) looked;

	return Min(look, MAX_TASKS);
}

/* Customers of a copy are customers of the shop, and the shop itself calls them. */
static void
RequireHome(void)
{
	if (!IsHome())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this database is a copy or was restored, and nobody is contacted from it"),
				 errhint("If it is the shop's own database now, CALL custseg.refresh() first. In a copy for tests, set custseg.contact = off in postgresql.conf.")));
}

/* Tell a worker who got nothing why. */
static void
TellWhyNothing(Claim *claim)
{
	static SPIPlanPtr kept = NULL;
	Oid			types[] = {TEXTOID, TEXTARRAYOID};
	Datum		values[] = {CStringGetTextDatum(claim->channel.name), PlaybooksInUse()};
	char	   *why;
	int			level = PinPlans();

	SpiRunPlan(SpiKeep(&kept,
					   "SELECT (SELECT t.wake_at::text FROM custseg.task t WHERE t.channel = $1 AND t.wake_at IS NOT NULL"
					   "  ORDER BY t.wake_at LIMIT 1),"
					   " (SELECT true FROM custseg.task t WHERE t.channel = $1 AND t.state = 'open' AND t.wake_at IS NULL LIMIT 1),"
					   " cardinality($2) > 0",
					   2, types), values, NULL);
	if (!claim->channel.enabled)
		why = "The channel is switched off.";
	else if (claim->all_changed)
		why = "The orders of all customers changed, or could not be looked at; tasks are handed out again after the next refresh.";
	else if (claim->put_off > 0)
		why = psprintf("%d tasks were put off: the orders of their customers changed and no refresh has read them yet, or somebody with the same number was contacted today.",
					   claim->put_off);
	else if (SpiInt64(0, 2, 0) != 0)
		why = "The tasks there are were just being claimed by others, or are not due yet.";
	else if (SpiText(0, 1) != NULL)
		why = psprintf("All tasks are in the hands of workers or wait for another try; the next can be had at %s UTC.", SpiText(0, 1));
	else if (claim->passed_over > 0)
		why = psprintf("The %d tasks there were have been withdrawn, because their customers ordered, are gone or must not be contacted; the next refresh plans others.",
					   claim->passed_over);
	else if (SpiInt64(0, 3, 0) == 0)
		why = "No playbook is enabled.";
	else
		why = "There is no task to do; a refresh plans those of a day.";
	AtEOXact_GUC(false, level);
	ereport(NOTICE,
			(errmsg("nothing to hand out through channel \"%s\"", claim->channel.name),
			 errdetail_internal("%s", why)));
}

static Datum
ClaimCall(FunctionCallInfo fcinfo, int first, TimestampTz as_of)
{
	Claim		claim = {.as_of = as_of,.replay = first > 0,.role = GetUserId()};
	int			max_tasks;
	Interval   *lease;
	int			claimed = 0;
	char	   *channel;
	Guard		guard;

	channel = ArgText(fcinfo, first, "channel");
	max_tasks = PG_ARGISNULL(first + 1) ? 0 : PG_GETARG_INT32(first + 1);
	if (max_tasks < 1 || max_tasks > MAX_TASKS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_tasks must be between 1 and %d", MAX_TASKS)));
	claim.worker = ArgText(fcinfo, first + 2, "worker");
	lease = ArgSpan(fcinfo, first + 3, "lease", "1 second", "30 days");
	if (!custseg_contact)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("nobody is contacted from this server: custseg.contact is off"),
				 errhint("That is for copies of a shop. Switch it on in postgresql.conf where customers are really to be contacted.")));
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("claim() needs isolation level READ COMMITTED"),
				 errdetail("A snapshot taken earlier could hide that a customer has ordered since."),
				 errhint("Call it in a transaction of its own, or BEGIN ISOLATION LEVEL READ COMMITTED.")));

	InitMaterializedSRF(fcinfo, 0);
	claim.result = (ReturnSetInfo *) fcinfo->resultinfo;

	OwnerBegin(&guard);
	ReadChannel(channel, false, &claim.channel);
	claim.lease = lease ? IntervalPGetDatum(lease) : claim.channel.lease;
	RequireHome();
	if (claim.channel.enabled)
	{
		int			level = PinPlans();

		TasksWake(claim.channel.name, claim.as_of);
		AtEOXact_GUC(false, level);
		claim.playbooks = PlaybooksInUse();
		claim.contacts = ContactsMapped();
		claim.probe = ProbeSources();
		claim.ahead = ProbeAheadPays(claim.probe);
		for (int look = max_tasks; claimed < max_tasks;)
		{
			int			before = claimed;

			if (!ClaimRound(&claim, look, max_tasks - claimed, &claimed))
				break;
			look = LookAtNext(look, claimed - before, max_tasks - claimed);
			CHECK_FOR_INTERRUPTS();
		}
	}
	if (claimed == 0)
		TellWhyNothing(&claim);
	OwnerEnd(&guard);
	return (Datum) 0;
}

CLOCK_AND_REPLAY(claim, ClaimCall)
