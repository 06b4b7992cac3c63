/*
 * purchase_sql.c
 *		The predictions of the purchase models for SQL.
 *
 * Queries ask for the same parameters row after row, and several functions of a
 * row ask about the same customer: what was computed from the parameters seen
 * last is kept for all of them.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "utils/memutils.h"

#include "model/fit_sql.h"
#include "model/purchase/purchase.h"
#include "model/purchase_sql.h"

#define DAYS_OF_YEAR 365.25
#define LEAST_UNIT_DAYS 1e-5	/* a second */
#define GREATEST_UNIT_DAYS 1e5

#define KEPT 8					/* sets of parameters */

typedef struct Kept
{
	MemoryContext context;
	PurchaseModel model;
	int			n;				/* 0: none */
	double		params[MAX_PARAMS];
	Purchase   *purchase;
} Kept;

/* The model with the parameters of an argument. */
static Purchase *
CachedPurchase(FunctionCallInfo fcinfo, int argno, PurchaseModel model)
{
	static Kept all[KEPT];
	static int	next = 0;		/* to be replaced */
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(argno);
	double		params[MAX_PARAMS];
	int			n = NumbersOfArray(array, "params", params);
	Kept	   *kept;
	const char *fault;
	MemoryContext old;

	PG_FREE_IF_COPY(array, argno);
	for (int i = 0; i < KEPT; i++)
	{
		kept = &all[i];
		if (n > 0 && kept->n == n && kept->model == model && memcmp(kept->params, params, n * sizeof(double)) == 0)
			return kept->purchase;
	}

	fault = PurchaseParamsFault(model, params, n);
	if (fault)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s", fault),
				 errhint("Pass the params of a fit, for example those of custseg.%s_fit().",
						 purchase_model_names[model])));
	kept = &all[next];
	next = (next + 1) % KEPT;
	kept->n = 0;
	if (kept->context == NULL)
		kept->context = AllocSetContextCreate(CacheMemoryContext, "custseg purchase model",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(kept->context);
	old = MemoryContextSwitchTo(kept->context);
	kept->purchase = PurchaseCreate(model, params);
	MemoryContextSwitchTo(old);
	memcpy(kept->params, params, sizeof(params));
	kept->model = model;
	kept->n = n;
	return kept->purchase;
}

void
HistoryError(const char *fault, double x, double t_x, double T)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid history x = %g, t_x = %g, t = %g: %s", x, t_x, T, fault),
			 errhint("x counts purchases after the first, t_x is the time from the first to the last, t from the first to the end of the time watched; custseg.repeat_summary() gives all three.")));
}

/* x, t_x and t in the first three arguments */
typedef struct History
{
	double		x;
	double		t_x;
	double		T;
} History;

static inline History
GetHistory(FunctionCallInfo fcinfo)
{
	History		h = {PG_GETARG_FLOAT8(0), PG_GETARG_FLOAT8(1), PG_GETARG_FLOAT8(2)};
	const char *fault = HistoryFault(h.x, h.t_x, h.T);

	if (unlikely(fault != NULL))
		HistoryError(fault, h.x, h.t_x, h.T);
	return h;
}

static double
GetHorizon(FunctionCallInfo fcinfo, int argno, bool may_be_infinite)
{
	double		horizon = PG_GETARG_FLOAT8(argno);

	if (may_be_infinite && isinf(horizon) && horizon > 0)
		return horizon;
	if (!(horizon == 0 || (horizon >= SHORTEST_TIME && horizon <= LONGEST_TIME)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a horizon must be 0 or between %g and %g, not %g", SHORTEST_TIME,
						LONGEST_TIME, horizon),
				 errhint("Pass a time in the unit of the histories.")));
	return horizon;
}

/* From a rate per year and the days of the unit of time to a continuous rate per unit. */
static double
GetRate(FunctionCallInfo fcinfo, int argno, bool may_be_zero)
{
	double		annual = PG_GETARG_FLOAT8(argno);
	double		days = PG_GETARG_FLOAT8(argno + 1);
	const char *fault = AnnualRateFault(annual);

	if (fault)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s", fault),
				 errhint("Pass for example 0.1 for 10 %% a year.")));
	if (annual == 0 && !may_be_zero)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("without a discount the purchases of all time are infinitely many"),
				 errhint("Pass a discount rate a year between %g and %g, for example 0.1 for 10 %%.",
						 LEAST_ANNUAL_RATE, GREATEST_ANNUAL_RATE)));
	if (!(days >= LEAST_UNIT_DAYS && days <= GREATEST_UNIT_DAYS))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the unit of time must be between %g and %g days, not %g", LEAST_UNIT_DAYS,
						GREATEST_UNIT_DAYS, days),
				 errhint("Pass how many days a unit has: 1 for days, 7 for weeks.")));
	return log1p(annual) * days / DAYS_OF_YEAR;
}

