/*
 * plan.c
 *		Which tasks exist today.
 *
 * A task that was not done yesterday takes a place of today (places.c) before a
 * new one is planned. Then those who wait are taken best first until the places
 * are full. Whoever
 * cannot be reached is put aside with the reason and looked up again some days
 * later, so that a shop without phone numbers does not read its whole customer
 * table on every refresh.
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
#include "common/changes.h"
#include "common/guard.h"
#include "common/settings.h"
#include "common/spi.h"
#include "common/stream.h"
#include "recall/follow.h"
#include "recall/handle.h"
#include "recall/lease.h"
#include "recall/message.h"
#include "recall/places.h"
#include "recall/plan.h"
#include "recall/recall.h"
#include "source/contact.h"

PG_FUNCTION_INFO_V1(custseg_recall_plan);

#define CHUNK_MIN 16
#define CHUNK_MAX 1000

typedef struct Planning
{
	int64		run_id;
	TimestampTz as_of;
	DateADT		day;
	bool		chinese;
	bool		contacts;		/* a customer table is mapped */
	bool		reading;		/* it is being read */
	uint64		salt;			/* of handles */
	ArrayType  *customers;		/* whom to look at; NULL: all */
	HTAB	   *planned;		/* numbers and handles of those who got a task */

	/* For statements about many: as_of, day, customers, and since when claims are looked at. */
	Oid			types[4];
	Datum		values[4];
	char		nulls[4];
} Planning;

typedef struct Channel
{
	char	   *name;
	bool		by_email;
	Places		places;
	int64		room;			/* tasks that can still be planned today */
} Channel;

typedef struct Candidate
{
	int64		episode_id;
	int64		customer_id;
	char	   *playbook;
	Datum		priority;
	int			task_days;
	int			retry_days;
	int			max_attempts;
	int64		handle;
	bool		suppressed;
	char	   *body;			/* of the template; NULL when there is none */
	CustomerFacts facts;
} Candidate;

static uint64
RunForAll(Planning *plan, const char *sql)
{
	return SpiRun(sql, lengthof(plan->types), plan->types, plan->values, plan->nulls);
}

const char *
Unreachable(const Contact *contact, bool by_email, bool suppressed, bool has_template, bool same_suppressed)
{
	const char *handle = by_email ? contact->email : contact->phone;

	if (suppressed)
		return "suppressed";
	if (!has_template)
		return "no_template";
	if (!contact->found)
		return "no_contact";
	if (contact->do_not_contact)
		return "opted_out";
	if (same_suppressed)
		return "suppressed";
	if (handle == NULL || handle[strspn(handle, " \t")] == '\0')
		return "no_handle";
	return NULL;
}

