/*
 * explain.c
 *		Why a customer is labelled so, in words.
 *
 * Built from the same facts and the same evaluation as the labels themselves,
 * so that an explanation cannot say anything else than what is stored.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "common/guard.h"
#include "common/settings.h"
#include "common/spi.h"
#include "facts/event.h"
#include "person/person.h"
#include "segment/clock.h"
#include "segment/explain_models.h"
#include "segment/explanation.h"
#include "timeline/amount.h"

PG_FUNCTION_INFO_V1(custseg_explain);
PG_FUNCTION_INFO_V1(custseg_label_name);

static void
ExplainScore(Explanation *why, const char *label, int score, const char *rule,
			 const char *number, const char *cuts)
{
	if (score == 0)
		Say(why, label, NULL, rule,
			psprintf(WORDS("%s; no cut points yet: they come with the first CALL custseg.refresh()",
						   "%s；尚无分界点：首次 CALL custseg.refresh() 之后才有"), number));
	else
		Say(why, label, psprintf("%d", score), rule,
			psprintf(WORDS("%s; cut points %s, equal is not above",
						   "%s；分界点 %s，等于不算超过"), number, cuts));
}

static void
ExplainScores(Explanation *why)
{
	const Facts *facts = &why->facts;
	DateADT		start = FactsStart(facts);
	int64		days = (int64) why->day - start;

	ExplainScore(why, "r_score", why->now.r_score,
				 WORDS("5 less the number of quintile cut points that the days since the last order exceed",
					   "距上次下单的天数每超过一个五分位点，从 5 分中减 1 分"),
				 facts->rhythm.order_days > 0 ?
				 psprintf(WORDS("%s since the last order on %s", "距上次下单（%2$s）%1$s"),
						  Days(why, days), Day(start)) :
				 psprintf(WORDS("no order; %s since the last refund on %s",
								"无订单；距上次退款（%2$s）%1$s"), Days(why, days), Day(start)),
				 Cuts(why->rules.r_cuts, false));
	ExplainScore(why, "f_score", why->now.f_score,
				 WORDS("1 plus the number of quintile cut points that the orders exceed",
					   "1 分起，订单数每超过一个五分位点加 1 分"),
				 psprintf(WORDS("%s on %s", "%s，分布在 %s"),
						  Orders(why, facts->orders), Days(why, facts->rhythm.order_days)),
				 Cuts(why->rules.f_cuts, false));
	ExplainScore(why, "m_score", why->now.m_score,
				 WORDS("1 plus the number of quintile cut points that net spend exceeds",
					   "1 分起，净消费额每超过一个五分位点加 1 分"),
				 psprintf(WORDS("net spend %s (orders %s, refunds %s)",
								"净消费 %s（订单 %s，退款 %s）"),
						  Money(facts->gross - facts->refunded), Money(facts->gross),
						  Money(facts->refunded)),
				 Cuts(why->rules.m_cuts, true));
}

static void
ExplainTier(Explanation *why)
{
	int64		spend = why->facts.gross - why->facts.refunded;

	Say(why, "tier", tier_names[why->now.tier][0],
		psprintf(WORDS("high: the top %s of customers by net spend, mid: the next %s, low: the rest",
					   "按净消费额：前 %s 为高价值，其后 %s 为中价值，其余为低价值"),
				 Percent(why->high_share), Percent(why->mid_share)),
		why->facts.rhythm.order_days == 0 ?
		pstrdup(WORDS("refunds but no order: always low", "只有退款没有订单：一律为低价值")) :
		psprintf(WORDS("net spend %s; high above %s, mid above %s",
					   "净消费 %s；超过 %s 为高价值，超过 %s 为中价值"),
				 Money(spend), Cut(why, why->rules.tier_high_cut),
				 Cut(why, why->rules.tier_mid_cut)));
}

static const char *
SilenceRuleText(Explanation *why, SilenceRule rule)
{
	switch (rule)
	{
		case SILENCE_FIXED:
			return WORDS("last order + the tier's days of silence", "上次下单 + 该层级的沉默天数");
		case SILENCE_GAP:
			return psprintf(WORDS("last order + the gap that %s of the customer's own gaps do not exceed",
								  "上次下单 + 自身购买间隔的 %s 分位数"),
							Percent(why->rules.gap_quantile));
		case SILENCE_ALIVE:
			return psprintf(WORDS("the first day on which P(alive) is not above %g",
								  "存活概率 P(alive) 首次不高于 %g 的日期"),
							why->rules.alive_level);
		case SILENCE_SHORTEST:
			return WORDS("last order + the fewest days of a personal silence in the tier",
						 "上次下单 + 该层级个性化沉默的最少天数");
		case SILENCE_LONGEST:
			return WORDS("last order + the most days of a personal silence in the tier",
						 "上次下单 + 该层级个性化沉默的最多天数");
	}
	return "";
}

/* The customer's own numbers beside the tier's. */
static const char *
SilenceDetail(Explanation *why, Silence silence)
{
	const Rules *rules = &why->rules;
	const Rhythm *rhythm = &why->facts.rhythm;
	int			tier = why->now.tier;
	const char *gap = WORDS("no gap rule", "尚无间隔规则");
	const char *alive = WORDS("P(alive) not used: the model does not tell who left, or a first order starts no higher than the level",
							  "未使用存活概率：模型无法识别流失，或首单时已不高于该水平");

	if (!IsPersonal(rules, tier, rhythm))
		return psprintf(WORDS("%d days%s", "%d 天%s"), rules->silent_days[tier],
						!rules->personal[tier] ? "" : rhythm->order_days == 0 ?
						WORDS(" (no own rhythm without an order)", "（无订单，无自身节奏）") :
						WORDS(" (personal, but no calibration has a rule for it yet)",
							  "（已设为个性化，但尚无可用的校准规则）"));
	if (rules->gap.usable)
		gap = psprintf(WORDS("%s of own gaps within %s", "自身间隔的 %s 在 %s以内"),
					   Percent(rules->gap_quantile),
					   Days(why, GapDays(rules, rhythm, rules->gap_z, PG_INT32_MAX)));
	if (rules->alive != NULL)
		alive = psprintf(WORDS("P(alive) %.4f after %s, level %g",
							   "存活概率 %.4f（%s后），水平 %g"),
						 AliveAfter(rules, rhythm, silence.days), Days(why, silence.days),
						 rules->alive_level);
	return psprintf(WORDS("%d to %d days; %s; %s", "%d 至 %d 天；%s；%s"),
					rules->silent_min_days[tier], rules->silent_max_days[tier], gap, alive);
}

