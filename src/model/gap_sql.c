/*
 * gap_sql.c
 *		The gap rule for SQL: an aggregate that fits it, and its quantiles.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"

#include "model/fit/interrupt.h"
#include "model/fit/special.h"
#include "model/gap/gap.h"
#include "model/values_sql.h"

PG_FUNCTION_INFO_V1(custseg_gap_trans);
PG_FUNCTION_INFO_V1(custseg_gap_final);
PG_FUNCTION_INFO_V1(custseg_gap_quantile);

/* The days in an array of any shape; how many there are. */
static int
Gaps(ArrayType *array, const int32 **gaps)
{
	int			n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));

	if (array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("gaps must not be null"),
				 errhint("Pass the days between order days, as custseg.gaps() gives them.")));
	*gaps = (const int32 *) ARR_DATA_PTR(array);
	for (int i = 0; i < n; i++)
	{
		CHECK_EVERY_SO_OFTEN(i);
		if ((*gaps)[i] < 1)
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("a gap of %d days is not possible", (*gaps)[i]),
					 errhint("Order days are different days: every gap is at least 1.")));
	}
	return n;
}

Datum
custseg_gap_trans(PG_FUNCTION_ARGS)
{
	GapSums    *sums = PG_ARGISNULL(0) ? NULL : (GapSums *) PG_GETARG_POINTER(0);
	MemoryContext context;

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "aggregate function called in non-aggregate context");
	if (sums == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(context);

		sums = GapSumsCreate();
		MemoryContextSwitchTo(old);
	}
	if (!PG_ARGISNULL(1))
	{
		const int32 *gaps;
		int			n = Gaps(PG_GETARG_ARRAYTYPE_P(1), &gaps);

		GapSumsAdd(sums, gaps, n);
	}
	PG_RETURN_POINTER(sums);
}

Datum
custseg_gap_final(PG_FUNCTION_ARGS)
{
	GapModel	model;

	FitGaps(PG_ARGISNULL(0) ? GapSumsCreate() : (GapSums *) PG_GETARG_POINTER(0), &model);
	PG_RETURN_DATUM(GapModelToDatum(&model));
}

Datum
custseg_gap_quantile(PG_FUNCTION_ARGS)
{
	const int32 *gaps;
	int			n = Gaps(PG_GETARG_ARRAYTYPE_P(0), &gaps);
	double		p = PG_GETARG_FLOAT8(1);
	GapModel	model;

	if (!(p > 0 && p < 1))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("quantile %g is not between 0 and 1", p),
				 errhint("The median is 0.5.")));
	GapModelFromDatum(PG_GETARG_DATUM(2), false, &model);
	if (!model.usable)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(GapQuantile(&model, n, SumOfLogs(gaps, n), NormalQuantile(p)));
}
