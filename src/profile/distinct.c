/*
 * distinct.c
 *		How many customers there are in what was collected.
 *
 * Asked before the first of them is handed out, when where they end up is not
 * decided yet, and mostly only whether they are enough.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "profile/piece.h"

/* Those of a partition: all of a customer's rows are in the same. */
static int64
PartitionCustomers(Collector *c, int p)
{
	Piece		piece = {.set = c->rows,.p = p,.wide = c->key_kind != KEY_NATIVE};
	uint32		row_size = PieceRowSize(c, &piece);
	PartitionIter iter;
	char	   *chunk;
	int			used;

	piece.locals = LocalKeysCreate();
	PartitionIterInit(&iter, piece.set, p, false);
	while ((chunk = PartitionIterNext(&iter, &used)) != NULL)
		for (int at = 0; at < used; at += row_size)
		{
			uint64		id = RowId(&piece, chunk + at);

			if (!piece.wide)
				(void) LocalKey(piece.locals, (WideKey) {.hi = id}, true);
		}
	return piece.locals->n;
}

int64
CollectorCustomers(Collector *c, int64 enough)
{
	MemoryContext own;
	MemoryContext old;
	int64		n = 0;

	/* Helpers have put them together already. */
	if (c->gathered)
		return c->counts.customers;

	own = AllocSetContextCreate(CurrentMemoryContext, "custseg distinct customers", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(own);
	for (int p = 0; p < c->n_partitions && n < enough; p++)
	{
		CHECK_FOR_INTERRUPTS();
		n += PartitionCustomers(c, p);
		MemoryContextReset(own);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(own);
	return n;
}