static void
ExplainClocks(Explanation *why)
{
	const Facts *facts = &why->facts;
	const Rules *rules = &why->rules;
	int			tier = why->now.tier;
	Silence		silence = SilenceOf(rules, tier, &facts->rhythm);
	int32		median = OwnMedianGap(rules, tier, facts, PG_INT32_MAX);
	const char *tier_name = WORDS(tier_names[tier][0], tier_names[tier][1]);
	const char *start = facts->rhythm.order_days > 0 ?
		psprintf(WORDS("last order %s", "上次下单 %s"), Day(FactsStart(facts))) :
		psprintf(WORDS("no order, last refund %s", "无订单，上次退款 %s"), Day(FactsStart(facts)));
	const char *gap = median < 0 ? WORDS("no own gap yet", "尚无自身购买间隔") :
		psprintf(WORDS("own median gap %s", "自身购买间隔中位数 %s"), Days(why, median));
	int64		lost = MultipleOfDays(rules->lost_multiple, silence.days);

	Say(why, "follow_up_at", Day(why->now.follow_up_at),
		WORDS("last order + the tier's days or the own median gap, whichever is longer, but not after silent_at",
			  "上次下单 + 该层级的回访天数与自身购买间隔中位数中较长者，不晚于 silent_at"),
		psprintf(WORDS("%s; tier %s: %d days; %s; silent after %d days",
					   "%s；%s：%d 天；%s；%d 天后沉默"),
				 start, tier_name, rules->follow_up_days[tier], gap, silence.days));
	Say(why, "silent_at", Day(why->now.silent_at), SilenceRuleText(why, silence.rule),
		psprintf(WORDS("%s; tier %s: %s", "%s；%s：%s"),
				 start, tier_name, SilenceDetail(why, silence)));
	Say(why, "lost_at", Day(why->now.lost_at),
		psprintf(WORDS("last order + %d days or %g times the silence, whichever is longer",
					   "上次下单 + %d 天与沉默天数的 %g 倍中较长者"),
				 rules->lost_days, rules->lost_multiple),
		psprintf(WORDS("%s; %g x %d days = %lld days; at least %d days",
					   "%s；%g × %d 天 = %lld 天；至少 %d 天"),
				 start, rules->lost_multiple, silence.days, (long long) lost,
				 rules->lost_days));
}

