/*
 * dry_run.c
 *		What a playbook would do, before it is allowed to.
 *
 * The audience, its arms and the reasons why somebody cannot be reached are
 * found with the very expressions that enable() and the plan use, so that the
 * report shows what will happen and not an estimate of it. Only the coming
 * days are a forecast: who falls silent then is known if nobody orders, which
 * makes it an upper bound, and the report says so.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "common/guard.h"
#include "common/input.h"
#include "common/settings.h"
#include "common/spi.h"
#include "common/stream.h"
#include "common/words.h"
#include "person/contact.h"
#include "person/handle.h"
#include "playbook/audience.h"
#include "playbook/channel.h"
#include "playbook/message.h"
#include "playbook/playbook.h"
#include "playbook/suppress.h"
#include "queue/reach.h"
#include "queue/same_person.h"
#include "queue/slots.h"
#include "recall/arm.h"
#include "recall/audience.h"

#define CHUNK 256
#define DAYS 7
#define SAMPLES 3

static const char *const reasons[] = {
	"suppressed", "no_template", "no_contact", "opted_out", "no_handle", "channel_off"
};

typedef struct Lane
{
	char	   *channel;		/* NULL: the tier has none that is on */
	char	   *tier;
	char	   *body;			/* of the message; NULL when there is none */
	bool		by_email;
	int64		capacity;
	int64		free_today;
	double		cost;
	int64		customers;
	int64		controls;
	int64		reachable;
	int64		arriving[DAYS];
	int64		unreachable[lengthof(reasons)];
	int			nsamples;
	char	   *samples[SAMPLES];
} Lane;

typedef struct DryRun
{
	Playbook	playbook;
	TimestampTz as_of;
	DateADT		day;
	bool		chinese;
	bool		contacts;
	OptOuts		opt_outs;		/* of the shop's own */
	int			nlanes;
	Lane	   *lanes;
	MemoryContext keep;
	ReturnSetInfo *result;
} DryRun;

static void
SayLine(DryRun *run, const char *text)
{
	Datum		values[1] = {CStringGetTextDatum(text)};
	bool		nulls[1] = {false};

	tuplestore_putvalues(run->result->setResult, run->result->setDesc, values, nulls);
}

static void
OpenLane(DryRun *run, Lane *lane)
{
	Channel		channel;
	Slots		slots;

	if (lane->channel == NULL || !ReadChannel(lane->channel, true, &channel) || !channel.enabled)
	{
		lane->channel = NULL;
		return;
	}
	ReadSlots(channel.name, channel.capacity, run->day, &slots);
	lane->by_email = channel.by_email;
	lane->capacity = channel.capacity;
	lane->free_today = Max(0, channel.capacity - slots.ntaken);
	lane->cost = DatumGetFloat8(DirectFunctionCall1(numeric_float8, channel.cost));
	lane->body = MessageBody(run->playbook.name, channel.name, run->chinese);
}

/* One lane a tier: its channel, what the channel can do, and who will come. */
static void
ReadLanes(DryRun *run)
{
	MemoryContext old;

	SpiRun("SELECT y.tier::text, y.channel FROM custseg.tier_policy y ORDER BY y.tier", 0, NULL, NULL, NULL);
	old = MemoryContextSwitchTo(run->keep);
	run->nlanes = (int) SPI_processed;
	run->lanes = palloc0(sizeof(Lane) * Max(run->nlanes, 1));
	for (int i = 0; i < run->nlanes; i++)
	{
		run->lanes[i].tier = SpiText(i, 1);
		run->lanes[i].channel = SpiText(i, 2);
	}
	SPI_freetuptable(SPI_tuptable);
	for (int i = 0; i < run->nlanes; i++)
		OpenLane(run, &run->lanes[i]);
	MemoryContextSwitchTo(old);

	for (int i = 0; i < run->nlanes; i++)
	{
		Oid			argtypes[] = {DATEOID, TEXTOID};
		Datum		args[] = {DateADTGetDatum(run->day), CStringGetTextDatum(run->lanes[i].tier)};

		SpiRun("SELECT (s.silent_at - $1)::integer, count(*) FROM custseg.standing s"
			   " WHERE s.silent_at > $1 AND s.silent_at < $1 + 7 AND s.tier::text = $2"
			   " AND " AUDIENCE_TO_COME " GROUP BY 1", 2, argtypes, args, NULL);
		for (uint64 row = 0; row < SPI_processed; row++)
			run->lanes[i].arriving[SpiInt64(row, 1, 1)] = SpiInt64(row, 2, 0);
	}
}

