/*
 * evaluate.c
 *		What we conclude about one customer: scores, labels and clocks.
 *
 * One function of (rules, timelines, day), without catalog or statement, that
 * everything shares: a refresh, custseg.evaluate(), custseg.customer_at() and
 * custseg.explain(). It works in two steps: the facts of the history as of
 * the day, then the rules applied to them.
 *
 * Labels change when nothing happens, because silence is the passing of time.
 * So each evaluation says on which day the next change is due, and that day
 * is exact: the evaluation holds until the day before. Entries after the day
 * do not exist yet, but the first of them is such a change. Whatever is added
 * to the rules needs its own term in NextChange().
 */
#include "postgres.h"

#include "common/compat.h"
#include "segment/clock.h"
#include "segment/evaluate.h"
#include "timeline/timeline.h"

#define SCRATCH 128				/* order days that need no allocation */

const char *const tier_names[TIERS][2] = {
	{"high", "高价值客户"},
	{"mid", "中价值客户"},
	{"low", "低价值客户"},
};

const char *const lifecycle_names[LIFECYCLES][2] = {
	{"prospect", "未下单"},
	{"new", "新客"},
	{"active", "活跃"},
	{"at_risk", "转冷"},
	{"silent", "沉默"},
	{"lost", "流失"},
	{"reactivated", "回流"},
};

const char *const quadrant_names[QUADRANTS][2] = {
	{"high_value_regular", "高价值常客"},
	{"rising_vip", "新锐VIP"},
	{"steady_regular", "活跃熟客"},
	{"at_risk_regular", "需唤醒熟客"},
	{"recent_light", "近期散客"},
	{"silent_churn", "静默流失"},
	{"lapsed_regular", "沉睡常客"},
	{"lapsed_vip", "沉睡VIP"},
	{"angry_churn", "激烈流失"},
};

const char *const activity_names[ACTIVITIES][2] = {
	{"high_potential", "高潜力"},
	{"mid_active", "中等活跃"},
	{"low_silent", "低频沉默"},
};

const char *const recall_class_names[RECALL_CLASSES][2] = {
	{"bargain_buyer", "清仓低价客"},
	{"bestseller_buyer", "畅销品老客"},
	{"general", "通用"},
};

/* What the orders and refunds say. */
static void
GatherOrders(const Rules *rules, const struct varlena *timeline, DateADT day, Facts *facts)
{
	TimelineIter iter;
	TimelineEntry entry;
	int32		day_buffer[SCRATCH];
	uint32		order_buffer[SCRATCH];
	int32	   *days = day_buffer;
	uint32	   *orders = order_buffer;
	int			n = 0;
	Rhythm		prior;			/* what was known before the last order day */
	int64		prior_spend = 0;
	DateADT		prior_refund = NO_DAY;

	RhythmInit(&prior);
	if (!TimelineIterInit(&iter, timeline))
		TimelineVersionError();
	if (iter.head.entries > SCRATCH)
	{
		days = palloc_extended(iter.head.entries * sizeof(int32), MCXT_ALLOC_HUGE);
		orders = palloc_extended(iter.head.entries * sizeof(uint32), MCXT_ALLOC_HUGE);
	}

	while (TimelineIterNext(&iter, &entry))
	{
		if (TimelineIsVoid(&entry))
		{
			facts->void_days += entry.day <= day;
			continue;
		}
		if (entry.day > day)
		{
			facts->next_entry = entry.day;
			break;
		}
		if (entry.orders > 0)
		{
			prior = facts->rhythm;
			prior_spend = facts->gross - facts->refunded;
			prior_refund = facts->last_refund;
			days[n] = entry.day;
			orders[n++] = entry.orders;
			RhythmAdd(rules, &facts->rhythm, entry.day);
			facts->orders += entry.orders;
		}
		facts->gross += entry.gross;
		facts->on_promotion += entry.on_promotion ? entry.gross : 0;
		facts->refunded += entry.refunded;
		if (entry.refunded > 0)
			facts->last_refund = entry.day;
		if (entry.orders > 0)
			facts->taken_back = 0;
		if (entry.refunded >= entry.gross)
		{
			if (entry.gross > 0)
				facts->last_value = entry.gross;
			facts->taken_back += entry.refunded;
		}
		else
			facts->last_value = entry.gross - entry.refunded;
	}

	if (n > 0)
	{
		int64		oldest = (int64) day - rules->activity_days;

		for (int i = n - 1; i >= 0 && days[i] > oldest; i--)
		{
			bool		full = facts->recent_orders >= rules->activity_orders;

			facts->recent_orders += orders[i];
			if (!full && facts->recent_orders >= rules->activity_orders)
				facts->recent_full_until = DaysAfter(days[i], rules->activity_days);
		}
	}
	if (n > 1)
	{
		facts->prior_silent_at =
			DaysAfter(prior.last_order,
					  SilenceOf(rules, TierOfSpend(rules, prior_spend), &prior).days);
		for (int i = 0; i < n - 1; i++)
			days[i] = days[i + 1] - days[i];
		facts->median_gap = MedianCeil(days, n - 1);
	}
	else if (n == 1 && prior_refund != NO_DAY)
		facts->prior_silent_at = DaysAfter(prior_refund, SilenceOf(rules, TIER_LOW, &prior).days);

	if (days != day_buffer)
	{
		pfree(days);
		pfree(orders);
	}
}

