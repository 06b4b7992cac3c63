/*
 * ids.h
 *		Lists of customer ids.
 */
#ifndef CUSTSEG_IDS_H
#define CUSTSEG_IDS_H

#include "postgres.h"

#include "utils/array.h"

extern int	CompareIds(const void *a, const void *b);

/* Sort ids and keep each once; how many remain. */
extern int	SortIds(int64 *ids, int n);

/* An array parameter of them, or of other numbers: the only place that builds a bigint[] of one dimension. */
extern Datum IdArray(const int64 *ids, int n);

/* Those of a bigint[] that a caller named, ascending and each once; an error where they are more than that. */
extern int64 *IdsOfArray(ArrayType *array, int most, int *n);

#endif							/* CUSTSEG_IDS_H */