/* End the episodes and tasks whose time is over; false when some could not be. */
static bool
EndWhatIsOver(Planning *plan)
{
	bool		all;
	uint64		expired;

	EndLeases(plan->as_of);
	all = CloseOrdered(plan->as_of, plan->day, plan->customers);

	expired = RunForAll(plan,
						"UPDATE custseg.episode u SET state = 'expired', closed_at = $1,"
						" reason = CASE WHEN u.state IN ('waiting', 'unreachable') THEN coalesce(u.reason, 'not_contacted')"
						"  ELSE 'no_order' END"
						" FROM (SELECT e.episode_id FROM custseg.episode e"
						"  WHERE e.state IN " EPISODE_OPEN " AND e.expires_on < $2"
						"  AND (e.state IN ('waiting', 'unreachable') OR e.eligible_on + e.window_days < $2)"
						"  AND NOT EXISTS (SELECT FROM custseg.task t WHERE t.episode_id = e.episode_id"
						"   AND t.state = 'claimed' AND t.lease_until > $1)"
						"  FOR NO KEY UPDATE OF e SKIP LOCKED) o"
						" WHERE u.episode_id = o.episode_id");

	WithdrawTasks(plan->as_of, expired > 0 ? NULL : plan->customers);

	/* Tasks that no longer make sense, though their episodes go on. */
	RunForAll(plan,
			  "UPDATE custseg.task u SET closed_at = $1, lease_until = NULL, wake_at = NULL, outcome = o.outcome,"
			  " state = CASE WHEN o.outcome = 'expired' THEN 'expired' ELSE 'withdrawn' END,"
			  " slot = CASE WHEN u.token IS NOT NULL OR u.attempts > 0 THEN u.slot END"
			  " FROM (SELECT t.task_id,"
			  "   CASE WHEN s.lifecycle NOT IN ('silent', 'lost') THEN 'not_silent'"
			  "        WHEN s.quadrant = 'angry_churn' THEN 'angry_churn'"
			  "        WHEN b.enabled IS NOT TRUE THEN 'disabled'"
			  "        WHEN c.enabled IS NOT TRUE THEN 'channel_off'"
			  "        ELSE 'expired' END AS outcome"
			  "  FROM custseg.task t"
			  "  LEFT JOIN custseg.standing s USING (customer_id)"
			  "  LEFT JOIN custseg.playbook b USING (playbook)"
			  "  LEFT JOIN custseg.channel c USING (channel)"
			  "  WHERE (t.state = 'open' OR (t.state = 'claimed' AND t.lease_until <= $1))"
			  "  AND (t.expires_at <= $1 OR s.lifecycle NOT IN ('silent', 'lost')"
			  "   OR s.quadrant = 'angry_churn' OR b.enabled IS NOT TRUE OR c.enabled IS NOT TRUE)"
			  "  AND ($3 IS NULL OR t.episode_id = ANY (ARRAY(SELECT e.episode_id FROM custseg.episode e"
			  "   WHERE e.customer_id = ANY ($3))))"
			  "  FOR UPDATE OF t SKIP LOCKED) o"
			  " WHERE u.task_id = o.task_id");

	/*
	 * And what becomes of the episodes of tasks that ended without a contact,
	 * here or in claim(), which touches no episode. One whose customer was
	 * seen to have ordered waits for that order to be read.
	 */
	RunForAll(plan,
			  "UPDATE custseg.episode u SET state = o.state, reason = o.outcome,"
			  " closed_at = CASE o.state WHEN 'exhausted' THEN $1 END,"
			  " look_again_on = CASE o.state WHEN 'unreachable' THEN $2 + o.retry_days END"
			  " FROM (SELECT e.episode_id, nullif(l.outcome, 'expired') AS outcome,"
			  "   coalesce(b.retry_days, 2) AS retry_days,"
			  "   CASE WHEN l.state = 'failed' THEN 'exhausted'"
			  "    WHEN l.outcome IN ('suppressed', 'no_template', 'no_contact', 'opted_out', 'no_handle')"
			  "    THEN 'unreachable' ELSE 'waiting' END AS state"
			  "  FROM custseg.episode e"
			  "  CROSS JOIN LATERAL (SELECT t.state, t.outcome FROM custseg.task t"
			  "   WHERE t.episode_id = e.episode_id ORDER BY t.task_id DESC LIMIT 1) l"
			  "  LEFT JOIN custseg.playbook b ON b.playbook = e.playbook"
			  "  WHERE e.state = 'contacting' AND (l.state IN ('withdrawn', 'expired')"
			  "   OR (l.state = 'failed' AND l.outcome = 'lease_expired'))"
			  "  AND l.outcome <> 'ordered'"
			  "  AND ($3 IS NULL OR e.episode_id = ANY (ARRAY("
			  "   SELECT d.episode_id FROM custseg.task d WHERE d.state IN ('withdrawn', 'expired', 'failed')"
			  "    AND d.closed_at >= $4"
			  "   UNION ALL SELECT x.episode_id FROM custseg.episode x WHERE x.customer_id = ANY ($3))))"
			  "  FOR NO KEY UPDATE OF e SKIP LOCKED) o"
			  " WHERE u.episode_id = o.episode_id");

	/* Those who wait for a channel that is switched off should say so. */
	RunForAll(plan,
			  "WITH off AS MATERIALIZED (SELECT y.tier FROM custseg.tier_policy y"
			  "  WHERE NOT EXISTS (SELECT FROM custseg.channel c WHERE c.channel = y.channel AND c.enabled))"
			  " UPDATE custseg.episode u SET reason = 'channel_off'"
			  " FROM (SELECT e.episode_id FROM custseg.episode e"
			  "  JOIN custseg.standing s USING (customer_id)"
			  "  WHERE EXISTS (SELECT FROM off) AND s.tier = ANY (ARRAY(SELECT tier FROM off))"
			  "  AND e.state = 'waiting' AND e.reason IS DISTINCT FROM 'channel_off'" OF_CUSTOMERS("$3")
			  "  FOR NO KEY UPDATE OF e SKIP LOCKED) o"
			  " WHERE u.episode_id = o.episode_id");
	return all;
}