/* The last day of something that is not an order, and whether more of it is to come. */
static DateADT
LastDay(const struct varlena *timeline, DateADT day, Facts *facts)
{
	DateADT		last = NO_DAY;
	TimelineIter iter;
	TimelineEntry entry;

	if (timeline == NULL)
		return NO_DAY;
	if (!TimelineIterInit(&iter, timeline))
		TimelineVersionError();
	if (iter.head.entries > 0 && iter.head.last_day <= day)
		return iter.head.last_day;
	while (TimelineIterNext(&iter, &entry))
	{
		if (entry.day > day)
		{
			if (facts->next_entry == NO_DAY || entry.day < facts->next_entry)
				facts->next_entry = entry.day;
			break;
		}
		last = entry.day;
	}
	return last;
}

/* What it came to by a day, and whether more of it is to come. */
static int64
MoneyOf(const struct varlena *timeline, DateADT day, Facts *facts)
{
	int64		money = 0;
	TimelineIter iter;
	TimelineEntry entry;

	if (timeline == NULL)
		return 0;
	if (!TimelineIterInit(&iter, timeline))
		TimelineVersionError();
	if (iter.head.entries > 0 && iter.head.last_day <= day)
		return iter.head.gross;
	while (TimelineIterNext(&iter, &entry))
	{
		if (entry.day > day)
		{
			if (facts->next_entry == NO_DAY || entry.day < facts->next_entry)
				facts->next_entry = entry.day;
			break;
		}
		money += entry.gross;
	}
	return money;
}

void
GatherFacts(const Rules *rules, const Happened *happened, DateADT day, Facts *facts)
{
	memset(facts, 0, sizeof(Facts));
	RhythmInit(&facts->rhythm);
	facts->last_refund = facts->next_entry = NO_DAY;
	facts->prior_silent_at = facts->recent_full_until = NO_DAY;
	facts->median_gap = -1;
	if (happened->orders)
		GatherOrders(rules, happened->orders, day, facts);
	facts->last_login = LastDay(happened->logins, day, facts);
	facts->last_complaint = LastDay(happened->complaints, day, facts);
	facts->last_resolved = LastDay(happened->resolved, day, facts);
	facts->lines = MoneyOf(happened->lines, day, facts);
	facts->bargain = MoneyOf(happened->bargain, day, facts);
	facts->bestseller = MoneyOf(happened->bestseller, day, facts);
}

