/*
 * piece.h
 *		A piece of the collected rows, on its way to timelines.
 */
#ifndef CUSTSEG_PIECE_H
#define CUSTSEG_PIECE_H

#include "common/int.h"

#include "profile/assemble.h"
#include "profile/keys.h"

/* An order or a refund, as it is sorted. */
typedef struct Purchase
{
	uint64		key;			/* customer, day and promotion, from high to low */
	int64		amount;
} Purchase;

typedef struct Line
{
	uint64		id;
	uint64		order;
	int64		amount;
	int32		day;
	int32		rows;			/* lines united into this one */
	bool		promotion;
} Line;

/* Rows to be assembled: a partition, and how to read its customers. */
typedef struct Piece
{
	PartitionSet *set;
	int			p;
	bool		wide;			/* rows carry a WideKey ... */
	LocalKeys  *locals;			/* ... which becomes a number of these */
	int64		base;			/* the smallest id it can hold */
	int			id_bits;		/* ids are below base + 2^id_bits */
} Piece;

/* Begin a batch of results, in batch_context, which is the current one until the caller switches back. */
extern MemoryContext BeginBatch(Collector *c, int wanted);

/*
 * Add the customers of a partition, or their differences from what is stored, to
 * the batch, in their order: by id, or by key, and then the ids are numbers of
 * locals.
 */
extern void AssemblePartition(Collector *c, int p, LocalKeys *locals);

/* The same for a partition that some process has assembled already. (parallel.c) */
extern void GatheredPartition(Collector *c, int p, LocalKeys *locals);

/* Make room for so many bytes at c->out, and add a result whose timeline was put there to the batch. */
extern void MakeRoom(Collector *c, Size size);
extern void AddResult(Collector *c, const Collected *result);

/* Assemble a piece of any size. (split.c) */
extern void AssemblePiece(Collector *c, const Piece *piece);

/* Assemble a piece that fits into memory. */
extern void AssembleSmall(Collector *c, const Piece *piece, int64 rows);

/* Its lines, united into orders. */
extern Line *LoadOrders(Collector *c, const Piece *piece, int64 rows, int *n_orders);

/* Encode one customer's days, folded, and add the timeline to the batch. */
extern void EmitCustomer(Collector *c, int64 id, const TimelineEntry *entries, int n, int64 rows);

/* Add an order or a refund to a day. False on overflow. */
static inline bool
AddToDay(TimelineEntry *entry, int64 amount, bool promotion)
{
	if (amount < 0)
		return !pg_add_s64_overflow(entry->refunded, -amount, &entry->refunded);
	entry->orders++;
	entry->on_promotion |= promotion;
	return !pg_add_s64_overflow(entry->gross, amount, &entry->gross);
}

static inline uint32
PieceRowSize(const Collector *c, const Piece *piece)
{
	return ROW_KEY_AT + (piece->wide ? sizeof(WideKey) : sizeof(int64)) + (c->has_order ? sizeof(uint64) : 0);
}

static inline int64
RowAmount(const char *row)
{
	int64		amount;

	memcpy(&amount, row + ROW_AMOUNT_AT, sizeof(amount));
	return amount;
}

static inline int32
RowDayBits(const char *row)
{
	int32		bits;

	memcpy(&bits, row + ROW_DAY_AT, sizeof(bits));
	return bits;
}

static inline uint64
RowId(const Piece *piece, const char *row)
{
	WideKey		key;
	uint64		id;

	if (!piece->wide)
	{
		memcpy(&id, row + ROW_KEY_AT, sizeof(id));
		return id;
	}
	memcpy(&key, row + ROW_KEY_AT, sizeof(key));
	return LocalKey(piece->locals, key, true);
}

static inline uint64
RowOrder(const Piece *piece, const char *row)
{
	uint64		order;

	memcpy(&order, row + ROW_KEY_AT + (piece->wide ? sizeof(WideKey) : sizeof(int64)), sizeof(order));
	return order;
}

#endif							/* CUSTSEG_PIECE_H */
