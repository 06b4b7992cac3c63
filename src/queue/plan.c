/*
 * plan.c
 *		Which tasks exist today.
 *
 * A task that was not done yesterday takes a slot of today (slots.c) before a
 * new one is planned. Then those who wait are taken best first until the slots
 * are full. Customers who cannot be reached are put aside with the reason and
 * looked up again some days later, so that a shop without phone numbers does not
 * read its whole customer table on every refresh.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "common/attempt.h"
#include "common/choices.h"
#include "common/changes.h"
#include "common/guard.h"
#include "common/ids.h"
#include "common/settings.h"
#include "common/spi.h"
#include "common/stream.h"
#include "person/contact.h"
#include "person/handle.h"
#include "person/person.h"
#include "playbook/audience.h"
#include "playbook/channel.h"
#include "playbook/message.h"
#include "playbook/playbook.h"
#include "playbook/suppress.h"
#include "queue/queue.h"
#include "queue/reach.h"
#include "queue/same_person.h"
#include "queue/slots.h"
#include "queue/task.h"
#include "recall/episode.h"
#include "recall/recall.h"

PG_FUNCTION_INFO_V1(custseg_recall_follow);
PG_FUNCTION_INFO_V1(custseg_recall_plan);

#define CHUNK_MIN 16
#define CHUNK_MAX 1000

typedef struct Planning
{
	const Moment *now;
	bool		chinese;
	bool		contacts;		/* a customer table is mapped */
	HandleSalt	salt;			/* of handles */
	ArrayType  *customers;		/* whom to look at; NULL: all */
	HTAB	   *planned;		/* who got a task */
	HTAB	   *called;			/* and by which handle */

	int			nplaybooks;
	Playbook   *playbooks;		/* that are on */
	Datum		names;			/* theirs */

	/* For statements about many: as_of, day, customers, and since when claims are looked at. */
	Oid			types[4];
	Datum		values[4];
	char		nulls[4];
} Planning;

/* A channel on the day. */
typedef struct DayOfChannel
{
	Channel		channel;
	Slots		slots;
	int64		room;			/* tasks that can still be planned */
	char	  **bodies;			/* of the message, by playbook; NULL where there is none */
} DayOfChannel;

typedef struct Candidate
{
	int64		episode_id;
	int64		customer_id;
	const Playbook *playbook;
	Datum		priority;
	Handle		handle;
	bool		suppressed;
	const char *body;			/* of the message; NULL when there is none */
	CustomerFacts facts;
} Candidate;

static uint64
RunForAll(Planning *plan, const char *sql)
{
	return SpiRun(sql, lengthof(plan->types), plan->types, plan->values, plan->nulls);
}

/* The episodes among some that a worker has a task of now, whose lease goes on. */
static int
LeaveOutHeld(int64 *ids, int n, TimestampTz as_of)
{
	Oid			types[] = {INT8ARRAYOID, TIMESTAMPTZOID};
	Datum		values[] = {IdArray(ids, n), TimestampTzGetDatum(as_of)};
	int			left;

	left = (int) SpiRun("SELECT u.id FROM unnest($1) u (id)"
						" WHERE (SELECT true FROM custseg.task t WHERE t.episode_id = u.id"
						"  AND t.state = 'claimed' AND t.lease_until > $2 LIMIT 1) IS NULL", 2, types, values, NULL);
	for (int i = 0; i < left; i++)
		ids[i] = SpiInt64(i, 1, 0);
	SPI_freetuptable(SPI_tuptable);
	return left;
}

/*
 * What becomes of the episodes of tasks that ended without a contact, here or
 * in claim(), which touches no episode; a worker may have said so long after the
 * task was withdrawn. One whose customer was seen to have ordered waits for that
 * order to be read.
 */
