/*
 * values_sql.c
 *		Models as SQL values: custseg.model_fit, custseg.gap_model,
 *		custseg.return_model, custseg.models.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "model/values_sql.h"

/* custseg.model_fit */
enum
{
	FIT_MODEL,
	FIT_PARAMETERS,
	FIT_PARAMS,
	FIT_STANDARD_ERRORS,
	FIT_LOG_LIKELIHOOD,
	FIT_GRADIENT_NORM,
	FIT_CUSTOMERS,
	FIT_REPEATERS,
	FIT_TRANSACTIONS,
	FIT_DROPOUT_IDENTIFIED,
	FIT_VERDICT,
	FIT_FALLBACK,
	FIT_ATTRIBUTES
};

/* custseg.gap_model */
enum
{
	GAP_MEANS,
	GAP_WITHIN,
	GAP_BETWEEN,
	GAP_FIRST,
	GAP_GAPS,
	GAP_CUSTOMERS,
	GAP_VERDICT,
	GAP_ATTRIBUTES
};

/* custseg.return_model */
enum
{
	RETURN_SILENCES,
	RETURN_RETURNS,
	RETURN_RETURNED,
	RETURN_WATCHED,
	RETURN_PURCHASE,
	RETURN_ATTRIBUTES
};

/* custseg.models */
enum
{
	MODELS_CALIBRATION_ID,
	MODELS_PURCHASE_MODEL,
	MODELS_PURCHASE_PARAMS,
	MODELS_DROPOUT_IDENTIFIED,
	MODELS_PURCHASE_VERDICT,
	MODELS_SPEND_PARAMS,
	MODELS_SPEND_VERDICT,
	MODELS_GAP,
	MODELS_MARGIN,
	MODELS_DISCOUNT_RATE,
	MODELS_POTENTIAL_HIGH_CUT,
	MODELS_POTENTIAL_MID_CUT,
	MODELS_COMEBACK,
	MODELS_GROUPED,
	MODELS_ATTRIBUTES
};

void
DeformRow(HeapTupleHeader row, const char *type, int natts, Datum *values, bool *nulls)
{
	TupleDesc	desc = lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(row),
											  HeapTupleHeaderGetTypMod(row));
	HeapTupleData tuple;

	if (desc->natts != natts)
		elog(ERROR, "type %s has %d attributes, not %d", type, desc->natts, natts);
	tuple.t_len = HeapTupleHeaderGetDatumLength(row);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	tuple.t_data = row;
	heap_deform_tuple(&tuple, desc, values, nulls);
	ReleaseTupleDesc(desc);
}

double *
FloatArray(Datum value, const char *what, int *n)
{
	ArrayType  *array = DatumGetArrayTypeP(value);
	double	   *numbers;

	if (ARR_NDIM(array) != 1 || ARR_ELEMTYPE(array) != FLOAT8OID || array_contains_nulls(array) ||
		(*n > 0 && ARR_DIMS(array)[0] != *n))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be an array of %d numbers without nulls", what, *n),
				 errhint("Take it from the model's own fit.")));
	*n = ARR_DIMS(array)[0];
	numbers = (double *) ARR_DATA_PTR(array);
	for (int i = 0; i < *n; i++)
		if (!isfinite(numbers[i]))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("%s must be finite, but number %d is %g", what, i + 1, numbers[i])));
	return numbers;
}