static Lane *
LaneOf(DryRun *run, const char *tier)
{
	for (int i = 0; i < run->nlanes; i++)
		if (tier != NULL && strcmp(run->lanes[i].tier, tier) == 0)
			return &run->lanes[i];
	return NULL;
}

static void
SampleMessage(DryRun *run, Lane *lane, const CustomerFacts *facts, const char *name)
{
	MemoryContext old;
	char	   *message;

	if (lane->nsamples == SAMPLES)
		return;
	if (name == NULL || name[0] == '\0')
		name = DearCustomer(run->chinese);
	message = RenderName(RenderMessage(lane->body, facts), name);
	old = MemoryContextSwitchTo(run->keep);
	lane->samples[lane->nsamples++] = psprintf("%s (%s): %s", lane->channel, RenderReason(facts, run->chinese), message);
	MemoryContextSwitchTo(old);
}

/* Whether somebody with the same number must not be contacted through the channel of their lane. */
static void
LookAtLanes(DryRun *run, const CustomerFacts *facts, const Contact *contacts, const int64 *ids, int n, bool *suppressed)
{
	Handle	   *handles = palloc(sizeof(Handle) * n);
	bool	   *open_too = palloc0(sizeof(bool) * n);
	HandleState *states = palloc(sizeof(HandleState) * n);
	HandleSalt	salt = ReadHandleSalt();

	for (int l = 0; l < run->nlanes; l++)
	{
		const Lane *lane = &run->lanes[l];

		if (lane->channel == NULL)
			continue;
		for (int i = 0; i < n; i++)
			handles[i] = LaneOf(run, facts[i].tier) == lane ? ContactHandle(&salt, &contacts[i], lane->by_email) : no_handle;
		LookAtHandles(n, handles, ids, lane->channel, run->as_of, open_too, states);
		for (int i = 0; i < n; i++)
			suppressed[i] |= states[i].suppressed || IsOptOut(&run->opt_outs, &handles[i]);
	}
}

static bool
LookAtChunk(DryRun *run, Portal portal)
{
	int			n;
	int64	   *ids;
	Contact    *contacts;
	bool	   *control;
	bool	   *suppressed;
	bool	   *same_suppressed;
	CustomerFacts *facts;
	int			level;
	MemoryContext chunk = CurrentMemoryContext;

	CHECK_FOR_INTERRUPTS();
	SPI_cursor_fetch(portal, true, CHUNK);
	MemoryContextSwitchTo(chunk);
	n = (int) SPI_processed;
	if (n == 0)
		return false;

	ids = palloc(sizeof(int64) * n);
	contacts = palloc0(sizeof(Contact) * n);
	control = palloc(sizeof(bool) * n);
	suppressed = palloc(sizeof(bool) * n);
	same_suppressed = palloc0(sizeof(bool) * n);
	facts = palloc0(sizeof(CustomerFacts) * n);
	for (int i = 0; i < n; i++)
	{
		ids[i] = SpiInt64(i, 1, 0);
		control[i] = SpiInt64(i, 2, 0) != 0;
		suppressed[i] = SpiInt64(i, 3, 0) != 0;
		FactsFromRow(i, 4, &facts[i]);
	}
	SPI_freetuptable(SPI_tuptable);
	if (run->contacts)
	{
		ReadContacts(n, ids, contacts);
		level = PlanByIndexBegin();
		LookAtLanes(run, facts, contacts, ids, n, same_suppressed);
		PlanByIndexEnd(level);
	}

	for (int i = 0; i < n; i++)
	{
		Lane	   *lane = LaneOf(run, facts[i].tier);
		const char *reason;

		if (lane == NULL)
			continue;
		lane->customers++;
		if (control[i])
		{
			lane->controls++;
			continue;
		}
		if (lane->channel == NULL)
			reason = "channel_off";
		else if (run->contacts)
			reason = Unreachable(&contacts[i], lane->by_email, suppressed[i], lane->body != NULL, same_suppressed[i]);
		else
			reason = suppressed[i] ? "suppressed" : lane->body == NULL ? "no_template" : NULL;
		if (reason == NULL)
		{
			lane->reachable++;
			SampleMessage(run, lane, &facts[i], contacts[i].name);
			continue;
		}
		for (int r = 0; r < lengthof(reasons); r++)
			if (strcmp(reasons[r], reason) == 0)
				lane->unreachable[r]++;
	}
	return true;
}

