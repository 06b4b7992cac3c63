/*
 * spend_sql.c
 *		Gamma-Gamma for SQL.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"

#include "model/fit_agg.h"
#include "model/spend/spend.h"
#include "model/values_sql.h"

PG_FUNCTION_INFO_V1(custseg_gamma_gamma_fit_trans);
PG_FUNCTION_INFO_V1(custseg_gamma_gamma_fit_combine);
PG_FUNCTION_INFO_V1(custseg_gamma_gamma_fit_serialize);
PG_FUNCTION_INFO_V1(custseg_gamma_gamma_fit_deserialize);
PG_FUNCTION_INFO_V1(custseg_gamma_gamma_fit_final);
PG_FUNCTION_INFO_V1(custseg_gamma_gamma_log_likelihood);
PG_FUNCTION_INFO_V1(custseg_gamma_gamma_expected);

static void
CheckSpend(double x, double mean)
{
	const char *fault = SpendFault(x, mean);

	if (unlikely(fault != NULL))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid spend x = %g, mean_spend = %g: %s", x, mean, fault),
				 errhint("x counts the spends of a customer, mean_spend is their mean; leave out customers who have spent nothing.")));
}

/* (state, x, mean_spend [, prior, prior_sd]) */
Datum
custseg_gamma_gamma_fit_trans(PG_FUNCTION_ARGS)
{
	double		x;
	double		mean;
	FitState   *state;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_GETARG_FLOAT8(1) == 0)
		return FitStateKeep(fcinfo);
	x = PG_GETARG_FLOAT8(1);
	mean = PG_GETARG_FLOAT8(2);
	CheckSpend(x, mean);
	state = FitStateAdd(fcinfo, 3, sizeof(Spends));
	((Spends *) state->rows)[state->n - 1] = (Spends) {.mean = mean,.x = (int32) x,.customers = 1};
	PG_RETURN_POINTER(state);
}

Datum
custseg_gamma_gamma_fit_combine(PG_FUNCTION_ARGS)
{
	return FitStateCombine(fcinfo);
}

Datum
custseg_gamma_gamma_fit_serialize(PG_FUNCTION_ARGS)
{
	FitState   *state = FitStateOf(fcinfo);

	state->n = CollapseSpends(state->rows, state->n);
	return FitStateSerialize(fcinfo, state);
}

Datum
custseg_gamma_gamma_fit_deserialize(PG_FUNCTION_ARGS)
{
	return FitStateDeserialize(fcinfo, sizeof(Spends));
}

Datum
custseg_gamma_gamma_fit_final(PG_FUNCTION_ARGS)
{
	FitState   *state = FitStateOf(fcinfo);
	const Prior *prior = FitStatePrior(state);
	Fit			fit;

	if (prior)
		CheckPrior(SpendParamsFault(prior->center, state->prior.n));
	if (state)
		state->n = CollapseSpends(state->rows, state->n);
	FitSpend(state ? state->rows : NULL, state ? state->n : 0, prior, &fit);
	return FitToDatum("gamma_gamma", spend_param_names, false, &fit);
}

static void
GetParams(FunctionCallInfo fcinfo, int argno, double *params)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(argno);
	int			n = NumbersOfArray(array, "params", params);
	const char *fault = SpendParamsFault(params, n);

	if (unlikely(fault != NULL))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s", fault),
				 errhint("Pass the params of a fit, for example those of custseg.gamma_gamma_fit().")));
	PG_FREE_IF_COPY(array, argno);
}

/*
 * (x, mean_spend, params), of functions that are not strict: without a spend
 * there is no mean, and none is needed. False where anything else is missing.
 */
static bool
GetSpend(FunctionCallInfo fcinfo, double *x, double *mean, double *params)
{
	if (PG_ARGISNULL(0) || PG_ARGISNULL(2))
		return false;
	*x = PG_GETARG_FLOAT8(0);
	if (PG_ARGISNULL(1) && *x != 0)
		return false;
	*mean = PG_ARGISNULL(1) ? 0 : PG_GETARG_FLOAT8(1);
	CheckSpend(*x, *mean);
	GetParams(fcinfo, 2, params);
	return true;
}

Datum
custseg_gamma_gamma_log_likelihood(PG_FUNCTION_ARGS)
{
	double		x;
	double		mean;
	double		params[MAX_PARAMS];

	if (!GetSpend(fcinfo, &x, &mean, params))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(SpendLogLikelihood(params, x, mean));
}

Datum
custseg_gamma_gamma_expected(PG_FUNCTION_ARGS)
{
	double		x;
	double		mean;
	double		params[MAX_PARAMS];
	double		expected;

	if (!GetSpend(fcinfo, &x, &mean, params))
		PG_RETURN_NULL();
	expected = SpendExpected(params, x, mean);
	if (isinf(expected))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(expected);
}