static Channel *
ReadChannels(const Planning *plan, int *nchannels)
{
	Channel    *channels;

	SpiRun("SELECT channel, handle = 'email', daily_capacity FROM custseg.channel c"
		   " WHERE enabled AND daily_capacity > 0"
		   " AND EXISTS (SELECT FROM custseg.tier_policy y WHERE y.channel = c.channel)"
		   " ORDER BY channel COLLATE \"C\"", 0, NULL, NULL, NULL);
	*nchannels = (int) SPI_processed;
	channels = palloc0(sizeof(Channel) * Max(*nchannels, 1));
	for (int i = 0; i < *nchannels; i++)
	{
		channels[i].name = SpiText(i, 1);
		channels[i].by_email = SpiInt64(i, 2, 0) != 0;
		channels[i].places.capacity = (int) SpiInt64(i, 3, 0);
	}

	for (int i = 0; i < *nchannels; i++)
	{
		Channel    *channel = &channels[i];

		ReadPlaces(channel->name, channel->places.capacity, plan->day, &channel->places);
		channel->room = channel->places.capacity - channel->places.ntaken;
		/* What could not be carried over still needs doing, so it counts. */
		if (channel->room > 0)
			channel->room -= CountLeftOver(channel->name, plan->day);
	}
	return channels;
}

void
FactsFromRow(uint64 row, int first, CustomerFacts *facts)
{
	facts->orders = SpiInt64(row, first, 0);
	facts->spend = SpiText(row, first + 1);
	facts->last_order = SpiText(row, first + 2);
	facts->days_silent = (int) SpiInt64(row, first + 3, 0);
	facts->silent_at = SpiText(row, first + 4);
	facts->limit_days = (int) SpiInt64(row, first + 5, 0);
	facts->tier = SpiText(row, first + 6);
}

static Portal
OpenCandidates(Planning *plan, Channel *channel)
{
	Oid			types[] = {TIMESTAMPTZOID, DATEOID, TEXTOID, TEXTOID};
	Datum		values[] = {plan->values[0], plan->values[1],
		CStringGetTextDatum(channel->name), CStringGetTextDatum(plan->chinese ? "zh" : "en")};
	int			level = PlanInOrderBegin();
	Portal		portal;

	/*
	 * Best first off the index of those who wait: few places may be free, and
	 * very many wait. Tasks are looked up one by one, as in claim.c: a join may
	 * walk all that were planned since the cursor was opened, for each.
	 */
	portal = SpiPrivateCursor("WITH playbooks AS MATERIALIZED (SELECT b.playbook, b.task_days, b.retry_days, b.max_attempts,"
							  "  (SELECT m.body FROM custseg.template m WHERE m.playbook = b.playbook"
							  "   AND m.channel = $3 AND m.language IN ($4, 'en') AND m.body IS NOT NULL"
							  "   ORDER BY m.language = $4 DESC LIMIT 1) AS body"
							  "  FROM custseg.playbook b WHERE b.enabled)"
							  " SELECT e.episode_id, e.customer_id, e.playbook, e.priority,"
							  " b.task_days, b.retry_days,"
							  " EXISTS (SELECT FROM custseg.suppression x WHERE x.customer_id = e.customer_id"
							  "  AND (x.channel IS NULL OR x.channel = $3) AND (x.until IS NULL OR x.until > $1)),"
							  " b.body, b.max_attempts, "
							  FACTS_COLUMNS
							  " FROM custseg.episode e"
							  " JOIN custseg.standing s USING (customer_id)"
							  " JOIN custseg.profile p USING (customer_id)"
							  " JOIN playbooks b ON b.playbook = e.playbook"
							  " WHERE e.arm = 'contact'"
							  " AND e.state IN ('waiting', 'unreachable')"
							  " AND (e.state = 'waiting' OR e.look_again_on <= $2)"
							  " AND s.tier = ANY (ARRAY(SELECT y.tier FROM custseg.tier_policy y WHERE y.channel = $3))"
							  " AND s.lifecycle IN ('silent', 'lost')"
							  " AND s.quadrant IS DISTINCT FROM 'angry_churn'"
							  " AND (SELECT t.task_id FROM custseg.task t WHERE t.customer_id = e.customer_id"
							  "  AND t.state IN ('open', 'claimed')) IS NULL"
							  " ORDER BY e.priority DESC, e.since DESC,"
							  " p.customer_key COLLATE \"C\", e.customer_id"
							  " FOR NO KEY UPDATE OF e SKIP LOCKED",
							  4, types, values);
	PlanByIndexEnd(level);
	return portal;
}

