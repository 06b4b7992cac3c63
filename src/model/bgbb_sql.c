/*
 * bgbb_sql.c
 *		BG/BB for SQL.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"

#include "model/fit_agg.h"
#include "model/purchase/bgbb.h"
#include "model/values_sql.h"

PG_FUNCTION_INFO_V1(custseg_bgbb_fit_trans);
PG_FUNCTION_INFO_V1(custseg_bgbb_fit_combine);
PG_FUNCTION_INFO_V1(custseg_bgbb_fit_serialize);
PG_FUNCTION_INFO_V1(custseg_bgbb_fit_deserialize);
PG_FUNCTION_INFO_V1(custseg_bgbb_fit_final);
PG_FUNCTION_INFO_V1(custseg_bgbb_log_likelihood);
PG_FUNCTION_INFO_V1(custseg_bgbb_p_alive);
PG_FUNCTION_INFO_V1(custseg_bgbb_expected);
PG_FUNCTION_INFO_V1(custseg_bgbb_expected_new);
PG_FUNCTION_INFO_V1(custseg_bgbb_pmf);

/* x, t_x and n in three arguments */
typedef struct Donor
{
	double		x;
	double		t_x;
	double		n;
} Donor;

static Donor
GetHistory(FunctionCallInfo fcinfo, int first)
{
	Donor		h = {
		PG_GETARG_FLOAT8(first), PG_GETARG_FLOAT8(first + 1), PG_GETARG_FLOAT8(first + 2)
	};
	const char *fault = ChancesFault(h.x, h.t_x, h.n);

	if (unlikely(fault != NULL))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid history x = %g, t_x = %g, n = %g: %s", h.x, h.t_x, h.n, fault),
				 errhint("Of n opportunities after the first purchase x were used, the last of them was number t_x, or 0.")));
	return h;
}

/* (state, x, t_x, n [, prior, prior_sd]) */
Datum
custseg_bgbb_fit_trans(PG_FUNCTION_ARGS)
{
	Donor		h;
	FitState   *state;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(3))
		return FitStateKeep(fcinfo);
	h = GetHistory(fcinfo, 1);
	state = FitStateAdd(fcinfo, 4, sizeof(Chances));
	((Chances *) state->rows)[state->n - 1] = (Chances) {
		.x = (int32) h.x,.t_x = (int32) h.t_x,.n = (int32) h.n,.customers = 1
	};
	PG_RETURN_POINTER(state);
}

Datum
custseg_bgbb_fit_combine(PG_FUNCTION_ARGS)
{
	return FitStateCombine(fcinfo);
}

Datum
custseg_bgbb_fit_serialize(PG_FUNCTION_ARGS)
{
	FitState   *state = FitStateOf(fcinfo);

	state->n = CollapseChances(state->rows, state->n);
	return FitStateSerialize(fcinfo, state);
}

Datum
custseg_bgbb_fit_deserialize(PG_FUNCTION_ARGS)
{
	return FitStateDeserialize(fcinfo, sizeof(Chances));
}

Datum
custseg_bgbb_fit_final(PG_FUNCTION_ARGS)
{
	FitState   *state = FitStateOf(fcinfo);
	const Prior *prior = FitStatePrior(state);
	Fit			fit;

	if (prior)
		CheckPrior(BgbbParamsFault(prior->center, state->prior.n));
	if (state)
		state->n = CollapseChances(state->rows, state->n);
	FitBgbb(state ? state->rows : NULL, state ? state->n : 0, prior, &fit);
	return FitToDatum("bgbb", bgbb_param_names, true, &fit);
}

static void
GetParams(FunctionCallInfo fcinfo, int argno, double *params)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(argno);
	int			n = NumbersOfArray(array, "params", params);
	const char *fault = BgbbParamsFault(params, n);

	if (unlikely(fault != NULL))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s", fault),
				 errhint("Pass the params of a fit, for example those of custseg.bgbb_fit().")));
	PG_FREE_IF_COPY(array, argno);
}

static double
GetPeriods(FunctionCallInfo fcinfo, int argno, const char *what)
{
	double		periods = PG_GETARG_FLOAT8(argno);

	if (!(periods >= 0 && periods <= BGBB_MOST_PERIODS) || periods != floor(periods))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be a whole number from 0 to %d, not %g", what, BGBB_MOST_PERIODS,
						periods),
				 errhint("BG/BB counts opportunities, not time.")));
	return periods;
}

Datum
custseg_bgbb_log_likelihood(PG_FUNCTION_ARGS)
{
	Donor		h = GetHistory(fcinfo, 0);
	double		params[MAX_PARAMS];

	GetParams(fcinfo, 3, params);
	PG_RETURN_FLOAT8(BgbbLogLikelihood(params, h.x, h.t_x, h.n));
}

Datum
custseg_bgbb_p_alive(PG_FUNCTION_ARGS)
{
	Donor		h = GetHistory(fcinfo, 0);
	double		params[MAX_PARAMS];

	GetParams(fcinfo, 3, params);
	PG_RETURN_FLOAT8(BgbbAlive(params, h.x, h.t_x, h.n));
}

/* (x, t_x, n, params, periods) */
Datum
custseg_bgbb_expected(PG_FUNCTION_ARGS)
{
	Donor		h = GetHistory(fcinfo, 0);
	double		periods = GetPeriods(fcinfo, 4, "periods");
	double		params[MAX_PARAMS];

	GetParams(fcinfo, 3, params);
	PG_RETURN_FLOAT8(BgbbExpected(params, h.x, h.t_x, h.n, periods));
}

/* (params, periods) */
Datum
custseg_bgbb_expected_new(PG_FUNCTION_ARGS)
{
	double		periods = GetPeriods(fcinfo, 1, "periods");
	double		params[MAX_PARAMS];

	GetParams(fcinfo, 0, params);
	PG_RETURN_FLOAT8(BgbbExpectedNew(params, periods));
}

/* (k, n, params) */
Datum
custseg_bgbb_pmf(PG_FUNCTION_ARGS)
{
	double		k = GetPeriods(fcinfo, 0, "k");
	double		n = GetPeriods(fcinfo, 1, "n");
	double		params[MAX_PARAMS];

	GetParams(fcinfo, 2, params);
	PG_RETURN_FLOAT8(k <= n ? BgbbPmf(params, k, n) : 0);
}
