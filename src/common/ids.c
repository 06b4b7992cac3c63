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