/* What a chunk of candidates comes to, as rows of their columns. */
typedef struct Decisions
{
	Changes		tasks;
	Changes		aside;
} Decisions;

static void
InitDecisions(Decisions *decisions)
{
	static const Oid task_types[] = {INT8OID, INT8OID, TEXTOID, FLOAT8OID, INT4OID, TEXTOID, TEXTOID, INT4OID, INT4OID, INT8OID};
	static const Oid aside_types[] = {INT8OID, TEXTOID, DATEOID};

	memset(decisions, 0, sizeof(*decisions));
	decisions->tasks.ncolumns = lengthof(task_types);
	for (int c = 0; c < lengthof(task_types); c++)
		decisions->tasks.columns[c].type = task_types[c];
	decisions->aside.ncolumns = lengthof(aside_types);
	for (int c = 0; c < lengthof(aside_types); c++)
		decisions->aside.columns[c].type = aside_types[c];
}

static void
PutAside(Planning *plan, Decisions *decisions, Candidate *who, const char *reason, int days)
{
	Datum		values[] = {Int64GetDatum(who->episode_id), CStringGetTextDatum(reason),
		DateADTGetDatum(plan->day + days)};
	bool		nulls[lengthof(values)] = {false};

	AddChange(&decisions->aside, values, nulls);
}

static void
PlanTask(Planning *plan, Decisions *decisions, Candidate *who, int slot)
{
	Datum		values[] = {
		Int64GetDatum(who->episode_id),
		Int64GetDatum(who->customer_id),
		CStringGetTextDatum(who->playbook),
		who->priority,
		Int32GetDatum(who->task_days),
		CStringGetTextDatum(RenderReason(&who->facts, plan->chinese)),
		CStringGetTextDatum(RenderMessage(who->body, &who->facts)),
		Int32GetDatum(slot),
		Int32GetDatum(who->max_attempts),
		Int64GetDatum(who->handle)
	};
	bool		nulls[lengthof(values)] = {false};

	AddChange(&decisions->tasks, values, nulls);
}

