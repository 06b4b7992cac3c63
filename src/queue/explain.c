/*
 * explain.c
 *		Why a task exists, in words.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "common/guard.h"
#include "common/settings.h"
#include "common/spi.h"
#include "common/words.h"
#include "playbook/channel.h"
#include "playbook/playbook.h"

PG_FUNCTION_INFO_V1(custseg_explain_task);

typedef struct Explanation
{
	ReturnSetInfo *result;
	bool		chinese;
	const char *zone;
} Explanation;

static void
SayTopic(Explanation *e, const char *topic, const char *in_chinese, const char *text)
{
	Datum		values[2] = {CStringGetTextDatum(Words(e->chinese, topic, in_chinese)), CStringGetTextDatum(text)};
	bool		nulls[2] = {false, false};

	tuplestore_putvalues(e->result->setResult, e->result->setDesc, values, nulls);
}

static const char *
TextOr(const char *text, const char *otherwise)
{
	return text ? text : otherwise;
}

Datum
custseg_explain_task(PG_FUNCTION_ARGS)
{
	Explanation e = {0};
	ShopSettings *settings;
	Oid			types[] = {INT8OID, TEXTOID};
	Datum		values[] = {PG_GETARG_DATUM(0), (Datum) 0};
	Playbook	playbook = {0};
	Channel		channel = {0};
	bool		known;
	bool		offered;
	Guard		guard;

	enum
	{
		STATE = 1, OUTCOME, REASON, PLAYBOOK, VERSION, GOAL, SINCE, ELIGIBLE, OPENED_BY,
		TIER, CHANNEL, TIER_CHANNEL, SLOT_DAY, SLOT, PRIORITY,
		DUE, EXPIRES, BEFORE, ATTEMPTS, MAX_ATTEMPTS, CLAIMED_BY, LEASE_UNTIL, PLANNED
	};
	char	   *column[PLANNED + 1];
#define COLUMN(c) column[c]

	InitMaterializedSRF(fcinfo, 0);
	e.result = (ReturnSetInfo *) fcinfo->resultinfo;
	OwnerBegin(&guard);
	settings = ReadShopSettings();
	e.chinese = settings->chinese;
	values[1] = CStringGetTextDatum(settings->time_zone);
	SpiRun("SELECT t.state, t.outcome, t.reason, e.playbook, e.version, e.goal, e.since, e.eligible_on, e.opened_by,"
		   " s.tier, t.channel, y.channel, t.slot_day, t.slot, round(t.priority::numeric, 2),"
		   " to_char(t.due_at AT TIME ZONE $2, 'YYYY-MM-DD HH24:MI'),"
		   " to_char(t.expires_at AT TIME ZONE $2, 'YYYY-MM-DD HH24:MI'),"
		   " (SELECT count(*) FROM custseg.task o WHERE o.channel = t.channel AND o.state = 'open'"
		   "  AND o.wake_at IS NULL AND (o.priority, -o.task_id) > (t.priority, -t.task_id)),"
		   " t.attempts, t.max_attempts, t.claimed_by,"
		   " to_char(t.lease_until AT TIME ZONE $2, 'YYYY-MM-DD HH24:MI'),"
		   " to_char(t.planned_at AT TIME ZONE $2, 'YYYY-MM-DD HH24:MI')"
		   " FROM custseg.task t JOIN custseg.episode e USING (episode_id)"
		   " LEFT JOIN custseg.standing s ON s.customer_id = t.customer_id"
		   " LEFT JOIN custseg.tier_policy y ON y.tier = s.tier"
		   " WHERE t.task_id = $1", 2, types, values, NULL);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("task %lld does not exist", (long long) PG_GETARG_INT64(0)),
				 errhint("See custseg.task for those that do.")));

	for (int c = STATE; c <= PLANNED; c++)
		column[c] = SpiText(0, c);
	known = ReadPlaybook(COLUMN(PLAYBOOK), true, &playbook);
	offered = ReadChannel(COLUMN(CHANNEL), true, &channel);

	SayTopic(&e, "customer", "客户", COLUMN(REASON));
	SayTopic(&e, "episode", "沉默周期",
		psprintf(Words(e.chinese, "last order %s; eligible on %s (%s); playbook %s version %s, goal %s",
					   "末次下单%s；%s符合条件（%s）；方案%s第%s版，目标%s"),
				 COLUMN(SINCE), COLUMN(ELIGIBLE),
				 strcmp(COLUMN(OPENED_BY), "data") == 0 ? Words(e.chinese, "by new data", "数据变化") :
				 strcmp(COLUMN(OPENED_BY), "time") == 0 ? Words(e.chinese, "as time passed", "时间推移") :
				 Words(e.chinese, "backlog when the playbook was enabled", "启用方案时的积压"),
				 COLUMN(PLAYBOOK), COLUMN(VERSION), COLUMN(GOAL)));
	SayTopic(&e, "arm", "分组",
		psprintf(Words(e.chinese, "contact: drawn by a salted hash of the customer's key; %s%% are held out as controls",
					   "触达组：按客户编号加盐哈希抽取，对照组占%s%%"),
				 known ? psprintf("%.1f", 100 * playbook.holdout) : "?"));
	SayTopic(&e, "channel", "渠道",
		psprintf(Words(e.chinese, "%s (needs %s): the customer is tier %s, whose channel is now %s",
					   "%s（需要%s）：客户层级为%s，该层级的渠道现为%s"),
				 COLUMN(CHANNEL), !offered ? "?" : channel.by_email ? "email" : "phone", TextOr(COLUMN(TIER), "?"), TextOr(COLUMN(TIER_CHANNEL), "?")));
	if (COLUMN(SLOT) == NULL)
		SayTopic(&e, "day", "日期",
			psprintf(Words(e.chinese, "planned for %s; its place was given back", "计划于%s，名额已让出"),
					 COLUMN(SLOT_DAY)));
	else
		SayTopic(&e, "day", "日期",
			psprintf(Words(e.chinese, "%s, place %s of a daily capacity of %s; planned at %s, the best of those who waited first",
						   "%s，第%s个名额，每日容量%s；于%s按价值从高到低排入"),
					 COLUMN(SLOT_DAY), COLUMN(SLOT), offered ? psprintf("%d", channel.capacity) : "?", COLUMN(PLANNED)));
	SayTopic(&e, "order", "顺序",
		psprintf(Words(e.chinese, "priority %s, the customer's spend; %s open tasks come before it",
					   "优先级%s（累计消费）；前面还有%s个待领取任务"),
				 COLUMN(PRIORITY), COLUMN(BEFORE)));
	SayTopic(&e, "time", "时间",
		psprintf(Words(e.chinese, "due %s, expires %s; %s failed tries of %s", "%s起可领取，%s过期；已失败%s次，最多%s次"),
				 COLUMN(DUE), COLUMN(EXPIRES), COLUMN(ATTEMPTS), TextOr(COLUMN(MAX_ATTEMPTS), "?")));
	if (COLUMN(LEASE_UNTIL) != NULL)
		SayTopic(&e, "state", "状态",
			psprintf(Words(e.chinese, "held by %s until %s", "由%s领取，至%s"),
					 TextOr(COLUMN(CLAIMED_BY), "?"), COLUMN(LEASE_UNTIL)));
	else
		SayTopic(&e, "state", "状态",
			COLUMN(OUTCOME) ? psprintf("%s: %s", COLUMN(STATE), COLUMN(OUTCOME)) : COLUMN(STATE));
	OwnerEnd(&guard);
	return (Datum) 0;
}
