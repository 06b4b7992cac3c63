/*
 * predict.h
 *		What the models in force say of one customer.
 *
 * Every prediction is a number or, in words, the reason why there is none.
 */
#ifndef CUSTSEG_PREDICT_H
#define CUSTSEG_PREDICT_H

#include "postgres.h"

#include "model/gap/comeback.h"
#include "model/gap/gap.h"
#include "model/purchase/purchase.h"
#include "model/spend/spend.h"
#include "timeline/history.h"

#define DAYS_A_YEAR		365.25
#define DAYS_A_MONTH	(DAYS_A_YEAR / 12)

/* Bounds of what is asked for: a century, and a margin that is a share or a multiple. */
#define MOST_DAYS		36525.0
#define MOST_MONTHS		1200.0
#define GREATEST_MARGIN	1000.0

/* Shares of a purchase rhythm or life at which churn_risk changes. */
#define RISK_MID		(2.0 / 3.0)
#define RISK_HIGH		(1.0 / 3.0)

typedef enum Level
{
	LEVEL_LOW,
	LEVEL_MID,
	LEVEL_HIGH,
	LEVEL_NONE = -1,
} Level;
#define LEVELS 3

/* The models in force. Time is in days, money in the shop's currency. */
typedef struct Predictor
{
	Purchase   *purchase;		/* NULL: none, and purchase_note says why */
	const char *purchase_note;
	bool		dropout_identified;
	const char *dropout_note;	/* why P(alive) says nothing */
	bool		has_spend;
	double		spend[SPEND_PARAMS];
	const char *spend_note;
	GapModel	gap;
	const char *gap_note;		/* why there is no gap rule */
	double		margin;			/* share of spend that is earned */
	double		annual_rate;	/* discount, effective, a year */
	bool		has_potential;
	double		potential_high; /* clv_12m above which potential_value is high */
	double		potential_mid;
	ReturnTable returns;
	bool		has_second_life;
	double		second_orders;	/* discounted order days in the 12 months after a return */
} Predictor;

/* The continuous discount rate a day of an effective rate a year. */
extern double DailyRate(double annual_rate);

/*
 * Each returns whether there is a prediction. The history is as of the day;
 * one without an order has none.
 */
extern bool PredictAlive(const Predictor *predictor, const History *history, DateADT day,
						 double *alive);
extern bool PredictOrders(const Predictor *predictor, const History *history, DateADT day,
						  double days, double *orders);
extern bool PredictSpend(const Predictor *predictor, const History *history, double *spend);

/* To be called when the predictor is complete, before the values of many customers are asked for. */
extern void TabulateValues(Predictor *predictor);

/* margin x spend per order x discounted orders within months; INFINITY for the whole residual life */
extern bool PredictValue(const Predictor *predictor, const History *history, DateADT day,
						 double months, double *value);

/* The discounted order days within months that a value counts. */
extern bool PredictDiscounted(const Predictor *predictor, const History *history, DateADT day,
							  double months, double *orders);

/* Why there is no value over a finite time; NULL when there is one. */
extern const char *ValueFault(const Predictor *predictor, const History *history);

/*
 * What churn_risk goes by, 1 for whoever is sure to have stayed: P(alive)
 * where dropout is identified, else the chance that a gap of the own rhythm is
 * longer than the customer has been away.
 */
extern bool PredictStaying(const Predictor *predictor, const History *history, DateADT day,
						   double *staying, bool *by_gaps);
extern Level PredictChurnRisk(const Predictor *predictor, const History *history, DateADT day);
extern Level PredictPotential(const Predictor *predictor, const History *history, DateADT day);

/*
 * What a silent customer is worth if won back: margin x spend per order x the
 * order of the return and those of the 12 months after it.
 */
extern bool PredictWinback(const Predictor *predictor, const History *history, double *value);

/* Which predictions there are not, and why; NULL when there are all. */
extern char *PredictionNote(const Predictor *predictor, const History *history);

#endif							/* CUSTSEG_PREDICT_H */