static void
LookAtAudience(DryRun *run)
{
	Oid			types[] = {TIMESTAMPTZOID, DATEOID, TEXTOID};
	Datum		values[] = {TimestampTzGetDatum(run->as_of), DateADTGetDatum(run->day), CStringGetTextDatum(run->playbook.name)};
	MemoryContext chunk;
	MemoryContext old;
	Portal		portal;

	portal = SpiPrivateCursor(psprintf("SELECT a.customer_id,"
									   " " ARM_OF_A " = 'control',"
									   " " IS_SUPPRESSED("a.customer_id", "y.channel", "$1") ", "
									   FACTS_COLUMNS
									   " FROM (%s) a" ARM_BEFORE
									   " JOIN custseg.standing s ON s.customer_id = a.customer_id"
									   " JOIN custseg.profile p ON p.customer_id = a.customer_id"
									   " LEFT JOIN custseg.tier_policy y ON y.tier = s.tier"
									   " WHERE NOT EXISTS (SELECT FROM custseg.episode e WHERE e.goal = a.goal"
									   "  AND e.customer_id = a.customer_id AND e.since = a.since)"
									   " ORDER BY a.priority DESC, a.since DESC,"
									   " p.customer_key COLLATE \"C\", a.customer_id",
									   BacklogAudience()),
							  3, types, values);
	chunk = AllocSetContextCreate(CurrentMemoryContext, "custseg dry run chunk", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(chunk);
	while (LookAtChunk(run, portal))
		MemoryContextReset(chunk);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(chunk);
	SPI_cursor_close(portal);
}

static void
ReportAudience(DryRun *run, double holdout, int backlog_days)
{
	int64		customers = 0,
				controls = 0,
				reachable = 0;

	for (int i = 0; i < run->nlanes; i++)
	{
		customers += run->lanes[i].customers;
		controls += run->lanes[i].controls;
		reachable += run->lanes[i].reachable;
	}
	SayLine(run, psprintf(Words(run->chinese, "%s as of %s: silent for at most %d days: %lld customers",
							"方案%s，截至%s：沉默不超过%d天的客户%lld位"),
					  run->playbook.name,
					  DatumGetCString(DirectFunctionCall1(date_out, DateADTGetDatum(run->day))),
					  backlog_days, (long long) customers));
	SayLine(run, psprintf(Words(run->chinese, "controls (%.1f%%), never contacted: %lld; can be contacted: %lld; cannot be reached: %lld",
							"对照组（%.1f%%）%lld位，不联系；可联系%lld位；联系不上%lld位"),
					  holdout * 100, (long long) controls, (long long) reachable,
					  (long long) (customers - controls - reachable)));
	if (!run->contacts)
		SayLine(run, Words(run->chinese, "no customer table is registered (add_customers): tasks will come without name and handle",
					   "尚未登记客户表（add_customers）：领取任务时不显示姓名和联系方式"));
	for (int i = 0; i < run->nlanes; i++)
	{
		Lane	   *lane = &run->lanes[i];

		SayLine(run, psprintf(Words(run->chinese, "  tier %s by %s: %lld customers, %lld controls, %lld can be contacted",
								"  层级%s，渠道%s：%lld位，对照%lld位，可联系%lld位"),
						  lane->tier, lane->channel ? lane->channel : "-", (long long) lane->customers,
						  (long long) lane->controls, (long long) lane->reachable));
		for (int r = 0; r < lengthof(reasons); r++)
			if (lane->unreachable[r] > 0)
				SayLine(run, psprintf(Words(run->chinese, "    not reached, %s: %lld", "    联系不上（%s）：%lld位"),
								  reasons[r], (long long) lane->unreachable[r]));
	}
}

static void
ReportDays(DryRun *run, double holdout)
{
	double		total = 0;

	SayLine(run, Words(run->chinese, "tasks in the coming days (at most: whoever orders before falling silent drops out):",
				   "未来几天的任务数（若期间无人下单，此为上限）："));
	for (int i = 0; i < run->nlanes; i++)
	{
		Lane	   *lane = &run->lanes[i];
		double		rate = lane->customers > lane->controls ?
			(double) lane->reachable / (lane->customers - lane->controls) : 1;
		double		waiting = lane->reachable;
		double		tasks = 0;
		StringInfoData days;

		if (lane->channel == NULL)
			continue;
		initStringInfo(&days);
		for (int day = 0; day < DAYS; day++)
		{
			int64		today;

			waiting += lane->arriving[day] * (1 - holdout) * rate;
			today = (int64) Min(waiting + 0.5, (double) (day > 0 ? lane->capacity : lane->free_today));
			waiting = Max(0, waiting - today);
			tasks += today;
			appendStringInfo(&days, "%s%lld", day > 0 ? ", " : "", (long long) today);
		}
		total += tasks * lane->cost;
		SayLine(run, psprintf(Words(run->chinese, "  %s (at most %lld a day): %s; cost %.2f",
								"  %s（每日最多%lld个）：%s；成本%.2f"),
						  lane->channel, (long long) lane->capacity, days.data, tasks * lane->cost));
	}
	SayLine(run, psprintf(Words(run->chinese, "cost of these %d days: %.2f", "%d天成本合计：%.2f"), DAYS, total));
}

static void
ReportSamples(DryRun *run)
{
	int			shown = 0;

	SayLine(run, Words(run->chinese, "samples:", "示例："));
	for (int n = 0; n < SAMPLES && shown < SAMPLES; n++)
		for (int i = 0; i < run->nlanes && shown < SAMPLES; i++)
			if (n < run->lanes[i].nsamples)
			{
				SayLine(run, psprintf("  %s", run->lanes[i].samples[n]));
				shown++;
			}
}

static Datum
DryRunCall(FunctionCallInfo fcinfo, int first, TimestampTz as_of)
{
	DryRun		run = {.as_of = as_of};
	ShopSettings *settings;
	int			backlog_days;
	Guard		guard;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	run.result = (ReturnSetInfo *) fcinfo->resultinfo;

	OwnerBegin(&guard);
	run.keep = CurrentMemoryContext;
	settings = ReadShopSettings();
	run.chinese = settings->chinese;
	run.day = ShopDay(run.as_of, settings->time_zone);
	run.contacts = ContactsMapped();
	if (run.contacts)
		run.opt_outs = OptOutHandles();
	(void) ReadPlaybook(ArgText(fcinfo, first, "playbook"), false, &run.playbook);
	SpiRun("SELECT s.backlog_days FROM custseg.settings s", 0, NULL, NULL, NULL);
	backlog_days = (int) SpiInt64(0, 1, 0);

	(void) ReadHandleSalt();
	ReadLanes(&run);
	LookAtAudience(&run);
	ReportAudience(&run, run.playbook.holdout, backlog_days);
	ReportDays(&run, run.playbook.holdout);
	ReportSamples(&run);
	PlaybookNote(run.playbook.name, "dry_run_at", TimestampTzGetDatum(run.as_of), TIMESTAMPTZOID);
	OwnerEnd(&guard);
	return (Datum) 0;
}

CLOCK_AND_REPLAY(dry_run, DryRunCall)
