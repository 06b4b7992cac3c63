/*
 * changes.h
 *		Rows gathered in memory and written by one statement.
 */
#ifndef CUSTSEG_CHANGES_H
#define CUSTSEG_CHANGES_H

#include "postgres.h"

#include "executor/spi.h"

#define CHANGE_COLUMNS	16		/* at most */

/* The columns of an array of Datums that grows, for unnest(). */
typedef struct Column
{
	Oid			type;
	Datum	   *values;
	bool	   *nulls;
} Column;

typedef struct Changes
{
	int			ncolumns;
	int			n;
	int			size;
	Column		columns[CHANGE_COLUMNS];
} Changes;

/* Add a row. Set ncolumns and the columns' types before the first. */
extern void AddChange(Changes *changes, const Datum *values, const bool *nulls);

/*
 * Run a kept statement whose first parameters are the columns as arrays, for
 * unnest(), followed by a few more.
 */
extern uint64 WriteChanges(SPIPlanPtr *plan, const char *sql, const Changes *changes,
						   int nmore, const Oid *more_types, const Datum *more);

#endif							/* CUSTSEG_CHANGES_H */
