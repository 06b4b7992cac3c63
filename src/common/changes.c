/*
 * changes.c
 *		Rows gathered in memory and written by one statement.
 */
#include "postgres.h"

#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "common/changes.h"
#include "common/spi.h"

#define MORE_PARAMETERS	4

void
AddChange(Changes *changes, const Datum *values, const bool *nulls)
{
	if (changes->n == changes->size)
	{
		changes->size = Max(changes->size * 2, 256);
		for (int i = 0; i < changes->ncolumns; i++)
		{
			Column	   *column = &changes->columns[i];
			bool		first = column->values == NULL;
			Size		size = changes->size * sizeof(Datum);

			column->values = first ? palloc_extended(size, MCXT_ALLOC_HUGE) :
				repalloc_huge(column->values, size);
			column->nulls = first ? palloc(changes->size) :
				repalloc_huge(column->nulls, changes->size);
		}
	}
	for (int i = 0; i < changes->ncolumns; i++)
	{
		changes->columns[i].values[changes->n] = values[i];
		changes->columns[i].nulls[changes->n] = nulls[i];
	}
	changes->n++;
}

static Datum
ColumnArray(const Column *column, int n)
{
	int			lower = 1;
	int16		length;
	bool		byval;
	char		align;

	get_typlenbyvalalign(column->type, &length, &byval, &align);
	return PointerGetDatum(construct_md_array(column->values, column->nulls, 1, &n, &lower,
											  column->type, length, byval, align));
}

uint64
WriteChanges(SPIPlanPtr *plan, const char *sql, const Changes *changes,
			 int nmore, const Oid *more_types, const Datum *more)
{
	Oid			types[CHANGE_COLUMNS + MORE_PARAMETERS];
	Datum		values[CHANGE_COLUMNS + MORE_PARAMETERS];
	int			n = changes->ncolumns;

	for (int i = 0; i < n; i++)
	{
		types[i] = get_array_type(changes->columns[i].type);
		values[i] = ColumnArray(&changes->columns[i], changes->n);
	}
	for (int i = 0; i < nmore; i++)
	{
		types[n + i] = more_types[i];
		values[n + i] = more[i];
	}
	SpiKeep(plan, sql, n + nmore, types);
	return SpiRunPlan(*plan, values, NULL);
}