static Datum
LogLikelihoodOf(FunctionCallInfo fcinfo, PurchaseModel model)
{
	History		h = GetHistory(fcinfo);

	PG_RETURN_FLOAT8(PurchaseLogLikelihood(CachedPurchase(fcinfo, 3, model), h.x, h.t_x, h.T));
}

static Datum
Alive(FunctionCallInfo fcinfo, PurchaseModel model)
{
	History		h = GetHistory(fcinfo);

	PG_RETURN_FLOAT8(PurchaseAlive(CachedPurchase(fcinfo, 3, model), h.x, h.t_x, h.T));
}

static Datum
Expected(FunctionCallInfo fcinfo, PurchaseModel model)
{
	History		h = GetHistory(fcinfo);
	double		horizon = GetHorizon(fcinfo, 4, false);

	PG_RETURN_FLOAT8(PurchaseExpected(CachedPurchase(fcinfo, 3, model), h.x, h.t_x, h.T, horizon));
}

static Datum
ExpectedNew(FunctionCallInfo fcinfo, PurchaseModel model)
{
	double		horizon = GetHorizon(fcinfo, 1, false);

	PG_RETURN_FLOAT8(PurchaseExpectedNew(CachedPurchase(fcinfo, 0, model), horizon));
}

static Datum
Pmf(FunctionCallInfo fcinfo, PurchaseModel model)
{
	double		n = PG_GETARG_FLOAT8(0);
	double		horizon = GetHorizon(fcinfo, 1, false);

	if (!(n >= 0 && n <= PG_INT32_MAX) || n != floor(n))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a number of purchases must be a whole number from 0 to %d, not %g",
						PG_INT32_MAX, n),
				 errhint("Pass how many repeat purchases the probability is asked for.")));
	PG_RETURN_FLOAT8(PurchasePmf(CachedPurchase(fcinfo, 2, model), n, horizon));
}

static Datum
Dert(FunctionCallInfo fcinfo, PurchaseModel model)
{
	History		h = GetHistory(fcinfo);
	double		rate = GetRate(fcinfo, 4, false);

	PG_RETURN_FLOAT8(PurchaseDiscounted(CachedPurchase(fcinfo, 3, model), h.x, h.t_x, h.T,
										INFINITY, rate));
}

static Datum
Discounted(FunctionCallInfo fcinfo, PurchaseModel model)
{
	History		h = GetHistory(fcinfo);
	double		horizon = GetHorizon(fcinfo, 4, true);
	double		rate = GetRate(fcinfo, 5, !isinf(horizon));

	PG_RETURN_FLOAT8(PurchaseDiscounted(CachedPurchase(fcinfo, 3, model), h.x, h.t_x, h.T,
										horizon, rate));
}

/* (x, t_x, params, level) */
static Datum
AliveUntil(FunctionCallInfo fcinfo, PurchaseModel model)
{
	double		x = PG_GETARG_FLOAT8(0);
	double		t_x = PG_GETARG_FLOAT8(1);
	double		level = PG_GETARG_FLOAT8(3);
	const char *fault = HistoryFault(x, t_x, t_x);
	double		until;

	if (fault)
		HistoryError(fault, x, t_x, t_x);
	if (!(level > 0 && level < 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a level of P(alive) must be between 0 and 1, not %g", level),
				 errhint("Pass for example 0.5.")));
	until = PurchaseAliveUntil(CachedPurchase(fcinfo, 2, model), x, t_x, level);
	if (isinf(until))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(until);
}

/* One SQL function for each model and question. */
#define FUNCTION(model, name, suffix, body) \
	PG_FUNCTION_INFO_V1(custseg_##name##_##suffix); \
	Datum \
	custseg_##name##_##suffix(PG_FUNCTION_ARGS) \
	{ \
		return body(fcinfo, model); \
	}

#define FUNCTIONS(model, name) \
	FUNCTION(model, name, log_likelihood, LogLikelihoodOf) \
	FUNCTION(model, name, p_alive, Alive) \
	FUNCTION(model, name, expected, Expected) \
	FUNCTION(model, name, expected_new, ExpectedNew) \
	FUNCTION(model, name, pmf, Pmf) \
	FUNCTION(model, name, dert, Dert) \
	FUNCTION(model, name, discounted, Discounted) \
	FUNCTION(model, name, alive_until, AliveUntil)

FUNCTIONS(PURCHASE_NBD, nbd)
FUNCTIONS(PURCHASE_BGNBD, bgnbd)
FUNCTIONS(PURCHASE_MBGNBD, mbgnbd)
FUNCTIONS(PURCHASE_PARETONBD, paretonbd)
