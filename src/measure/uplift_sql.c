/*
 * uplift_sql.c
 *		The estimators of uplift.c for SQL.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"

#include "measure/uplift.h"

PG_FUNCTION_INFO_V1(custseg_rate_difference);
PG_FUNCTION_INFO_V1(custseg_stratified_difference);

/* Rates as people pass them: some out of as many or more. */
static void
CheckRate(int64 x, int64 n)
{
	if (x < 0 || x > n)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a rate must be some out of as many or more"),
				 errhint("Pass converted, of, control_converted, control_of.")));
}

Datum
custseg_rate_difference(PG_FUNCTION_ARGS)
{
	int64		x1 = PG_GETARG_INT64(0);
	int64		n1 = PG_GETARG_INT64(1);
	int64		x0 = PG_GETARG_INT64(2);
	int64		n0 = PG_GETARG_INT64(3);
	TupleDesc	desc;
	Datum		values[3] = {0};
	bool		nulls[3] = {true, true, true};

	CheckRate(x1, n1);
	CheckRate(x0, n0);
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (n1 > 0 && n0 > 0)
	{
		RateDifference result = CompareRates(x1, n1, x0, n0);

		values[0] = Float8GetDatum(result.difference);
		values[1] = Float8GetDatum(result.low);
		values[2] = Float8GetDatum(result.high);
		memset(nulls, 0, sizeof(nulls));
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/* An array of as many numbers as there are strata; -1: as many as it has. */
static const int64 *
Counts(FunctionCallInfo fcinfo, int argument, int *n)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(argument);
	int			length = ARR_NDIM(array) == 0 ? 0 : ARR_DIMS(array)[0];

	if (*n < 0)
		*n = length;
	if (ARR_NDIM(array) > 1 || array_contains_nulls(array) || length != *n)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("the counts of strata must be four arrays of the same length, without nulls"),
				 errhint("Pass converted, of, control_converted, control_of; the same place in each is one stratum.")));
	return (const int64 *) ARR_DATA_PTR(array);
}

Datum
custseg_stratified_difference(PG_FUNCTION_ARGS)
{
	int			n = -1;
	const int64 *x1 = Counts(fcinfo, 0, &n);
	const int64 *n1 = Counts(fcinfo, 1, &n);
	const int64 *x0 = Counts(fcinfo, 2, &n);
	const int64 *n0 = Counts(fcinfo, 3, &n);
	Stratum    *strata = palloc(Max(n, 1) * sizeof(Stratum));
	StratifiedDifference result;
	TupleDesc	desc;
	Datum		values[5] = {0};
	bool		nulls[5] = {true, true, true, true, true};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	for (int i = 0; i < n; i++)
	{
		CheckRate(x1[i], n1[i]);
		CheckRate(x0[i], n0[i]);
		strata[i] = (Stratum) {x1[i], n1[i], x0[i], n0[i]};
	}
	if (CompareStrata(strata, n, &result))
	{
		values[0] = Float8GetDatum(result.rate);
		values[1] = Float8GetDatum(result.control_rate);
		values[2] = Float8GetDatum(result.of.difference);
		values[3] = Float8GetDatum(result.of.low);
		values[4] = Float8GetDatum(result.of.high);
		memset(nulls, 0, sizeof(nulls));
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
