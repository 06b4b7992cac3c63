/*
 * evaluate.h
 *		What we conclude about one customer: scores, labels and clocks.
 */
#ifndef CUSTSEG_EVALUATE_H
#define CUSTSEG_EVALUATE_H

#include "postgres.h"

#include "access/tupdesc.h"
#include "utils/date.h"

#include "segment/clock.h"
#include "segment/labels.h"
#include "segment/rules.h"

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
	int8		recall_class;
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
	DateADT		last_login;		/* the last days of what else happened; NO_DAY: it never did */
	DateADT		last_complaint;
	DateADT		last_resolved;
	int64		on_promotion;	/* of gross, on days with a promotion */
	int64		lines;			/* money of lines; 0: none are known */
	int64		bargain;		/* of it, at a bargain */
	int64		bestseller;		/* of the rest, on bestsellers */
} Facts;

/* What happened to a customer that labels depend on, as timelines; NULL: nothing of the kind. */
typedef struct Happened
{
	const struct varlena *orders;
	const struct varlena *logins;
	const struct varlena *complaints;
	const struct varlena *resolved;
	const struct varlena *lines;
	const struct varlena *bargain;
	const struct varlena *bestseller;
} Happened;

/* The day both clocks and R score start from. */
static inline DateADT
FactsStart(const Facts *facts)
{
	return facts->rhythm.order_days > 0 ? facts->rhythm.last_order : facts->last_refund;
}

/* Is there a complaint since the last order that nothing resolved, on its day or later? */
static inline bool
HasComplaint(const Facts *facts)
{
	return facts->last_complaint != NO_DAY && facts->last_complaint >= facts->rhythm.last_order &&
		facts->last_resolved < facts->last_complaint;
}

/* The day of the last order or login. */
static inline DateADT
LastActive(const Facts *facts)
{
	return Max(facts->rhythm.last_order, facts->last_login);
}

/* All need detoasted timelines and a finite day. */
extern void GatherFacts(const Rules *rules, const Happened *happened, DateADT day, Facts *facts);
extern void EvaluateFacts(const Rules *rules, const Facts *facts, DateADT day,
						  Evaluation *evaluation);
/* The median of the own gaps, as the tier's clock has it: -1 for none; if it is over "most", most will do. */
extern int32 OwnMedianGap(const Rules *rules, Tier tier, const Facts *facts, int32 most);
extern void EvaluateHappened(const Rules *rules, const Happened *happened, DateADT day,
							 Evaluation *evaluation);

/* A row's twelve columns of an evaluation, from attribute "first" on, counted from 0. */
#define EVALUATION_COLUMNS	12

#define LABEL_TYPES			5

typedef struct LabelTypes
{
	Oid			types[LABEL_TYPES]; /* tier, lifecycle, quadrant, activity, recall_class */
	Oid			tier[TIERS];
	Oid			lifecycle[LIFECYCLES];
	Oid			quadrant[QUADRANTS];
	Oid			activity[ACTIVITIES];
	Oid			recall_class[RECALL_CLASSES];
} LabelTypes;

extern void LoadLabelTypes(TupleDesc desc, int first, LabelTypes *types);
extern void EvaluationToColumns(const Evaluation *evaluation, const LabelTypes *types,
								Datum *values, bool *nulls);
extern void EvaluationFromColumns(const Datum *values, const bool *nulls,
								  const LabelTypes *types, Evaluation *evaluation);

#endif							/* CUSTSEG_EVALUATE_H */
