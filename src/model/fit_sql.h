/*
 * fit_sql.h
 *		What the fits of all models have in common for SQL.
 */
#ifndef CUSTSEG_FIT_SQL_H
#define CUSTSEG_FIT_SQL_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/array.h"

#include "model/fit/fit.h"

/* Up to MAX_PARAMS numbers of an array; an error names it as what. How many there are. */
extern int	NumbersOfArray(ArrayType *array, const char *what, double *numbers);

/* The prior in two arguments of an aggregate; what one of no model can be is an error. */
typedef struct PriorArgument
{
	Prior		prior;
	int			n;				/* how many centers; 0: no prior */
} PriorArgument;
extern void ReadPrior(FunctionCallInfo fcinfo, int first, PriorArgument *argument);

#endif							/* CUSTSEG_FIT_SQL_H */