static const char *
LifecycleRule(Explanation *why)
{
	switch ((Lifecycle) why->now.lifecycle)
	{
		case LIFECYCLE_PROSPECT:
			return WORDS("no order and no refund by the day", "截至当日没有订单也没有退款");
		case LIFECYCLE_NEW:
			return WORDS("one day with orders, and follow_up_at has not come",
						 "只有一天下过单，且未到 follow_up_at");
		case LIFECYCLE_ACTIVE:
			return WORDS("follow_up_at has not come", "未到 follow_up_at");
		case LIFECYCLE_AT_RISK:
			return why->facts.rhythm.order_days == 0 ?
				WORDS("refunds but no order, and silent_at has not come",
					  "只有退款没有订单，且未到 silent_at") :
				WORDS("follow_up_at has come, silent_at has not",
					  "已到 follow_up_at，未到 silent_at");
		case LIFECYCLE_SILENT:
			return WORDS("silent_at has come, lost_at has not", "已到 silent_at，未到 lost_at");
		case LIFECYCLE_LOST:
			return WORDS("lost_at has come", "已到 lost_at");
		case LIFECYCLE_REACTIVATED:
			return WORDS("the last order came after the silence of the history before it, and follow_up_at has not come",
						 "上次下单发生在此前历史的沉默期之后，且未到 follow_up_at");
	}
	return "";
}

/* Why somebody without an order is a customer at all: some source says that there is such a person. */
static const char *
ProspectDetail(Explanation *why)
{
	Oid			types[1] = {INT8OID};
	Datum		values[1] = {Int64GetDatum(why->customer_id)};
	const char *detail = psprintf(WORDS("nothing up to %s", "截至 %s 无记录"), Day(why->day));

	SpiRun("SELECT min(a.registered_on), string_agg(m.relation_name::text, ', ' ORDER BY a.source_id)"
		   " FROM custseg.profile_attribute a JOIN custseg.source_mapping m USING (source_id)"
		   " WHERE a.customer_id = ANY (ARRAY(SELECT g.customer_id FROM custseg.members($1) g (customer_id)))",
		   1, types, values, NULL);
	if (SpiText(0, 2) == NULL)
		return detail;
	if (SpiText(0, 1) == NULL)
		return psprintf(WORDS("%s; known from %s", "%s；来自 %s"), detail, SpiText(0, 2));
	return psprintf(WORDS("%s; known from %s, registered on %s", "%s；来自 %s，注册于 %s"), detail, SpiText(0, 2),
					SpiText(0, 1));
}