Datum
FloatArrayDatum(const double *numbers, int n)
{
	Datum	   *elements = palloc(n * sizeof(Datum));
	bool	   *nulls = palloc(n * sizeof(bool));
	int			dims[1] = {n};
	int			lower[1] = {1};

	for (int i = 0; i < n; i++)
	{
		nulls[i] = isnan(numbers[i]);
		elements[i] = Float8GetDatum(numbers[i]);
	}
	return PointerGetDatum(construct_md_array(elements, nulls, 1, dims, lower, FLOAT8OID,
											  sizeof(double), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

TupleDesc
CustsegRowType(const char *name)
{
	Oid			type = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum(name),
									   ObjectIdGetDatum(get_namespace_oid("custseg", false)));

	if (!OidIsValid(type))
		elog(ERROR, "type custseg.%s does not exist", name);
	return lookup_rowtype_tupdesc_copy(type, -1);
}

Datum
FitToDatum(const char *model, const char *const *names, bool dropout, const Fit *fit)
{
	int			nparams = fit->nparams;
	Datum		values[FIT_ATTRIBUTES] = {0};
	bool		nulls[FIT_ATTRIBUTES] = {0};
	Datum		elements[MAX_PARAMS];

	for (int i = 0; i < nparams; i++)
		elements[i] = CStringGetTextDatum(names[i]);
	values[FIT_MODEL] = CStringGetTextDatum(model);
	values[FIT_PARAMETERS] = PointerGetDatum(construct_array(elements, nparams, TEXTOID, -1, false,
															 TYPALIGN_INT));
	if (fit->usable)
	{
		values[FIT_PARAMS] = FloatArrayDatum(fit->params, nparams);
		values[FIT_STANDARD_ERRORS] = FloatArrayDatum(fit->errors, nparams);
		values[FIT_LOG_LIKELIHOOD] = Float8GetDatum(fit->log_likelihood);
		nulls[FIT_LOG_LIKELIHOOD] = isnan(fit->log_likelihood);
		values[FIT_GRADIENT_NORM] = Float8GetDatum(fit->gradient_norm);
		nulls[FIT_GRADIENT_NORM] = isnan(fit->gradient_norm);
		values[FIT_DROPOUT_IDENTIFIED] = BoolGetDatum(fit->dropout_identified);
	}
	else
		nulls[FIT_PARAMS] = nulls[FIT_STANDARD_ERRORS] = nulls[FIT_LOG_LIKELIHOOD] =
			nulls[FIT_GRADIENT_NORM] = true;
	nulls[FIT_DROPOUT_IDENTIFIED] = !fit->usable || !dropout;
	values[FIT_CUSTOMERS] = Int64GetDatum(fit->customers);
	values[FIT_REPEATERS] = Int64GetDatum(fit->repeaters);
	values[FIT_TRANSACTIONS] = Int64GetDatum(fit->transactions);
	values[FIT_VERDICT] = CStringGetTextDatum(fit->verdict);
	nulls[FIT_FALLBACK] = fit->fallback == NULL;
	if (fit->fallback)
		values[FIT_FALLBACK] = CStringGetTextDatum(fit->fallback);
	return HeapTupleGetDatum(heap_form_tuple(CustsegRowType("model_fit"), values, nulls));
}

Datum
GapModelToDatum(const GapModel *model)
{
	Datum		values[GAP_ATTRIBUTES] = {0};
	bool		nulls[GAP_ATTRIBUTES] = {0};

	if (model->usable)
	{
		values[GAP_MEANS] = FloatArrayDatum(model->means, GAP_BUCKETS);
		values[GAP_WITHIN] = Float8GetDatum(model->within);
		values[GAP_BETWEEN] = Float8GetDatum(model->between);
		values[GAP_FIRST] = Float8GetDatum(model->first);
	}
	else
		nulls[GAP_MEANS] = nulls[GAP_WITHIN] = nulls[GAP_BETWEEN] = nulls[GAP_FIRST] = true;
	values[GAP_GAPS] = Int64GetDatum(model->gaps);
	values[GAP_CUSTOMERS] = Int64GetDatum(model->customers);
	values[GAP_VERDICT] = CStringGetTextDatum(model->verdict);
	return HeapTupleGetDatum(heap_form_tuple(CustsegRowType("gap_model"), values, nulls));
}

static void
CheckGap(const char *what, double value, double least, double greatest)
{
	if (!(value >= least && value <= greatest))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the %s of custseg.gap_model must be between %g and %g, not %g", what, least,
						greatest, value),
				 errhint("Take the value from custseg.calibration.")));
}

void
GapModelFromDatum(Datum value, bool isnull, GapModel *model)
{
	Datum		values[GAP_ATTRIBUTES];
	bool		nulls[GAP_ATTRIBUTES];
	int			n = GAP_BUCKETS;

	memset(model, 0, sizeof(GapModel));
	if (isnull)
		return;
	DeformRow(DatumGetHeapTupleHeader(value), "custseg.gap_model", GAP_ATTRIBUTES, values, nulls);
	if (!nulls[GAP_VERDICT])
		model->verdict = TextDatumGetCString(values[GAP_VERDICT]);
	if (nulls[GAP_MEANS] || nulls[GAP_WITHIN] || nulls[GAP_BETWEEN] || nulls[GAP_FIRST])
		return;
	memcpy(model->means, FloatArray(values[GAP_MEANS], "custseg.gap_model.means", &n),
		   sizeof(model->means));
	model->within = DatumGetFloat8(values[GAP_WITHIN]);
	model->between = DatumGetFloat8(values[GAP_BETWEEN]);
	model->first = DatumGetFloat8(values[GAP_FIRST]);
	for (int i = 0; i < GAP_BUCKETS; i++)
		CheckGap("means", model->means[i], -GREATEST_LOG_GAP, GREATEST_LOG_GAP);
	CheckGap("variances", model->within, LEAST_GAP_VARIANCE, GREATEST_GAP_VARIANCE);
	CheckGap("variances", model->between, LEAST_GAP_VARIANCE, GREATEST_GAP_VARIANCE);
	CheckGap("variances", model->first, LEAST_GAP_VARIANCE, GREATEST_GAP_VARIANCE);
	model->usable = true;
}

