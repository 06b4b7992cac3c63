/*
 * rules.h
 *		What labels and clocks depend on besides the history.
 */
#ifndef CUSTSEG_RULES_H
#define CUSTSEG_RULES_H

#include "postgres.h"

#include "access/htup.h"

#include "model/fit/quantile.h"
#include "model/gap/gap.h"
#include "model/purchase/purchase.h"
#include "segment/labels.h"

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
	double		recall_bargain_share;
	double		recall_bestseller_share;
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

/* Rules from a value of the type custseg.rules; they keep using the current memory context. */
extern void ParseRules(HeapTupleHeader value, Rules *rules);

#endif							/* CUSTSEG_RULES_H */