static void
ExplainLifecycle(Explanation *why)
{
	const Facts *facts = &why->facts;
	const char *detail;

	if (why->now.lifecycle == LIFECYCLE_PROSPECT)
		detail = ProspectDetail(why);
	else
	{
		detail = psprintf(WORDS("on %s: follow_up_at %s, silent_at %s, lost_at %s; orders on %s",
								"%s：follow_up_at %s，silent_at %s，lost_at %s；共 %s下过单"),
						  Day(why->day), Day(why->now.follow_up_at), Day(why->now.silent_at),
						  Day(why->now.lost_at), Days(why, facts->rhythm.order_days));
		if (facts->prior_silent_at != NO_DAY)
			detail = psprintf(WORDS("%s; before the last order on %s the silence would have begun on %s",
									"%s；上次下单（%s）之前，沉默本应始于 %s"),
							  detail, Day(facts->rhythm.last_order), Day(facts->prior_silent_at));
	}
	if (facts->void_days > 0)
		detail = psprintf(WORDS("%s; %s on which all that was bought went back does not count",
								"%s；有 %s当日购买全部退款，不计入"),
						  detail, Days(why, facts->void_days));
	Say(why, "lifecycle", lifecycle_names[why->now.lifecycle][0], LifecycleRule(why), detail);
}

static const char *
QuadrantRule(Explanation *why)
{
	switch ((Quadrant) why->now.quadrant)
	{
		case QUADRANT_HIGH_VALUE_REGULAR:
			return WORDS("frequent and valuable, not silent", "购买频次高且价值高，未沉默");
		case QUADRANT_RISING_VIP:
			return WORDS("valuable, not frequent, not silent", "价值高但频次不高，未沉默");
		case QUADRANT_STEADY_REGULAR:
			return WORDS("frequent, not valuable, follow_up_at has not come",
						 "频次高但价值不高，未到 follow_up_at");
		case QUADRANT_AT_RISK_REGULAR:
			return WORDS("frequent, not valuable, follow_up_at has come",
						 "频次高但价值不高，已到 follow_up_at");
		case QUADRANT_RECENT_LIGHT:
			return WORDS("neither frequent nor valuable, not silent", "频次与价值均不高，未沉默");
		case QUADRANT_SILENT_CHURN:
			return WORDS("neither frequent nor valuable, silent", "频次与价值均不高，已沉默");
		case QUADRANT_LAPSED_REGULAR:
			return WORDS("frequent and valuable, silent", "频次高且价值高，已沉默");
		case QUADRANT_LAPSED_VIP:
			return WORDS("valuable, not frequent, silent", "价值高但频次不高，已沉默");
		case QUADRANT_ANGRY_CHURN:
			return why->facts.rhythm.order_days == 0 ?
				WORDS("refunds but no order", "只有退款没有订单") :
				HasComplaint(&why->facts) ?
				WORDS("left (follow_up_at has come) with a complaint on the last order day or later that was not resolved",
					  "已离开（已到 follow_up_at），且最后下单日当天或之后有投诉尚未解决") :
				WORDS("left (follow_up_at has come) after a last refund that took back a large share of the last order day, or with a large share of all orders refunded",
					  "已离开（已到 follow_up_at），且最后的退款占最后下单日金额的比例过高，或总退款占比过高");
	}
	return "";
}

static const char *
Share(int64 refunded, int64 gross)
{
	if (gross == 0)
		return refunded == 0 ? "0 %" : "> 100 %";
	return psprintf("%.1f %%", 100.0 * refunded / gross);
}

/* Where the number of orders of a frequent customer is from. */
static const char *
FrequentBy(Explanation *why)
{
	if (why->f_is_set)
		return WORDS("as set", "按设置");
	if (why->rules.scored && why->rules.f_cuts[2] > why->f_default)
		return psprintf(WORDS("more than the default %d: 60 %% of customers have at most that many",
							  "高于默认的 %d 单：60 %% 的客户不超过此数"), why->f_default);
	return WORDS("the default", "默认");
}