static Datum
CountsDatum(const int64 (*counts)[RETURN_INTERVALS])
{
	Datum		elements[RETURN_GROUPS * RETURN_INTERVALS];
	int			dims[2] = {RETURN_GROUPS, RETURN_INTERVALS};
	int			lower[2] = {1, 1};

	for (int i = 0; i < lengthof(elements); i++)
		elements[i] = Int64GetDatum(counts[i / RETURN_INTERVALS][i % RETURN_INTERVALS]);
	return PointerGetDatum(construct_md_array(elements, NULL, 2, dims, lower, INT8OID,
											  sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

Datum
ReturnModelToDatum(const ReturnTable *table, PurchaseModel model, const Fit *fit)
{
	Datum		values[RETURN_ATTRIBUTES];
	bool		nulls[RETURN_ATTRIBUTES] = {0};

	values[RETURN_SILENCES] = Int64GetDatum(table->silences);
	values[RETURN_RETURNS] = Int64GetDatum(ReturnsOf(table, -1));
	values[RETURN_RETURNED] = CountsDatum(table->returned);
	values[RETURN_WATCHED] = CountsDatum(table->watched);
	values[RETURN_PURCHASE] = FitToDatum(purchase_model_names[model], purchase_param_names[model],
										 model != PURCHASE_NBD, fit);
	return HeapTupleGetDatum(heap_form_tuple(CustsegRowType("return_model"), values, nulls));
}

/* Counts that make sense: 0 <= returned <= watched. */
static void
ReturnTableFromDatums(Datum returned, Datum watched, ReturnTable *table)
{
	Datum		arrays[2] = {returned, watched};
	int64	   *counts[2] = {&table->returned[0][0], &table->watched[0][0]};
	bool		bad = false;

	for (int i = 0; i < 2; i++)
	{
		ArrayType  *array = DatumGetArrayTypeP(arrays[i]);

		if (ARR_NDIM(array) != 2 || ARR_ELEMTYPE(array) != INT8OID || array_contains_nulls(array) ||
			ARR_DIMS(array)[0] != RETURN_GROUPS || ARR_DIMS(array)[1] != RETURN_INTERVALS)
			bad = true;
		else
			memcpy(counts[i], ARR_DATA_PTR(array), sizeof(table->returned));
	}
	for (int i = 0; i < RETURN_GROUPS * RETURN_INTERVALS; i++)
		bad |= counts[0][i] < 0 || counts[0][i] > counts[1][i];
	if (bad)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("returned and watched of custseg.return_model must be %d x %d counts, none more returned than watched",
						RETURN_GROUPS, RETURN_INTERVALS),
				 errhint("Take the value from custseg.calibration.")));
}

static const char *
Text(Datum value, bool isnull, const char *otherwise)
{
	return isnull ? otherwise : TextDatumGetCString(value);
}

PurchaseModel
PurchaseModelByName(const char *name)
{
	for (int model = 0; model < PURCHASE_MODELS; model++)
		if (strcmp(name, purchase_model_names[model]) == 0)
			return model;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("purchase model \"%s\" is not known", name),
			 errhint("Known models: nbd, bgnbd, mbgnbd, paretonbd.")));
	return PURCHASE_NBD;
}

static void
CheckParams(const char *model, const char *fault)
{
	if (fault != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("parameters of model %s: %s", model, fault),
				 errhint("Take them from the model's own fit.")));
}

static Purchase *
CreatePurchase(Datum name, Datum params, PurchaseModel *model)
{
	char	   *model_name = TextDatumGetCString(name);
	int			n;
	double	   *numbers;

	*model = PurchaseModelByName(model_name);
	n = purchase_nparams[*model];
	numbers = FloatArray(params, "the parameters of a purchase model", &n);
	CheckParams(model_name, PurchaseParamsFault(*model, numbers, n));
	return PurchaseCreate(*model, numbers);
}

