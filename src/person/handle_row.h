/*
 * handle_row.h
 *		What is read of handles, as it is compared with what is stored.
 */
#ifndef CUSTSEG_HANDLE_ROW_H
#define CUSTSEG_HANDLE_ROW_H

#include "postgres.h"

#include "person/handle.h"
#include "person/handle_read.h"

#define HANDLE_PORTION	10000	/* rows at a time */

typedef struct HandleRow
{
	int64		customer_id;
	int			kind;			/* of the rules */
	Handle		hash;
} HandleRow;

typedef void (*TakeHandleRow) (void *arg, const HandleRow *row);

extern const LinkRules *HandlesRules(const HandlesRead *read);

/* All that was read of customers who have a number, once; in a memory context that is reset now and then. */
extern void HandlesEach(HandlesRead *read, TakeHandleRow take, void *arg);

#endif							/* CUSTSEG_HANDLE_ROW_H */
