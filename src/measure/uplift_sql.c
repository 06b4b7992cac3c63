/*
 * uplift_sql.c
 *		The estimators of uplift.c for SQL.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "funcapi.h"

#include "measure/uplift.h"

PG_FUNCTION_INFO_V1(custseg_rate_difference);

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

	if (x1 < 0 || x0 < 0 || x1 > n1 || x0 > n0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a rate must be some out of as many or more"),
				 errhint("Pass converted, of, control_converted, control_of.")));
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
