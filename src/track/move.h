/*
 * move.h
 *		Rows that a transaction of the shop moved from one customer to another.
 */
#ifndef CUSTSEG_MOVE_H
#define CUSTSEG_MOVE_H

#include "postgres.h"

#include "access/tupdesc.h"

typedef struct Move
{
	int			source_id;
	int			nest;			/* of the subtransaction that did it */
	char	   *from;			/* keys, as text */
	char	   *to;
} Move;

/* A row went from one key to another, which may be the same. Both are of the type of the customer column, and not null. */
extern void MoveNote(int source_id, const FormData_pg_attribute *column, Datum from, Datum to);

/* At the end of the transaction: all of them, each once; none where they are too many. */
extern const Move *MovesTake(int *n);

/* The columns of custseg.change_move that the shop writes. */
enum
{
	MOVE_SOURCE_ID,
	MOVE_XACT,
	MOVE_FROM,
	MOVE_TO,
	MOVE_COLUMNS
};

#endif							/* CUSTSEG_MOVE_H */