static void
WriteDecisions(Planning *plan, Channel *channel, Decisions *decisions)
{
	static SPIPlanPtr insert = NULL;
	static SPIPlanPtr contact = NULL;
	static SPIPlanPtr aside = NULL;
	Oid			types[] = {TEXTOID, TIMESTAMPTZOID, INT8OID, DATEOID};
	Datum		values[] = {CStringGetTextDatum(channel->name), TimestampTzGetDatum(plan->as_of),
		Int64GetDatum(plan->run_id), DateADTGetDatum(plan->day)};
	Changes		episodes = {1};

	if (decisions->tasks.n > 0)
	{
		(void) WriteChanges(&insert,
							"INSERT INTO custseg.task (episode_id, customer_id, playbook, channel, state, priority,"
							" planned_at, planned_run, due_at, expires_at, reason, message, slot_day, slot, max_attempts, handle,"
							" attempts)"
							" SELECT u.episode_id, u.customer_id, u.playbook, $11, 'open', u.priority,"
							" $12, nullif($13, 0), $12, $12 + pg_catalog.make_interval(days => u.task_days),"
							" u.reason, u.message, $14, u.slot, u.max_attempts, nullif(u.handle, 0),"
							/* Those of an earlier task, which was withdrawn, count. */
							" coalesce((SELECT t.attempts FROM custseg.task t WHERE t.episode_id = u.episode_id"
							"  ORDER BY t.task_id DESC LIMIT 1), 0)"
							" FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
							" u (episode_id, customer_id, playbook, priority, task_days, reason, message, slot, max_attempts, handle)",
							&decisions->tasks, lengthof(types), types, values);
		episodes.n = decisions->tasks.n;
		episodes.columns[0] = decisions->tasks.columns[0];
		(void) WriteChanges(&contact,
							"UPDATE custseg.episode SET state = 'contacting', reason = NULL, look_again_on = NULL"
							" WHERE episode_id = ANY ($1)", &episodes, 0, NULL, NULL);
	}
	if (decisions->aside.n > 0)
		(void) WriteChanges(&aside,
							"UPDATE custseg.episode e SET state = 'unreachable', reason = u.reason,"
							" look_again_on = u.look_again_on"
							" FROM unnest($1, $2, $3) u (episode_id, reason, look_again_on)"
							" WHERE e.episode_id = u.episode_id", &decisions->aside, 0, NULL, NULL);
}

/* Note that a number of ours, or a handle, has got a task; false if it had. */
static bool
IsFirst(Planning *plan, int64 number)
{
	bool		found;

	(void) hash_search(plan->planned, &number, HASH_ENTER, &found);
	return !found;
}

/* The handles of candidates, and what is known of them. */
static HandleState *
HandlesOf(Planning *plan, Channel *channel, Candidate *candidates, const Contact *contacts, const int64 *ids, int n)
{
	int64	   *handles = palloc(sizeof(int64) * n);
	bool	   *open_too = palloc(sizeof(bool) * n);
	HandleState *states = palloc0(sizeof(HandleState) * n);

	for (int i = 0; i < n; i++)
	{
		open_too[i] = true;
		handles[i] = candidates[i].handle = HandleHash(plan->salt, &contacts[i], channel->by_email);
	}
	LookAtHandles(n, handles, ids, channel->name, plan->as_of, open_too, states);
	return states;
}

/* Take the next candidates; false when there are none. */
static bool
PlanChunk(Planning *plan, Channel *channel, Portal portal)
{
	int			n;
	Candidate  *candidates;
	Contact    *contacts;
	int64	   *ids;
	HandleState *handles = NULL;
	Decisions	decisions;
	MemoryContext chunk = CurrentMemoryContext;

	CHECK_FOR_INTERRUPTS();
	SPI_cursor_fetch(portal, true, Min(CHUNK_MAX, Max(CHUNK_MIN, channel->room)));
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
		who->playbook = SpiText(i, 3);
		who->priority = Float8GetDatum(DatumGetFloat8(SpiField(i, 4, &isnull)));
		who->task_days = (int) SpiInt64(i, 5, 0);
		who->retry_days = (int) SpiInt64(i, 6, 0);
		who->suppressed = SpiInt64(i, 7, 0) != 0;
		who->body = SpiText(i, 8);
		who->max_attempts = (int) SpiInt64(i, 9, 1);
		FactsFromRow(i, 10, &who->facts);
	}
	SPI_freetuptable(SPI_tuptable);

	if (plan->contacts)
	{
		plan->reading = true;
		ReadContacts(n, ids, contacts);
		plan->reading = false;
		handles = HandlesOf(plan, channel, candidates, contacts, ids, n);
	}

	InitDecisions(&decisions);
	for (int i = 0; i < n && channel->room > 0; i++)
	{
		Candidate  *who = &candidates[i];
		const char *reason;

		if (plan->contacts)
			reason = Unreachable(&contacts[i], channel->by_email, who->suppressed, who->body != NULL, handles[i].suppressed);
		else
			reason = who->suppressed ? "suppressed" : who->body == NULL ? "no_template" : NULL;
		if (reason != NULL)
			PutAside(plan, &decisions, who, reason, who->retry_days);
		else if (!IsFirst(plan, who->customer_id))
			continue;			/* for another goal */
		else if (handles && (handles[i].taken || (who->handle != NO_HANDLE && !IsFirst(plan, who->handle))))
			PutAside(plan, &decisions, who, "same_handle", 1);
		else
		{
			PlanTask(plan, &decisions, who, NextPlace(&channel->places));
			channel->room--;
		}
	}
	WriteDecisions(plan, channel, &decisions);
	return true;
}

