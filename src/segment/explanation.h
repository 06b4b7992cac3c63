/*
 * explanation.h
 *		An explanation that is being written: its rows, and the words of all parts.
 */
#ifndef CUSTSEG_EXPLANATION_H
#define CUSTSEG_EXPLANATION_H

#include "postgres.h"

#include "nodes/execnodes.h"

#include "common/words.h"
#include "model/predict.h"
#include "segment/evaluate.h"

typedef struct Explanation
{
	ReturnSetInfo *result;
	bool		chinese;
	int64		customer_id;
	Datum		timeline;
	DateADT		day;
	Rules		rules;
	Facts		facts;
	Evaluation	now;
	double		high_share;		/* settings that the cut points were taken with */
	double		mid_share;
	double		value_share;
	double		m_percentile;
	bool		f_is_set;		/* settings.quadrant_f_orders */
	int32		f_default;		/* and what it is else, at least */
} Explanation;

/* One text of two, by the language of the explanation. */
#define WORDS(english, in_chinese) Words(why->chinese, english, in_chinese)

/* A row of it. */
extern void Say(Explanation *why, const char *label, const char *value, const char *rule,
				const char *detail);

extern char *Day(DateADT day);	/* NULL for NO_DAY */
extern char *Money(int64 scaled);
extern char *Orders(Explanation *why, int64 n); /* "1 order", "2 orders", "2 单" */
extern char *Days(Explanation *why, int64 n);	/* "1 day", "2 days", "2 天" */
extern char *Percent(double share);
extern const char *Cut(Explanation *why, int64 cut);	/* or that there is none yet */
extern char *Cuts(const int64 *cuts, bool money);

#endif							/* CUSTSEG_EXPLANATION_H */
