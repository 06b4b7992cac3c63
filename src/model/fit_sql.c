/*
 * fit_sql.c
 *		What the fits of all models have in common for SQL.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"


#include "model/fit_sql.h"

int
NumbersOfArray(ArrayType *array, const char *what, double *numbers)
{
	int			n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));

	Assert(ARR_ELEMTYPE(array) == FLOAT8OID);
	if (ARR_NDIM(array) > 1 || n > MAX_PARAMS || array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be an array of up to %d numbers, none of them NULL", what, MAX_PARAMS),
				 errhint("Pass one number for each parameter of the model, in the order in which its fit returns them.")));
	memcpy(numbers, ARR_DATA_PTR(array), n * sizeof(double));
	return n;
}

void
ReadPrior(FunctionCallInfo fcinfo, int first, PriorArgument *argument)
{
	memset(argument, 0, sizeof(*argument));
	if (PG_NARGS() <= first || (PG_ARGISNULL(first) && PG_ARGISNULL(first + 1)))
		return;
	if (!PG_ARGISNULL(first) && !PG_ARGISNULL(first + 1))
	{
		argument->n = NumbersOfArray(PG_GETARG_ARRAYTYPE_P(first), "prior", argument->prior.center);
		argument->prior.sd = PG_GETARG_FLOAT8(first + 1);
	}
	if (argument->n == 0 || !(argument->prior.sd >= 1e-3 && argument->prior.sd <= 1e3))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a prior must be a median for each parameter and a standard deviation of their logarithms between 0.001 and 1000"),
				 errhint("Pass for example ARRAY[0.5, 30, 0.7, 2] and 2, or NULL and NULL for none.")));
}
