/*
 * ids.c
 *		Lists of customer ids.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"

#include "common/ids.h"

int
CompareIds(const void *a, const void *b)
{
	int64		x = *(const int64 *) a;
	int64		y = *(const int64 *) b;

	return (x > y) - (x < y);
}

int
SortIds(int64 *ids, int n)
{
	int			different = 0;

	qsort(ids, n, sizeof(int64), CompareIds);
	for (int i = 0; i < n; i++)
		if (i == 0 || ids[i] != ids[different - 1])
			ids[different++] = ids[i];
	return different;
}

Datum
IdArray(const int64 *ids, int n)
{
	Datum	   *values = palloc_extended(Max(n, 1) * sizeof(Datum), MCXT_ALLOC_HUGE);

	for (int i = 0; i < n; i++)
		values[i] = Int64GetDatum(ids[i]);
	return PointerGetDatum(construct_array(values, n, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

int64 *
IdsOfArray(ArrayType *array, int most, int *n)
{
	Datum	   *values;
	bool	   *nulls;
	int64	   *ids;
	int			n_values;

	deconstruct_array(array, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &values, &nulls, &n_values);
	if (n_values > most)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("customers must not be more than %d", most),
				 errhint("Ask for some of them at a time.")));
	ids = palloc(Max(n_values, 1) * sizeof(int64));
	*n = 0;
	for (int i = 0; i < n_values; i++)
		if (!nulls[i])
			ids[(*n)++] = DatumGetInt64(values[i]);
	*n = SortIds(ids, *n);
	return ids;
}