static void
TakeBack(Planning *plan)
{
	static const Oid types[] = {INT8OID, TEXTOID, TEXTOID, DATEOID};
	Changes		back = {lengthof(types)};
	uint64		n;

	for (int c = 0; c < lengthof(types); c++)
		back.columns[c].type = types[c];
	n = RunForAll(plan,
				  "SELECT e.episode_id,"
				  "   CASE WHEN l.state = 'failed' AND l.attempts >= l.max_attempts THEN 'exhausted'"
				  "    WHEN l.state = 'failed' THEN 'waiting'"
				  "    WHEN l.outcome IN ('suppressed', 'no_template', 'no_contact', 'opted_out', 'no_handle')"
				  "    THEN 'unreachable' ELSE 'waiting' END,"
				  "   CASE WHEN l.state = 'failed' AND l.outcome <> 'lease_expired' THEN 'failed'"
				  "    ELSE nullif(l.outcome, 'expired') END,"
				  "   CASE WHEN l.state <> 'failed' AND l.outcome IN ('suppressed', 'no_template', 'no_contact', 'opted_out', 'no_handle')"
				  "    THEN $2 + l.retry_days END"
				  "  FROM custseg.episode e"
				  "  CROSS JOIN LATERAL (SELECT t.state, t.outcome, t.retry_days, t.attempts, t.max_attempts FROM custseg.task t"
				  "   WHERE t.episode_id = e.episode_id ORDER BY t.task_id DESC LIMIT 1) l"
				  "  WHERE e.state = 'contacting' AND l.state IN ('withdrawn', 'expired', 'failed')"
				  "  AND l.outcome <> 'ordered' AND $1 IS NOT NULL"
				  "  AND ($3 IS NULL OR e.episode_id = ANY (ARRAY("
				  "   SELECT d.episode_id FROM custseg.task d WHERE d.state IN ('withdrawn', 'expired', 'failed')"
				  "    AND d.closed_at >= $4"
				  "   UNION ALL SELECT x.episode_id FROM custseg.episode x WHERE x.customer_id = ANY ($3))))"
				  "  FOR NO KEY UPDATE OF e SKIP LOCKED");
	if (n == 0)
		return;
	for (uint64 row = 0; row < n; row++)
	{
		Datum		columns[lengthof(types)];
		bool		nulls[lengthof(types)];

		for (int c = 0; c < lengthof(types); c++)
			columns[c] = SpiField(row, c + 1, &nulls[c]);
		AddChange(&back, columns, nulls);
	}
	EpisodesTakeBack(&back, plan->now);
}

/* End the episodes and tasks whose time is over; false when some could not be. */
static bool
EndWhatIsOver(Planning *plan)
{
	bool		all;
	int64	   *due;
	int			n;
	bool		leases = TasksEndLeases(plan->now->as_of) > 0;
	bool		merged = true;

	/* What a worker had locked when they became one person. */
	if (PersonsLinked())
	{
		merged = EpisodesMerge(plan->now, plan->customers);
		TasksMerge(plan->now, plan->customers);
	}
	all = EpisodesCloseOrdered(plan->now, plan->customers) && merged;

	due = EpisodesDue(plan->now, plan->customers, &n);
	if (n > 0)
		n = LeaveOutHeld(due, n, plan->now->as_of);
	if (n > 0)
		EpisodesExpire(due, n, plan->now);

	all &= TasksWithdrawClosed(plan->now, n > 0 || leases ? NULL : plan->customers);
	TasksEndSenseless(plan->now, plan->customers);
	TakeBack(plan);
	EpisodesNoteChannelOff(plan->customers);
	return all;
}

static DayOfChannel *
ReadDay(const Planning *plan, int *n)
{
	Channel    *channels = ReadChannelsInUse(n);
	DayOfChannel *days = palloc0(sizeof(DayOfChannel) * Max(*n, 1));

	for (int i = 0; i < *n; i++)
	{
		DayOfChannel *day = &days[i];

		day->channel = channels[i];
		day->bodies = palloc(sizeof(char *) * plan->nplaybooks);
		for (int b = 0; b < plan->nplaybooks; b++)
			day->bodies[b] = MessageBody(plan->playbooks[b].name, channels[i].name, plan->chinese);
		ReadSlots(channels[i].name, channels[i].capacity, plan->now->day, &day->slots);
		day->room = channels[i].capacity - day->slots.ntaken;
		/* What could not be carried over still needs doing, so it counts. */
		if (day->room > 0)
			day->room -= CountLeftOver(channels[i].name, plan->now->day);
	}
	return days;
}