static void
FillChannel(Planning *plan, Channel *channel)
{
	Portal		portal;
	MemoryContext chunk;
	MemoryContext old;

	if (channel->room <= 0)
		return;
	portal = OpenCandidates(plan, channel);
	chunk = AllocSetContextCreate(CurrentMemoryContext, "custseg plan chunk", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(chunk);
	while (channel->room > 0 && PlanChunk(plan, channel, portal))
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
	Channel    *channels;
	int			nchannels;

	plan->chinese = ReadShopSettings()->chinese;
	plan->contacts = ContactsMapped();
	plan->salt = HandleSalt();
	if (plan->customers == NULL)
	{
		OptOuts		opt_outs;

		plan->reading = true;
		opt_outs = OptOutHandles();
		plan->reading = false;
		StoreOptOuts(&opt_outs);
	}
	plan->planned = hash_create("custseg planned", 256,
								&(HASHCTL) {.keysize = sizeof(int64),.entrysize = sizeof(int64),.hcxt = CurrentMemoryContext},
								HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	channels = ReadChannels(plan, &nchannels);
	for (int i = 0; i < nchannels; i++)
		FillChannel(plan, &channels[i]);
}

char *
RecallChoices(void)
{
	SpiRun("SELECT md5(concat_ws('|',"
		   " (SELECT string_agg(c::text, ' ' ORDER BY c.channel) FROM custseg.channel_choice c),"
		   " (SELECT string_agg(c::text, ' ' ORDER BY c.playbook) FROM custseg.playbook_choice c),"
		   " (SELECT string_agg(c::text, ' ' ORDER BY c::text) FROM custseg.template_choice c),"
		   " (SELECT string_agg(c::text, ' ' ORDER BY c.tier) FROM custseg.tier_policy_choice c),"
		   " (SELECT c::text FROM custseg.settings_choice c)))", 0, NULL, NULL, NULL);
	return SpiText(0, 1);
}

bool
RecallPlan(int64 run_id, TimestampTz as_of, DateADT day, ArrayType *customers, TimestampTz since,
		   ErrorData **unread)
{
	Planning	plan = {run_id, as_of, day,.customers = customers};
	int			level;
	bool		all;

	*unread = NULL;
	plan.types[0] = TIMESTAMPTZOID;
	plan.types[1] = DATEOID;
	plan.types[2] = INT8ARRAYOID;
	plan.types[3] = TIMESTAMPTZOID;
	plan.values[0] = TimestampTzGetDatum(as_of);
	plan.values[1] = DateADTGetDatum(day);
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
		CarryOver(day);

	SpiRun("SELECT FROM custseg.playbook WHERE enabled", 0, NULL, NULL, NULL);
	if (SPI_processed > 0)
	{
		*unread = Attempt(FillChannels, &plan);
		/* A mistake of ours is no fault of the customer table. */
		if (*unread && !plan.reading)
			ReThrowError(*unread);
	}
	PlanByIndexEnd(level);
	return all && *unread == NULL;
}

void
RecallPlanAll(int64 run_id, TimestampTz as_of, DateADT day)
{
	ErrorData  *unread;

	(void) RecallPlan(run_id, as_of, day, NULL, 0, &unread);
	if (unread)
		ReThrowError(unread);
}

Datum
custseg_recall_plan(PG_FUNCTION_ARGS)
{
	int64		run_id = PG_GETARG_INT64(0);
	TimestampTz as_of = PG_GETARG_TIMESTAMPTZ(1);
	Guard		guard;

	SPI_connect();
	GuardEnter(&guard, ExtensionOwner());
	RecallPlanAll(run_id, as_of, ShopDay(as_of, ReadShopSettings()->time_zone));
	GuardLeave(&guard);
	SPI_finish();
	PG_RETURN_VOID();
}
