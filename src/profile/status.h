/*
 * status.h
 *		Rows of a read by the status they have.
 */
#ifndef CUSTSEG_STATUS_H
#define CUSTSEG_STATUS_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/array.h"

#define STATUS_VALUES		100 /* that are not accepted and counted one by one */
#define STATUS_MAX_LENGTH	200 /* bytes of such a value; longer ones are counted together */

/* A value of the status column. */
typedef struct StatusTotal
{
	int64		rows;
	bool		accepted;
	int			len;
	char		value[FLEXIBLE_ARRAY_MEMBER];	/* and a zero */
} StatusTotal;

#define STATUS_CACHE	64

typedef struct StatusCounts
{
	MemoryContext context;
	StatusTotal **accepted;		/* in the order of their bytes, each once */
	int			n_accepted;
	StatusTotal *others[STATUS_VALUES]; /* the first in that order */
	int			n_others;
	int64		nulls;			/* rows without a status */
	int64		more;			/* rows with any other value */
	StatusTotal *last;			/* of the last row; NULL for none */
	StatusTotal *cache[STATUS_CACHE];
} StatusCounts;

/* Counts in "context", of rows of which these statuses are accepted. */
extern StatusCounts *StatusCountsCreate(MemoryContext context, ArrayType *accepted);

/* Count a row by its status, a text. Whether that is an accepted one. */
extern bool StatusCount(StatusCounts *counts, bool isnull, Datum status);

/* Rows that have no accepted status. */
extern int64 StatusLeftOut(const StatusCounts *counts);

/* What a process counted, for another to add. */
extern void StatusPack(StringInfo data, const StatusCounts *counts);
extern void StatusMerge(StatusCounts *counts, const char *data);

#endif							/* CUSTSEG_STATUS_H */