static Portal
OpenCandidates(Planning *plan, const Channel *channel)
{
	Oid			types[] = {TIMESTAMPTZOID, DATEOID, TEXTOID, TEXTARRAYOID};
	Datum		values[] = {plan->values[0], plan->values[1], CStringGetTextDatum(channel->name), plan->names};
	int			level = PlanInOrderBegin();
	Portal		portal;

	/*
	 * Best first off the index of those who wait: few slots may be free, and
	 * very many wait. Tasks are looked up one by one, as in claim.c: a join may
	 * walk all that were planned since the cursor was opened, for each.
	 */
	portal = SpiPrivateCursor("SELECT e.episode_id, e.customer_id, e.playbook, e.priority,"
							  " " IS_SUPPRESSED("e.customer_id", "$3", "$1") ", "
							  FACTS_COLUMNS
							  " FROM custseg.episode e"
							  " JOIN custseg.standing s USING (customer_id)"
							  " JOIN custseg.profile p USING (customer_id)"
							  " WHERE e.arm = 'contact' AND e.playbook = ANY ($4)"
							  " AND e.state IN ('waiting', 'unreachable')"
							  " AND (e.state = 'waiting' OR e.look_again_on <= $2)"
							  " AND s.tier = ANY (ARRAY(SELECT y.tier FROM custseg.tier_policy y WHERE y.channel = $3))"
							  " AND " AUDIENCE_STAYS
							  " AND (SELECT t.task_id FROM custseg.task t WHERE t.customer_id = e.customer_id"
							  "  AND t.state IN ('open', 'claimed')) IS NULL"
							  " AND (SELECT t.task_id FROM custseg.person g JOIN custseg.person m USING (person_id)"
							  "  JOIN custseg.task t ON t.customer_id = m.customer_id"
							  "  WHERE g.customer_id = e.customer_id AND t.state IN ('open', 'claimed') LIMIT 1) IS NULL"
							  " ORDER BY e.priority DESC, e.since DESC,"
							  " p.customer_key COLLATE \"C\", e.customer_id"
							  " FOR NO KEY UPDATE OF e SKIP LOCKED",
							  4, types, values);
	PlanByIndexEnd(level);
	return portal;
}

/* What a chunk of candidates comes to. */
typedef struct Decisions
{
	Changes		tasks;
	Changes		aside;
} Decisions;

static void
InitDecisions(Decisions *decisions)
{
	static const Oid aside_types[] = {INT8OID, TEXTOID, DATEOID};

	memset(decisions, 0, sizeof(*decisions));
	TasksPlanBegin(&decisions->tasks);
	decisions->aside.ncolumns = lengthof(aside_types);
	for (int c = 0; c < lengthof(aside_types); c++)
		decisions->aside.columns[c].type = aside_types[c];
}

static void
PutAside(Planning *plan, Decisions *decisions, Candidate *who, const char *reason, int days)
{
	Datum		values[] = {Int64GetDatum(who->episode_id), CStringGetTextDatum(reason),
		DateADTGetDatum(plan->now->day + days)};
	bool		nulls[lengthof(values)] = {false};

	AddChange(&decisions->aside, values, nulls);
}

static void
PlanTask(Planning *plan, Decisions *decisions, Candidate *who, int slot)
{
	Datum		values[] = {
		[PLAN_EPISODE_ID] = Int64GetDatum(who->episode_id),
		[PLAN_CUSTOMER_ID] = Int64GetDatum(who->customer_id),
		[PLAN_PLAYBOOK] = CStringGetTextDatum(who->playbook->name),
		[PLAN_PRIORITY] = who->priority,
		[PLAN_TASK_DAYS] = Int32GetDatum(who->playbook->task_days),
		[PLAN_RETRY_DAYS] = Int32GetDatum(who->playbook->retry_days),
		[PLAN_MAX_ATTEMPTS] = Int32GetDatum(who->playbook->max_attempts),
		[PLAN_REASON] = CStringGetTextDatum(RenderReason(&who->facts, plan->chinese)),
		[PLAN_MESSAGE] = CStringGetTextDatum(RenderMessage(who->body, &who->facts)),
		[PLAN_SLOT] = Int32GetDatum(slot),
		[PLAN_HANDLE] = UUIDPGetDatum(&who->handle)
	};
	bool		nulls[PLAN_COLUMNS] = {[PLAN_HANDLE] = !IsHandle(&who->handle)};

	AddChange(&decisions->tasks, values, nulls);
}

static void
WriteDecisions(Planning *plan, const Channel *channel, Decisions *decisions)
{
	if (decisions->tasks.n > 0)
	{
		Changes		episodes = {1, decisions->tasks.n};

		TasksPlan(&decisions->tasks, channel->name, channel->lease, channel->cost, plan->now);
		episodes.columns[0] = decisions->tasks.columns[PLAN_EPISODE_ID];
		EpisodesContacting(&episodes);
	}
	if (decisions->aside.n > 0)
		EpisodesPutAside(&decisions->aside);
}

