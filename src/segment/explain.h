/*
 * explain.h
 *		An explanation that is being written: what the parts of it share.
 */
#ifndef CUSTSEG_EXPLAIN_H
#define CUSTSEG_EXPLAIN_H

#include "postgres.h"

#include "nodes/execnodes.h"

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
} Explanation;

/* One text of two, by the language; the translations stand beside each other. */
#define WORDS(en, zh) (why->chinese ? (zh) : (en))

/* A row of it. The value is as the server stores it, rule and detail are UTF-8. */
extern void Say(Explanation *why, const char *label, const char *value, const char *rule,
				const char *detail);

/* What the server stores, as the texts here are written. */
extern char *Utf8(char *text);

extern char *Day(DateADT day);	/* NULL for NO_DAY */
extern char *Days(Explanation *why, int64 n);	/* "1 day", "2 days", "2 天" */
extern char *Percent(double share);

/* churn_risk and potential_value. Inside SPI, as the owner of the extension. */
extern void ExplainPredictions(Explanation *why);

/* Their values, as tier_names. */
extern const char *const churn_risk_names[LEVELS][2];
extern const char *const potential_names[LEVELS][2];

#endif							/* CUSTSEG_EXPLAIN_H */