/* A refund of a cent is not anger: it takes back a share of all that was bought, or of what was bought last. */
static bool
LeftAngry(const Rules *rules, const Facts *facts)
{
	if (facts->refunded == 0)
		return false;
	return facts->gross == 0 ||
		(double) facts->refunded / (double) facts->gross >= rules->angry_refund_share ||
		(double) facts->taken_back / (double) facts->last_value >= rules->angry_last_refund_share;
}

static Quadrant
QuadrantOf(const Rules *rules, const Facts *facts, bool at_risk, bool silent)
{
	bool		valuable = facts->gross - facts->refunded > rules->quadrant_m_cut;
	bool		frequent = facts->orders >= rules->quadrant_f_orders;

	if (facts->rhythm.order_days == 0 || (at_risk && (HasComplaint(facts) || LeftAngry(rules, facts))))
		return QUADRANT_ANGRY_CHURN;
	if (valuable && frequent)
		return silent ? QUADRANT_LAPSED_REGULAR : QUADRANT_HIGH_VALUE_REGULAR;
	if (valuable)
		return silent ? QUADRANT_LAPSED_VIP : QUADRANT_RISING_VIP;
	if (frequent)
		return at_risk ? QUADRANT_AT_RISK_REGULAR : QUADRANT_STEADY_REGULAR;
	return silent ? QUADRANT_SILENT_CHURN : QUADRANT_RECENT_LIGHT;
}

static Lifecycle
LifecycleOf(const Facts *facts, DateADT day, const Evaluation *clocks)
{
	if (day >= clocks->lost_at)
		return LIFECYCLE_LOST;
	if (day >= clocks->silent_at)
		return LIFECYCLE_SILENT;
	if (facts->rhythm.order_days == 0 || day >= clocks->follow_up_at)
		return LIFECYCLE_AT_RISK;
	if (facts->prior_silent_at != NO_DAY && facts->rhythm.last_order >= facts->prior_silent_at)
		return LIFECYCLE_REACTIVATED;
	return facts->rhythm.order_days == 1 ? LIFECYCLE_NEW : LIFECYCLE_ACTIVE;
}

/* Few orders are enough when they are large. */
static bool
LargeOrders(const Rules *rules, const Facts *facts)
{
	return RoundedShare(facts->gross, facts->orders) > rules->order_value_cut;
}

static Activity
ActivityOf(const Rules *rules, const Facts *facts, DateADT day)
{
	if (facts->recent_orders == 0)
		return facts->last_login != NO_DAY && (int64) day - facts->last_login < rules->activity_days ?
			ACTIVITY_MID_ACTIVE : ACTIVITY_LOW_SILENT;
	if (facts->recent_orders >= rules->activity_orders || LargeOrders(rules, facts))
		return ACTIVITY_HIGH_POTENTIAL;
	return ACTIVITY_MID_ACTIVE;
}

/* What there is of lines or, where none are known, of promotions tells what would bring a sleeper back. */
static RecallClass
RecallClassOf(const Rules *rules, const Facts *facts)
{
	double		bargain = facts->lines > 0 ? facts->bargain : facts->on_promotion;
	double		all = facts->lines > 0 ? facts->lines : facts->gross;

	if (all <= 0)
		return RECALL_GENERAL;
	if (bargain / all >= rules->recall_bargain_share)
		return RECALL_BARGAIN_BUYER;
	return facts->bestseller / all >= rules->recall_bestseller_share ? RECALL_BESTSELLER_BUYER : RECALL_GENERAL;
}

static bool
IsSleeper(const Evaluation *evaluation)
{
	return evaluation->lifecycle == LIFECYCLE_SILENT || evaluation->lifecycle == LIFECYCLE_LOST;
}