/* Note that a customer, or a handle, has got a task; false if it had. */
static bool
IsFirst(HTAB *planned, const void *who)
{
	bool		found;

	(void) hash_search(planned, who, HASH_ENTER, &found);
	return !found;
}

static HTAB *
NobodyPlanned(Size size)
{
	return hash_create("custseg planned", 256, &(HASHCTL) {.keysize = size,.entrysize = size,.hcxt = CurrentMemoryContext},
					   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* The handles of candidates, and what is known of them. */
static HandleState *
HandlesOf(Planning *plan, const Channel *channel, Candidate *candidates, const Contact *contacts, const int64 *ids, int n)
{
	Handle	   *handles = palloc(sizeof(Handle) * n);
	bool	   *open_too = palloc(sizeof(bool) * n);
	HandleState *states = palloc0(sizeof(HandleState) * n);

	for (int i = 0; i < n; i++)
	{
		open_too[i] = true;
		handles[i] = candidates[i].handle = ContactHandle(&plan->salt, &contacts[i], channel->by_email);
	}
	LookAtHandles(n, handles, ids, channel->name, plan->now->as_of, open_too, states);
	return states;
}

/* Take the next candidates; false when there are none. */
static bool
PlanChunk(Planning *plan, DayOfChannel *on, Portal portal)
{
	const Channel *channel = &on->channel;
	int			n;
	Candidate  *candidates;
	Contact    *contacts;
	int64	   *ids;
	HandleState *handles = NULL;
	Decisions	decisions;
	MemoryContext chunk = CurrentMemoryContext;

	CHECK_FOR_INTERRUPTS();
	SPI_cursor_fetch(portal, true, Min(CHUNK_MAX, Max(CHUNK_MIN, on->room)));
	MemoryContextSwitchTo(chunk);
	n = (int) SPI_processed;
	if (n == 0)
		return false;

	candidates = palloc0(sizeof(Candidate) * n);
	contacts = palloc0(sizeof(Contact) * n);
	ids = palloc(sizeof(int64) * n);
	for (int i = 0; i < n; i++)
	{
		Candidate  *who = &candidates[i];
		bool		isnull;

		who->episode_id = SpiInt64(i, 1, 0);
		ids[i] = who->customer_id = SpiInt64(i, 2, 0);
		for (int b = 0; b < plan->nplaybooks; b++)
			if (strcmp(plan->playbooks[b].name, SpiText(i, 3)) == 0)
			{
				who->playbook = &plan->playbooks[b];
				who->body = on->bodies[b];
			}
		who->priority = Float8GetDatum(DatumGetFloat8(SpiField(i, 4, &isnull)));
		who->suppressed = SpiInt64(i, 5, 0) != 0;
		FactsFromRow(i, 6, &who->facts);
	}
	SPI_freetuptable(SPI_tuptable);

	if (plan->contacts)
	{
		ReadContacts(n, ids, contacts);
		handles = HandlesOf(plan, channel, candidates, contacts, ids, n);
	}

	InitDecisions(&decisions);
	for (int i = 0; i < n && on->room > 0; i++)
	{
		Candidate  *who = &candidates[i];
		const char *reason;

		if (plan->contacts)
			reason = Unreachable(&contacts[i], channel->by_email, who->suppressed, who->body != NULL, handles[i].suppressed);
		else
			reason = who->suppressed ? "suppressed" : who->body == NULL ? "no_template" : NULL;
		if (reason != NULL)
			PutAside(plan, &decisions, who, reason, who->playbook->retry_days);
		else if (!IsFirst(plan->planned, &who->customer_id))
			continue;			/* for another goal */
		else if (handles && (handles[i].taken || (IsHandle(&who->handle) && !IsFirst(plan->called, &who->handle))))
			PutAside(plan, &decisions, who, "same_handle", 1);
		else
		{
			PlanTask(plan, &decisions, who, NextSlot(&on->slots));
			on->room--;
		}
	}
	WriteDecisions(plan, channel, &decisions);
	return true;
}

static void
FillChannel(Planning *plan, DayOfChannel *on)
{
	Portal		portal;
	MemoryContext chunk;
	MemoryContext old;

	if (on->room <= 0)
		return;
	portal = OpenCandidates(plan, &on->channel);
	chunk = AllocSetContextCreate(CurrentMemoryContext, "custseg plan chunk", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(chunk);
	while (on->room > 0 && PlanChunk(plan, on, portal))
		MemoryContextReset(chunk);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(chunk);
	SPI_cursor_close(portal);
}

/* Fill all channels, by what the customer table says now. */
static void
FillChannels(void *arg)
{
	Planning   *plan = arg;
	DayOfChannel *channels;
	int			nchannels;

	plan->chinese = ReadShopSettings()->chinese;
	plan->contacts = ContactsMapped();
	plan->salt = ReadHandleSalt();
	if (plan->customers == NULL)
	{
		OptOuts		opt_outs = OptOutHandles();

		StoreOptOuts(&opt_outs);
	}
	plan->planned = NobodyPlanned(sizeof(int64));
	plan->called = NobodyPlanned(sizeof(Handle));
	channels = ReadDay(plan, &nchannels);
	for (int i = 0; i < nchannels; i++)
		FillChannel(plan, &channels[i]);
}

char *
QueueChoices(void)
{
	return ChoicesDigest(MOVES_QUEUE);
}

bool
QueuePlan(const Moment *now, ArrayType *customers, TimestampTz since, ErrorData **unread)
{
	Planning	plan = {now,.customers = customers};
	int			level;
	bool		all;

	*unread = NULL;
	plan.types[0] = TIMESTAMPTZOID;
	plan.types[1] = DATEOID;
	plan.types[2] = INT8ARRAYOID;
	plan.types[3] = TIMESTAMPTZOID;
	plan.values[0] = TimestampTzGetDatum(now->as_of);
	plan.values[1] = DateADTGetDatum(now->day);
	plan.values[2] = PointerGetDatum(customers);
	/* A claim that was under way then may say so with an earlier moment. */
	plan.values[3] = TimestampTzGetDatum(since - USECS_PER_HOUR);
	memset(plan.nulls, ' ', sizeof(plan.nulls));
	if (customers == NULL)
		plan.nulls[2] = plan.nulls[3] = 'n';

	RecallLock();
	SpiRun("SELECT FROM custseg.episode LIMIT 1", 0, NULL, NULL, NULL);
	if (SPI_processed == 0)
		return false;

	/* What is open is little beside the customers and what was: no estimate may turn this into scans. */
	level = PlanByIndexBegin();
	all = EndWhatIsOver(&plan);
	if (customers == NULL)
		CarryOver(now->day);

	plan.playbooks = ReadPlaybooksInUse(&plan.nplaybooks);
	if (plan.nplaybooks > 0)
	{
		plan.names = PlaybookNames(plan.playbooks, plan.nplaybooks);
		*unread = Attempt(FillChannels, &plan);
		/* A mistake of ours is no fault of a customer table. */
		if (*unread && ContactsReading() == 0)
			ReThrowError(*unread);
	}
	PlanByIndexEnd(level);
	return all && *unread == NULL;
}

void
QueuePlanAll(const Moment *now)
{
	ErrorData  *unread;

	(void) QueuePlan(now, NULL, 0, &unread);
	if (unread)
		ReThrowError(unread);
}

int64
QueueFollow(const Moment *now, int64 after_transition)
{
	Followed	followed = RecallFollow(now, after_transition);

	if (followed.closed)
		TasksWithdrawClosedAfter(now, after_transition);
	return followed.left_out;
}

Datum
custseg_recall_plan(PG_FUNCTION_ARGS)
{
	Moment		now;
	Guard		guard;

	OwnerBegin(&guard);
	now = MomentOf(PG_GETARG_TIMESTAMPTZ(1));
	now.run_id = PG_GETARG_INT64(0);
	QueuePlanAll(&now);
	OwnerEnd(&guard);
	PG_RETURN_VOID();
}

Datum
custseg_recall_follow(PG_FUNCTION_ARGS)
{
	Moment		now;
	Guard		guard;

	OwnerBegin(&guard);
	now = MomentOf(PG_GETARG_TIMESTAMPTZ(1));
	now.run_id = PG_GETARG_INT64(0);
	(void) QueueFollow(&now, PG_GETARG_INT64(2));
	OwnerEnd(&guard);
	PG_RETURN_VOID();
}