/* The last complaint, and what became of it; nothing without one. */
static const char *
ComplaintDetail(Explanation *why)
{
	const Facts *facts = &why->facts;

	if (facts->last_complaint == NO_DAY)
		return "";
	if (facts->last_resolved >= facts->last_complaint)
		return psprintf(WORDS("; last complaint %s, resolved %s", "；最后投诉 %s，已于 %s 解决"),
						Day(facts->last_complaint), Day(facts->last_resolved));
	return psprintf(HasComplaint(facts) ?
					WORDS("; last complaint %s, not resolved", "；最后投诉 %s，尚未解决") :
					WORDS("; last complaint %s, before the last order", "；最后投诉 %s，早于上次下单"),
					Day(facts->last_complaint));
}

static void
ExplainQuadrant(Explanation *why)
{
	const Facts *facts = &why->facts;
	const Rules *rules = &why->rules;
	const char *last = facts->taken_back == 0 ?
		WORDS("no refund after the last order", "上次下单之后没有退款") :
		facts->last_value == 0 ? WORDS("nothing paid that a refund could take back", "没有可退的付款") :
		psprintf(WORDS("the last refund took back %s of the last order day's %s (%s), angry from %s",
					   "最后的退款 %s，最后下单日金额 %s（占 %s），%s 起为激烈流失"),
				 Money(facts->taken_back), Money(facts->last_value),
				 Share(facts->taken_back, facts->last_value),
				 Percent(rules->angry_last_refund_share));

	Say(why, "quadrant", quadrant_names[why->now.quadrant][0], QuadrantRule(why),
		psprintf(WORDS("%s, frequent from %d (%s); net spend %s, valuable above %s (percentile %.10g); refunded %s, angry from %s; %s%s",
					   "%s，%d 单起为频次高（%s）；净消费 %s，超过 %s（第 %.10g 百分位）为价值高；退款占比 %s，%s 起为激烈流失；%s%s"),
				 Orders(why, facts->orders), rules->quadrant_f_orders, FrequentBy(why),
				 Money(facts->gross - facts->refunded), Cut(why, rules->quadrant_m_cut),
				 why->m_percentile * 100, Share(facts->refunded, facts->gross),
				 Percent(rules->angry_refund_share), last, ComplaintDetail(why)));
}

static void
ExplainActivity(Explanation *why)
{
	const Facts *facts = &why->facts;
	const Rules *rules = &why->rules;
	bool		logins = facts->last_login != NO_DAY;

	Say(why, "activity", activity_names[why->now.activity][0],
		psprintf(logins ?
				 WORDS("high_potential: at least %d orders in %d days, or one and a mean order value in the top %s; mid_active: at least one, or a login; low_silent: neither",
					   "高潜力：%2$d 天内至少 %1$d 单，或至少 1 单且平均订单额位于前 %3$s；中等活跃：至少 1 单，或有登录；低频沉默：两者均无") :
				 WORDS("high_potential: at least %d orders in %d days, or one and a mean order value in the top %s; mid_active: at least one; low_silent: none",
					   "高潜力：%2$d 天内至少 %1$d 单，或至少 1 单且平均订单额位于前 %3$s；中等活跃：至少 1 单；低频沉默：无订单"),
				 rules->activity_orders, rules->activity_days, Percent(why->value_share)),
		psprintf(WORDS("%s in the %d days to %s; mean order value %s, large above %s%s",
					   "截至 %3$s 的 %2$d 天内 %1$s；平均订单额 %4$s，超过 %5$s 为大额%6$s"),
				 Orders(why, facts->recent_orders), rules->activity_days, Day(why->day),
				 facts->orders == 0 ? "-" : Money(RoundedShare(facts->gross, facts->orders)),
				 Cut(why, rules->order_value_cut),
				 logins ? psprintf(WORDS("; last login %s", "；最后登录 %s"), Day(facts->last_login)) : ""));
}

