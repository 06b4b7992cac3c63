/*
 * purchase.c
 *		One interface to the predictions of the purchase models.
 */
#include "postgres.h"

#include <math.h>

#include "model/purchase/family.h"
#include "model/purchase/purchase.h"

struct Purchase
{
	PurchaseModel model;
	double		r;
	double		alpha;
	double		at_first;
	Bg		   *bg;				/* BG/NBD or MBG/NBD */
	Pareto	   *pareto;			/* Pareto/NBD */

	/* P(alive) of the customer who was asked about last: most questions come together. */
	double		x;
	double		t_x;
	double		T;
	double		alive;
};

const char *
PurchaseParamsFault(PurchaseModel model, const double *params, int nparams)
{
	if (nparams != purchase_nparams[model])
		return psprintf("%s has %d parameters, not %d", purchase_model_names[model],
						purchase_nparams[model], nparams);
	for (int i = 0; i < nparams; i++)
	{
		bool		is_time = purchase_param_is_time[model][i];
		double		least = is_time ? SHORTEST_TIME : LEAST_PARAM;
		double		greatest = is_time ? LONGEST_TIME : GREATEST_PARAM;

		if (!(params[i] >= least && params[i] <= greatest))
			return psprintf("parameter %s of %s must be between %g and %g, not %g",
							purchase_param_names[model][i], purchase_model_names[model],
							least, greatest, params[i]);
	}
	return NULL;
}

static bool
IsTime(double t)
{
	return t == 0 || (t >= SHORTEST_TIME && t <= LONGEST_TIME);
}

const char *
HistoryFault(double x, double t_x, double T)
{
	if (!(x >= 0 && x <= PG_INT32_MAX) || x != floor(x))
		return psprintf("the number of repeat purchases must be a whole number from 0 to %d",
						PG_INT32_MAX);
	if (!IsTime(t_x) || !IsTime(T))
		return psprintf("a time must be 0 or between %g and %g", SHORTEST_TIME, LONGEST_TIME);
	if (t_x > T)
		return "the last purchase cannot be after the end of the time watched";
	if (x == 0 && t_x != 0)
		return "without a repeat purchase the time of the last one must be 0";
	if (x > 0 && t_x == 0)
		return "a repeat purchase must be some time after the first purchase";
	return NULL;
}

const char *
AnnualRateFault(double annual_rate)
{
	if (annual_rate == 0 ||
		(annual_rate >= LEAST_ANNUAL_RATE && annual_rate <= GREATEST_ANNUAL_RATE))
		return NULL;
	return psprintf("a discount rate a year must be 0 or between %g and %g, not %g",
					LEAST_ANNUAL_RATE, GREATEST_ANNUAL_RATE, annual_rate);
}

Purchase *
PurchaseCreate(PurchaseModel model, const double *params)
{
	Purchase   *purchase = palloc0(sizeof(Purchase));

	purchase->model = model;
	purchase->x = -1;
	purchase->r = params[0];
	purchase->alpha = params[1];
	purchase->at_first = model == PURCHASE_MBGNBD ? params[3] / (params[2] + params[3]) : 1;
	if (model == PURCHASE_PARETONBD)
		purchase->pareto = ParetoCreate(params);
	else if (model != PURCHASE_NBD)
		purchase->bg = BgCreate(params, model == PURCHASE_MBGNBD ? 1 : 0);
	return purchase;
}

double
PurchaseLogLikelihood(Purchase *purchase, double x, double t_x, double T)
{
	if (purchase->bg)
		return BgLogLikelihood(purchase->bg, x, t_x, T);
	if (purchase->pareto)
		return ParetoLogLikelihood(purchase->pareto, x, t_x, T);
	return NbdLogLikelihood(purchase->r, purchase->alpha, x, T);
}

double
PurchaseAlive(Purchase *purchase, double x, double t_x, double T)
{
	if (x != purchase->x || t_x != purchase->t_x || T != purchase->T)
	{
		purchase->alive = purchase->bg ? BgAlive(purchase->bg, x, t_x, T) :
			purchase->pareto ? ParetoAlive(purchase->pareto, x, t_x, T) : 1;
		purchase->x = x;
		purchase->t_x = t_x;
		purchase->T = T;
	}
	return purchase->alive;
}

double
PurchaseExpected(Purchase *purchase, double x, double t_x, double T, double t)
{
	double		alive = PurchaseAlive(purchase, x, t_x, T);

	if (purchase->bg)
		return alive * BgExpected(purchase->bg, x, T, t);
	if (purchase->pareto)
		return alive * ParetoExpected(purchase->pareto, x, T, t);
	return (purchase->r + x) / (purchase->alpha + T) * t;
}

double
PurchaseExpectedNew(Purchase *purchase, double t)
{
	if (purchase->pareto)
		return ParetoExpectedNew(purchase->pareto, t);
	return PurchaseExpected(purchase, 0, 0, 0, t);
}

double
PurchasePmf(Purchase *purchase, double n, double t)
{
	if (purchase->bg)
		return BgPmf(purchase->bg, n, t);
	if (purchase->pareto)
		return ParetoPmf(purchase->pareto, n, t);
	return NbdPmf(purchase->r, purchase->alpha, n, t);
}

double
PurchaseDiscounted(Purchase *purchase, double x, double t_x, double T, double t, double rate)
{
	double		alive = PurchaseAlive(purchase, x, t_x, T);

	if (rate == 0)
		return PurchaseExpected(purchase, x, t_x, T, t);
	if (purchase->bg)
		return alive * BgDiscounted(purchase->bg, x, T, t, rate);
	if (purchase->pareto)
		return alive * ParetoDiscounted(purchase->pareto, x, T, t, rate);
	return (purchase->r + x) / (purchase->alpha + T) * (-expm1(-rate * t) / rate);
}

void
PurchaseTabulate(Purchase *purchase, double t, double rate)
{
	if (purchase->bg)
		BgTabulate(purchase->bg, t, rate);
}

double
PurchaseAliveUntil(Purchase *purchase, double x, double t_x, double level)
{
	if (purchase->bg)
		return BgAliveUntil(purchase->bg, x, t_x, level);
	if (purchase->pareto)
		return ParetoAliveUntil(purchase->pareto, x, t_x, level);
	return INFINITY;
}

double
PurchaseAliveAtFirst(const Purchase *purchase)
{
	return purchase->at_first;
}
