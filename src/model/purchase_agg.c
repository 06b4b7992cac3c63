/*
 * purchase_agg.c
 *		Aggregates that fit purchase models.
 */
#include "postgres.h"

#include "fmgr.h"

#include "model/fit_agg.h"
#include "model/purchase/purchase.h"
#include "model/purchase_sql.h"
#include "model/values_sql.h"

PG_FUNCTION_INFO_V1(custseg_purchase_fit_trans);
PG_FUNCTION_INFO_V1(custseg_purchase_fit_combine);
PG_FUNCTION_INFO_V1(custseg_purchase_fit_serialize);
PG_FUNCTION_INFO_V1(custseg_purchase_fit_deserialize);

/* (state, x, t_x, t [, prior, prior_sd]) */
Datum
custseg_purchase_fit_trans(PG_FUNCTION_ARGS)
{
	FitState   *state;
	double		x;
	double		t_x;
	double		T;
	const char *fault;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(3))
		return FitStateKeep(fcinfo);
	x = PG_GETARG_FLOAT8(1);
	t_x = PG_GETARG_FLOAT8(2);
	T = PG_GETARG_FLOAT8(3);
	fault = HistoryFault(x, t_x, T);
	if (fault)
		HistoryError(fault, x, t_x, T);
	state = FitStateAdd(fcinfo, 4, sizeof(Repeats));
	((Repeats *) state->rows)[state->n - 1] = (Repeats) {
		.t_x = t_x,.T = T,.x = (int32) x,.customers = 1
	};
	PG_RETURN_POINTER(state);
}

Datum
custseg_purchase_fit_combine(PG_FUNCTION_ARGS)
{
	return FitStateCombine(fcinfo);
}

Datum
custseg_purchase_fit_serialize(PG_FUNCTION_ARGS)
{
	FitState   *state = FitStateOf(fcinfo);

	state->n = CollapseRepeats(state->rows, state->n);
	return FitStateSerialize(fcinfo, state);
}

Datum
custseg_purchase_fit_deserialize(PG_FUNCTION_ARGS)
{
	return FitStateDeserialize(fcinfo, sizeof(Repeats));
}

static Datum
Final(FunctionCallInfo fcinfo, PurchaseModel model)
{
	FitState   *state = FitStateOf(fcinfo);
	const Prior *prior = FitStatePrior(state);
	Fit			fit;

	if (prior)
		CheckPrior(PurchaseParamsFault(model, prior->center, state->prior.n));

	/* the same histories in another order: another final function may follow */
	if (state)
		state->n = CollapseRepeats(state->rows, state->n);
	FitPurchase(model, state ? state->rows : NULL, state ? state->n : 0, prior, &fit);
	return FitToDatum(purchase_model_names[model], purchase_param_names[model],
					  model != PURCHASE_NBD, &fit);
}

#define FINAL(name, model) \
	PG_FUNCTION_INFO_V1(custseg_##name##_fit_final); \
	Datum \
	custseg_##name##_fit_final(PG_FUNCTION_ARGS) \
	{ \
		return Final(fcinfo, model); \
	}

FINAL(nbd, PURCHASE_NBD)
FINAL(bgnbd, PURCHASE_BGNBD)
FINAL(mbgnbd, PURCHASE_MBGNBD)
FINAL(paretonbd, PURCHASE_PARETONBD)