static void
ExplainRecallClass(Explanation *why)
{
	const Facts *facts = &why->facts;
	bool		lines = facts->lines > 0;

	Say(why, "recall_class", recall_class_names[why->now.recall_class][0],
		psprintf(WORDS("of a silent or lost customer: bargain_buyer from %s of the money at a bargain, bestseller_buyer from %s of it on bestsellers, else general",
					   "针对沉默或流失客户：特价金额占比达 %s 为清仓低价客，畅销品金额占比达 %s 为畅销品老客，其余为通用"),
				 Percent(why->rules.recall_bargain_share), Percent(why->rules.recall_bestseller_share)),
		lines ?
		psprintf(WORDS("lines of %s: %s (%s) at a bargain, %s (%s) on bestsellers", "订单明细共 %s：特价 %s（%s），畅销品 %s（%s）"),
				 Money(facts->lines), Money(facts->bargain), Share(facts->bargain, facts->lines),
				 Money(facts->bestseller), Share(facts->bestseller, facts->lines)) :
		psprintf(WORDS("no lines are known; of orders of %s, %s (%s) on days with a promotion", "没有订单明细；订单 %s 中促销日 %s（%s）"),
				 Money(facts->gross), Money(facts->on_promotion), Share(facts->on_promotion, facts->gross)));
}

static void
ExplainTags(Explanation *why)
{
	Oid			types[1] = {INT8OID};
	Datum		values[1] = {Int64GetDatum(why->customer_id)};

	SpiRun("SELECT tag, note, set_by, set_at::date::text FROM custseg.manual_tag"
		   " WHERE customer_id = ANY (ARRAY(SELECT m.customer_id FROM custseg.members($1) m (customer_id)))"
		   " ORDER BY tag COLLATE \"C\", customer_id", 1, types, values, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		char	   *note = SpiText(i, 2);
		char	   *by = psprintf(WORDS("by %s on %s", "由 %s 于 %s 设置"),
								  SpiText(i, 3), SpiText(i, 4));

		Say(why, "tag", SpiText(i, 1), WORDS("set by hand", "人工设置"),
			note ? psprintf("%s: %s", by, note) : by);
	}
}

static void
ExplainCustomer(Explanation *why)
{
	bool		prospect = why->now.lifecycle == LIFECYCLE_PROSPECT;

	if (!prospect)
	{
		ExplainScores(why);
		ExplainTier(why);
	}
	ExplainLifecycle(why);
	if (!prospect)
		ExplainQuadrant(why);
	ExplainActivity(why);
	if (why->now.recall_class != NO_LABEL)
		ExplainRecallClass(why);
	if (!prospect)
		ExplainClocks(why);
	Say(why, "next_eval_at", Day(why->now.next_eval_at),
		WORDS("the first day on which any of this changes without new data",
			  "在没有新数据的情况下，以上任一项最早发生变化的日期"),
		why->now.next_eval_at == NO_DAY ?
		WORDS("never changes without new data", "没有新数据就不再变化") :
		WORDS("until then everything above stays as it is", "在此之前以上各项保持不变"));
	if (!prospect)
		ExplainPredictions(why);	/* which move from day to day */
}

/* A timeline of the row that was found; NULL for none. */
static struct varlena *
Detoasted(int column)
{
	bool		isnull;
	Datum		value = SpiField(0, column, &isnull);

	return isnull ? NULL : pg_detoast_datum_packed((struct varlena *) DatumGetPointer(value));
}

