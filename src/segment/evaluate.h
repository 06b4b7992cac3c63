/*
 * evaluate.h
 *		What we conclude about one customer: scores, labels and clocks.
 */
#ifndef CUSTSEG_EVALUATE_H
#define CUSTSEG_EVALUATE_H

#include "postgres.h"

#include "access/htup.h"
#include "access/tupdesc.h"
#include "utils/date.h"

#include "model/fit/quantile.h"
#include "model/gap/gap.h"
#include "model/purchase/purchase.h"

/* The labels, in the order of their SQL enum types. */
typedef enum Tier
{
	TIER_HIGH,
	TIER_MID,
	TIER_LOW,
} Tier;
#define TIERS 3

typedef enum Lifecycle
{
	LIFECYCLE_PROSPECT,
	LIFECYCLE_NEW,
	LIFECYCLE_ACTIVE,
	LIFECYCLE_AT_RISK,
	LIFECYCLE_SILENT,
	LIFECYCLE_LOST,
	LIFECYCLE_REACTIVATED,
} Lifecycle;
#define LIFECYCLES 7

typedef enum Quadrant
{
	QUADRANT_HIGH_VALUE_REGULAR,
	QUADRANT_RISING_VIP,
	QUADRANT_STEADY_REGULAR,
	QUADRANT_AT_RISK_REGULAR,
	QUADRANT_RECENT_LIGHT,
	QUADRANT_SILENT_CHURN,
	QUADRANT_LAPSED_REGULAR,
	QUADRANT_LAPSED_VIP,
	QUADRANT_ANGRY_CHURN,
} Quadrant;
#define QUADRANTS 9

typedef enum Activity
{
	ACTIVITY_HIGH_POTENTIAL,
	ACTIVITY_MID_ACTIVE,
	ACTIVITY_LOW_SILENT,
} Activity;
#define ACTIVITIES 3

#define NO_LABEL	(-1)
#define NO_DAY		PG_INT32_MIN	/* "-infinity", which no shop day is */

/* Everything but the timeline that a label depends on. Amounts are scaled by 10^4. */
typedef struct Rules
{
	bool		scored;			/* there are cut points for the scores */
	int64		r_cuts[SCORE_CUTS];
	int64		f_cuts[SCORE_CUTS];
	int64		m_cuts[SCORE_CUTS];
	int64		tier_high_cut;	/* PG_INT64_MAX where there is no cut point */
	int64		tier_mid_cut;
	int64		quadrant_m_cut;
	int64		order_value_cut;
	int32		quadrant_f_orders;
	int32		activity_days;
	int32		activity_orders;
	double		angry_refund_share;
	double		angry_last_refund_share;
	int32		lost_days;
	double		lost_multiple;
	int32		follow_up_days[TIERS];
	int32		silent_days[TIERS];
	bool		personal[TIERS];	/* silence by the customer's own clock: see clock.h */
	int32		silent_min_days[TIERS];
	int32		silent_max_days[TIERS];
	GapModel	gap;			/* perhaps not usable */
	double		gap_quantile;
	double		gap_z;			/* the normal quantile of it */
	Purchase   *alive;			/* NULL: P(alive) sets no clock */
	double		alive_level;
} Rules;

/* When a customer ordered. */
typedef struct Rhythm
{
	int32		order_days;
	DateADT		first_order;	/* NO_DAY without one */
	DateADT		last_order;
	double		log_gaps;		/* sum of ln days between order days, where there is a gap rule */
} Rhythm;

/* What is so; no score is 0, no label NO_LABEL, no day NO_DAY. */
typedef struct Evaluation
{
	int16		r_score;
	int16		f_score;
	int16		m_score;
	int8		tier;
	int8		lifecycle;
	int8		quadrant;
	int8		activity;
	DateADT		follow_up_at;
	DateADT		silent_at;
	DateADT		lost_at;
	DateADT		next_eval_at;
} Evaluation;

/* Why it is so: what the history as of the day says, before any rule. */
typedef struct Facts
{
	Rhythm		rhythm;
	int64		orders;
	int64		gross;
	int64		refunded;
	DateADT		last_refund;	/* the last day with refunds */
	int64		last_value;		/* of the last order day with a value, less what that day took back */
	int64		taken_back;		/* of it, where refunds are the last event */
	int32		median_gap;		/* -1 with fewer than two order days */
	DateADT		prior_silent_at;	/* of the history before the last order day */
	int64		recent_orders;	/* within activity_days */
	DateADT		recent_full_until;	/* the day on which recent_orders falls under activity_orders */
	DateADT		next_entry;		/* the first day of the future */
	int32		void_days;		/* on which all that was bought went back: they do not count */
} Facts;

/* The day both clocks and R score start from. */
static inline DateADT
FactsStart(const Facts *facts)
{
	return facts->rhythm.order_days > 0 ? facts->rhythm.last_order : facts->last_refund;
}

/* All need a detoasted timeline and a finite day. */
extern void GatherFacts(const Rules *rules, const struct varlena *timeline, DateADT day,
						Facts *facts);
extern void EvaluateFacts(const Rules *rules, const Facts *facts, DateADT day,
						  Evaluation *evaluation);
/* The median of the own gaps, as the tier's clock has it: -1 for none; if it is over "most", most will do. */
extern int32 OwnMedianGap(const Rules *rules, Tier tier, const Facts *facts, int32 most);
extern void EvaluateTimeline(const Rules *rules, const struct varlena *timeline, DateADT day,
							 Evaluation *evaluation);

/* Rules from a value of the type custseg.rules; they keep using the current memory context. */
extern void ParseRules(HeapTupleHeader value, Rules *rules);

/* A row's eleven columns of an evaluation, from attribute "first" on, counted from 0. */
#define EVALUATION_COLUMNS	11

typedef struct LabelTypes
{
	Oid			types[4];		/* tier, lifecycle, quadrant, activity */
	Oid			tier[TIERS];
	Oid			lifecycle[LIFECYCLES];
	Oid			quadrant[QUADRANTS];
	Oid			activity[ACTIVITIES];
} LabelTypes;

extern void LoadLabelTypes(TupleDesc desc, int first, LabelTypes *types);
extern void EvaluationToColumns(const Evaluation *evaluation, const LabelTypes *types,
								Datum *values, bool *nulls);
extern void EvaluationFromColumns(const Datum *values, const bool *nulls,
								  const LabelTypes *types, Evaluation *evaluation);

/* A label as words, in English as stored or in Chinese; NULL for NO_LABEL. */
extern const char *const tier_names[TIERS][2];
extern const char *const lifecycle_names[LIFECYCLES][2];
extern const char *const quadrant_names[QUADRANTS][2];
extern const char *const activity_names[ACTIVITIES][2];

#endif							/* CUSTSEG_EVALUATE_H */