/* The second life of customers who come back. */
static void
ParseComeback(Datum value, Predictor *predictor)
{
	Datum		values[RETURN_ATTRIBUTES];
	bool		nulls[RETURN_ATTRIBUTES];
	Datum		fit[FIT_ATTRIBUTES];
	bool		fit_nulls[FIT_ATTRIBUTES];
	PurchaseModel model;

	DeformRow(DatumGetHeapTupleHeader(value), "custseg.return_model", RETURN_ATTRIBUTES, values, nulls);
	if (nulls[RETURN_SILENCES] || nulls[RETURN_RETURNED] || nulls[RETURN_WATCHED] ||
		nulls[RETURN_PURCHASE])
		return;
	predictor->returns.silences = DatumGetInt64(values[RETURN_SILENCES]);
	ReturnTableFromDatums(values[RETURN_RETURNED], values[RETURN_WATCHED], &predictor->returns);

	DeformRow(DatumGetHeapTupleHeader(values[RETURN_PURCHASE]), "custseg.model_fit", FIT_ATTRIBUTES,
			  fit, fit_nulls);
	if (fit_nulls[FIT_MODEL] || fit_nulls[FIT_PARAMS])
		return;
	predictor->has_second_life = true;
	predictor->second_orders = PurchaseDiscounted(CreatePurchase(fit[FIT_MODEL], fit[FIT_PARAMS], &model),
												  0, 0, 0, DAYS_A_YEAR,
												  DailyRate(predictor->annual_rate));
}

void
ParseModels(HeapTupleHeader value, Predictor *predictor)
{
	Datum		values[MODELS_ATTRIBUTES];
	bool		nulls[MODELS_ATTRIBUTES];
	const char *fault;
	const char *uncalibrated = "there is no calibration yet: CALL custseg.calibrate()";

	DeformRow(value, "custseg.models", MODELS_ATTRIBUTES, values, nulls);
	memset(predictor, 0, sizeof(Predictor));

	predictor->purchase_note = Text(values[MODELS_PURCHASE_VERDICT],
									nulls[MODELS_PURCHASE_VERDICT], uncalibrated);
	predictor->dropout_note = predictor->purchase_note;
	if (!nulls[MODELS_PURCHASE_MODEL] && !nulls[MODELS_PURCHASE_PARAMS])
	{
		PurchaseModel model;

		predictor->purchase = CreatePurchase(values[MODELS_PURCHASE_MODEL],
											 values[MODELS_PURCHASE_PARAMS], &model);
		predictor->dropout_identified = !nulls[MODELS_DROPOUT_IDENTIFIED] &&
			DatumGetBool(values[MODELS_DROPOUT_IDENTIFIED]);
		if (model == PURCHASE_NBD)
			predictor->dropout_note = "in the model nbd nobody ever leaves";
	}

	predictor->spend_note = Text(values[MODELS_SPEND_VERDICT], nulls[MODELS_SPEND_VERDICT],
								 uncalibrated);
	if (!nulls[MODELS_SPEND_PARAMS])
	{
		int			n = SPEND_PARAMS;
		double	   *params = FloatArray(values[MODELS_SPEND_PARAMS], "custseg.models.spend_params", &n);

		CheckParams("gamma_gamma", SpendParamsFault(params, n));
		memcpy(predictor->spend, params, sizeof(predictor->spend));
		predictor->has_spend = true;
	}

	GapModelFromDatum(values[MODELS_GAP], nulls[MODELS_GAP], &predictor->gap);
	predictor->gap_note = predictor->gap.verdict ? predictor->gap.verdict : uncalibrated;
	predictor->margin = nulls[MODELS_MARGIN] ? 1 : DatumGetFloat8(values[MODELS_MARGIN]);
	predictor->annual_rate = nulls[MODELS_DISCOUNT_RATE] ? 0 : DatumGetFloat8(values[MODELS_DISCOUNT_RATE]);
	if (!(predictor->margin >= 0 && predictor->margin <= GREATEST_MARGIN))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("margin of custseg.models must be between 0 and %g, not %g", GREATEST_MARGIN,
						predictor->margin),
				 errhint("Pass the share of spend that is earned, for example 0.3.")));
	fault = AnnualRateFault(predictor->annual_rate);
	if (fault != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("discount_rate of custseg.models: %s", fault),
				 errhint("Pass for example 0.1 for 10 %% a year.")));
	TabulateValues(predictor);
	if (!nulls[MODELS_COMEBACK])
		ParseComeback(values[MODELS_COMEBACK], predictor);
	predictor->has_potential = !nulls[MODELS_POTENTIAL_HIGH_CUT] && !nulls[MODELS_POTENTIAL_MID_CUT];
	if (predictor->has_potential)
	{
		predictor->potential_high = DatumGetFloat8(values[MODELS_POTENTIAL_HIGH_CUT]);
		predictor->potential_mid = DatumGetFloat8(values[MODELS_POTENTIAL_MID_CUT]);
		if (!isfinite(predictor->potential_high) || !isfinite(predictor->potential_mid))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("the cut points of custseg.models must be finite amounts"),
					 errhint("Take the value from custseg.models().")));
	}
}