Datum
custseg_explain(PG_FUNCTION_ARGS)
{
	static SPIPlanPtr rules = NULL;
	Explanation why = {0};
	ShopSettings *settings;
	Happened	happened;
	Oid			types[1];
	Datum		values[1];
	bool		isnull;
	Guard		guard;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the customer and the moment must be given")));
	InitMaterializedSRF(fcinfo, 0);
	why.result = (ReturnSetInfo *) fcinfo->resultinfo;

	OwnerBegin(&guard);

	settings = ReadShopSettings();
	why.chinese = PG_ARGISNULL(2) ? settings->chinese :
		IsChinese(text_to_cstring(PG_GETARG_TEXT_PP(2)));
	why.day = ShopDay(PG_GETARG_TIMESTAMPTZ(1), settings->time_zone);

	SpiRun("SELECT tier_high_share, tier_mid_share, activity_value_share, quadrant_m_percentile,"
		   " quadrant_f_orders IS NOT NULL, custseg.frequent_orders()"
		   " FROM custseg.settings", 0, NULL, NULL, NULL);
	why.high_share = DatumGetFloat8(SpiField(0, 1, &isnull));
	why.mid_share = DatumGetFloat8(SpiField(0, 2, &isnull));
	why.value_share = DatumGetFloat8(SpiField(0, 3, &isnull));
	why.m_percentile = DatumGetFloat8(SpiField(0, 4, &isnull));
	why.f_is_set = SpiInt64(0, 5, 0) != 0;
	why.f_default = SpiInt64(0, 6, 0);

	types[0] = DATEOID;
	values[0] = DateADTGetDatum(why.day);
	SpiKeep(&rules, "SELECT custseg.rules($1)", 1, types);
	SpiRunPlan(rules, values, NULL);
	ParseRules(DatumGetHeapTupleHeader(SpiField(0, 1, &isnull)), &why.rules);

	types[0] = INT8OID;
	values[0] = PG_GETARG_DATUM(0);
	SpiRun("SELECT p.timeline, p.customer_id, " LABEL_EVENTS " FROM custseg.profile p"
		   " LEFT JOIN custseg.label_event h USING (customer_id) WHERE p.customer_id = " PERSON_OF("$1"), 1, types, values, NULL);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("customer %lld does not exist", (long long) PG_GETARG_INT64(0)),
				 errhint("Customers come with their orders, or from a source of people: see custseg.customer, or run CALL custseg.refresh().")));
	why.customer_id = SpiInt64(0, 2, 0);
	why.timeline = SpiField(0, 1, &isnull);
	happened = (Happened) {Detoasted(1), Detoasted(3), Detoasted(4), Detoasted(5), Detoasted(6), Detoasted(7), Detoasted(8)};
	GatherFacts(&why.rules, &happened, why.day, &why.facts);
	EvaluateFacts(&why.rules, &why.facts, why.day, &why.now);
	ExplainCustomer(&why);
	ExplainTags(&why);

	OwnerEnd(&guard);
	return (Datum) 0;
}

Datum
custseg_label_name(PG_FUNCTION_ARGS)
{
	static const struct
	{
		const char *label;
		const char *const (*names)[2];
		int			n;
	}			labels[] = {
		{"tier", tier_names, TIERS},
		{"lifecycle", lifecycle_names, LIFECYCLES},
		{"quadrant", quadrant_names, QUADRANTS},
		{"activity", activity_names, ACTIVITIES},
		{"recall_class", recall_class_names, RECALL_CLASSES},
		{"churn_risk", churn_risk_names, LEVELS},
		{"potential_value", potential_names, LEVELS},
	};
	const char *label = text_to_cstring(PG_GETARG_TEXT_PP(0));
	const char *value = text_to_cstring(PG_GETARG_TEXT_PP(1));
	bool		chinese = IsChinese(text_to_cstring(PG_GETARG_TEXT_PP(2)));

	for (int i = 0; i < lengthof(labels); i++)
		for (int j = 0; j < labels[i].n; j++)
			if (strcmp(labels[i].label, label) == 0 && strcmp(labels[i].names[j][0], value) == 0)
				PG_RETURN_TEXT_P(cstring_to_text(Words(chinese, labels[i].names[j][0], labels[i].names[j][1])));
	PG_RETURN_DATUM(PG_GETARG_DATUM(1));
}