static DateADT
NextChange(const Rules *rules, const Facts *facts, DateADT day, const Evaluation *evaluation)
{
	DateADT		next = facts->next_entry == NO_DAY ? PG_INT32_MAX : facts->next_entry;

#define CHANGES_ON(when) \
	do { \
		DateADT		when_ = (when); \
		if (when_ > day && when_ < next) \
			next = when_; \
	} while (0)

	if (evaluation->lifecycle != LIFECYCLE_PROSPECT)
	{
		if (facts->rhythm.order_days > 0)
			CHANGES_ON(evaluation->follow_up_at);
		CHANGES_ON(evaluation->silent_at);
		CHANGES_ON(evaluation->lost_at);
		for (int i = 0; rules->scored && i < SCORE_CUTS; i++)
			CHANGES_ON(DaysAfter(FactsStart(facts), rules->r_cuts[i] + 1));
	}
	if (evaluation->activity == ACTIVITY_HIGH_POTENTIAL && !LargeOrders(rules, facts))
		CHANGES_ON(facts->recent_full_until);
	else if (evaluation->activity == ACTIVITY_HIGH_POTENTIAL)
		CHANGES_ON(DaysAfter(facts->rhythm.last_order, rules->activity_days));
	else if (evaluation->activity == ACTIVITY_MID_ACTIVE)
		CHANGES_ON(DaysAfter(LastActive(facts), rules->activity_days));
#undef CHANGES_ON

	return next == PG_INT32_MAX ? NO_DAY : next;
}

int32
OwnMedianGap(const Rules *rules, Tier tier, const Facts *facts, int32 most)
{
	if (IsPersonal(rules, tier, &facts->rhythm) && rules->gap.usable)
		return GapDays(rules, &facts->rhythm, 0, most);
	return facts->median_gap;
}

void
EvaluateFacts(const Rules *rules, const Facts *facts, DateADT day, Evaluation *evaluation)
{
	DateADT		start = FactsStart(facts);
	int64		spend = facts->gross - facts->refunded;
	int32		silent_days;
	int32		follow_up_days;

	/* Evaluations are compared as bytes. */
	memset(evaluation, 0, sizeof(Evaluation));

	if (start == NO_DAY)
	{
		evaluation->tier = NO_LABEL;
		evaluation->lifecycle = LIFECYCLE_PROSPECT;
		evaluation->quadrant = NO_LABEL;
		evaluation->recall_class = NO_LABEL;
		evaluation->activity = ActivityOf(rules, facts, day);
		evaluation->follow_up_at = evaluation->silent_at = evaluation->lost_at = NO_DAY;
		evaluation->next_eval_at = NextChange(rules, facts, day, evaluation);
		return;
	}

	if (rules->scored)
	{
		evaluation->r_score = SCORE_CUTS + 2 - ScoreAbove(rules->r_cuts, (int64) day - start);
		evaluation->f_score = ScoreAbove(rules->f_cuts, facts->orders);
		evaluation->m_score = ScoreAbove(rules->m_cuts, spend);
	}
	evaluation->tier = facts->rhythm.order_days == 0 ? TIER_LOW : TierOfSpend(rules, spend);

	silent_days = SilenceOf(rules, evaluation->tier, &facts->rhythm).days;
	follow_up_days = Max(rules->follow_up_days[evaluation->tier],
						 OwnMedianGap(rules, evaluation->tier, facts, silent_days));
	evaluation->silent_at = DaysAfter(start, silent_days);
	evaluation->follow_up_at = DaysAfter(start, Min(follow_up_days, silent_days));
	evaluation->lost_at = DaysAfter(start, Max(rules->lost_days,
											   MultipleOfDays(rules->lost_multiple, silent_days)));

	evaluation->lifecycle = LifecycleOf(facts, day, evaluation);
	evaluation->quadrant = QuadrantOf(rules, facts, day >= evaluation->follow_up_at,
									  day >= evaluation->silent_at);
	evaluation->activity = ActivityOf(rules, facts, day);
	evaluation->recall_class = IsSleeper(evaluation) ? RecallClassOf(rules, facts) : NO_LABEL;
	evaluation->next_eval_at = NextChange(rules, facts, day, evaluation);
}

void
EvaluateHappened(const Rules *rules, const Happened *happened, DateADT day,
				 Evaluation *evaluation)
{
	Facts		facts;

	GatherFacts(rules, happened, day, &facts);
	EvaluateFacts(rules, &facts, day, evaluation);
}
