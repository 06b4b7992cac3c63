/*
 * predict.c
 *		What the models in force say of one customer.
 */
#include "postgres.h"

#include <math.h>

#include "lib/stringinfo.h"
#include "model/predict.h"

double
DailyRate(double annual_rate)
{
	return log1p(annual_rate) / DAYS_A_YEAR;
}

/* A history in the terms of the purchase models. */
static bool
Summary(const Predictor *predictor, const History *history, DateADT day,
		double *x, double *t_x, double *T)
{
	if (predictor->purchase == NULL || history->order_days == 0)
		return false;
	*x = history->order_days - 1;
	*t_x = (double) history->last_order - history->first_order;
	*T = (double) day - history->first_order;
	return true;
}

bool
PredictAlive(const Predictor *predictor, const History *history, DateADT day, double *alive)
{
	double		x;
	double		t_x;
	double		T;

	if (!predictor->dropout_identified || !Summary(predictor, history, day, &x, &t_x, &T))
		return false;
	*alive = PurchaseAlive(predictor->purchase, x, t_x, T);
	return true;
}

bool
PredictOrders(const Predictor *predictor, const History *history, DateADT day, double days,
			  double *orders)
{
	double		x;
	double		t_x;
	double		T;

	if (!Summary(predictor, history, day, &x, &t_x, &T))
		return false;
	*orders = PurchaseExpected(predictor->purchase, x, t_x, T, days);
	return true;
}

/* Repeat orders that were all refunded have no mean the model could work with. */
static bool
SpendIsKnown(const History *history)
{
	return history->order_days < 2 || history->repeat_spend > 0;
}

bool
PredictSpend(const Predictor *predictor, const History *history, double *spend)
{
	if (!predictor->has_spend || history->order_days == 0 || !SpendIsKnown(history))
		return false;
	*spend = SpendExpected(predictor->spend, history->order_days - 1, MeanRepeatSpend(history));
	return isfinite(*spend);
}

void
TabulateValues(Predictor *predictor)
{
	double		rate = DailyRate(predictor->annual_rate);

	if (predictor->purchase == NULL || rate <= 0)
		return;
	PurchaseTabulate(predictor->purchase, 12 * DAYS_A_MONTH, rate);
	PurchaseTabulate(predictor->purchase, INFINITY, rate);
}

bool
PredictDiscounted(const Predictor *predictor, const History *history, DateADT day, double months,
				  double *orders)
{
	double		x;
	double		t_x;
	double		T;
	double		rate = DailyRate(predictor->annual_rate);

	if (!Summary(predictor, history, day, &x, &t_x, &T) || (isinf(months) && rate <= 0))
		return false;
	*orders = PurchaseDiscounted(predictor->purchase, x, t_x, T, months * DAYS_A_MONTH, rate);
	return true;
}

bool
PredictValue(const Predictor *predictor, const History *history, DateADT day, double months,
			 double *value)
{
	double		spend;
	double		orders;

	if (!PredictSpend(predictor, history, &spend) ||
		!PredictDiscounted(predictor, history, day, months, &orders))
		return false;
	*value = predictor->margin * spend * orders;
	return true;
}

bool
PredictWinback(const Predictor *predictor, const History *history, double *value)
{
	double		spend;

	if (!predictor->has_second_life || !PredictSpend(predictor, history, &spend))
		return false;
	*value = predictor->margin * spend * (1 + predictor->second_orders);
	return true;
}

bool
PredictStaying(const Predictor *predictor, const History *history, DateADT day, double *staying,
			   bool *by_gaps)
{
	*by_gaps = false;
	if (history->order_days == 0)
		return false;
	if (PredictAlive(predictor, history, day, staying))
		return true;
	if (!predictor->gap.usable)
		return false;
	*staying = 1 - GapCdf(&predictor->gap, history->order_days - 1,
						  SumOfLogs(history->gaps, history->order_days - 1),
						  (double) day - history->last_order);
	*by_gaps = true;
	return true;
}

Level
PredictChurnRisk(const Predictor *predictor, const History *history, DateADT day)
{
	double		staying;
	bool		by_gaps;

	if (!PredictStaying(predictor, history, day, &staying, &by_gaps))
		return LEVEL_NONE;
	return staying > RISK_MID ? LEVEL_LOW : staying > RISK_HIGH ? LEVEL_MID : LEVEL_HIGH;
}

Level
PredictPotential(const Predictor *predictor, const History *history, DateADT day)
{
	double		value;

	if (!predictor->has_potential || !PredictValue(predictor, history, day, 12, &value))
		return LEVEL_NONE;
	return value > predictor->potential_high ? LEVEL_HIGH :
		value > predictor->potential_mid ? LEVEL_MID : LEVEL_LOW;
}

/* Why there is no expected spend; NULL when there is. */
static const char *
SpendFaultOf(const Predictor *predictor, const History *history)
{
	if (!predictor->has_spend)
		return predictor->spend_note;
	if (!SpendIsKnown(history))
		return "the repeat orders add up to nothing after refunds";
	return NULL;
}

const char *
ValueFault(const Predictor *predictor, const History *history)
{
	if (history->order_days == 0)
		return "no order yet";
	if (predictor->purchase == NULL)
		return predictor->purchase_note;
	return SpendFaultOf(predictor, history);
}

static void
Add(StringInfo note, const char *what, const char *why)
{
	appendStringInfo(note, "%s%s: %s", note->len > 0 ? "; " : "", what, why);
}

char *
PredictionNote(const Predictor *predictor, const History *history)
{
	const char *spend_fault = SpendFaultOf(predictor, history);
	StringInfoData note;

	if (history->order_days == 0)
		return pstrdup("no order yet");

	initStringInfo(&note);
	if (predictor->purchase == NULL)
		Add(&note, "p_alive, expected_orders, clv_12m, residual_value, potential_value",
			predictor->purchase_note);
	else if (!predictor->dropout_identified)
		Add(&note, "p_alive", predictor->dropout_note);
	if (!predictor->dropout_identified && !predictor->gap.usable)
		Add(&note, "churn_risk", predictor->gap_note);
	if (spend_fault != NULL)
		Add(&note, "expected_spend, clv_12m, residual_value, potential_value", spend_fault);
	else if (predictor->purchase != NULL && predictor->annual_rate <= 0)
		Add(&note, "residual_value", "settings.discount_rate is 0");
	if (note.len == 0)
		return NULL;
	return note.data;
}
