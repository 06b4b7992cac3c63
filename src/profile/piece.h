/*
 * piece.h
 *		A piece of the collected rows, on its way to timelines.
 */
#ifndef CUSTSEG_PIECE_H
#define CUSTSEG_PIECE_H

#include "common/int.h"

#include "profile/keys.h"
#include "profile/state.h"

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
	bool		is_void;		/* an order of which nothing is left: its rows count, and no more */
} Line;

/*
 * One order's lines become the order, which is what was bought under its
 * number, on the first day of that, and refunds, which are lines below zero,
 * each on its own day: what was so on a day stays so. What goes back on the
 * order's own day can take back all of it, and then it was no order; what is
 * beyond it is a refund.
 */
typedef struct OrderSum
{
	int64		bought;
	int64		taken_back;		/* on the day */
	int32		day;			/* PG_INT32_MAX: nothing was bought */
	bool		promotion;
} OrderSum;

#define ORDER_SUM_EMPTY	{.day = PG_INT32_MAX}

/* First all lines, then all again. False on overflow. */
static inline bool
OrderSumAdd(OrderSum *sum, int64 amount, int32 day, bool promotion)
{
	if (amount < 0)
		return true;
	sum->day = Min(sum->day, day);
	sum->promotion |= promotion;
	return !pg_add_s64_overflow(sum->bought, amount, &sum->bought);
}

static inline bool
OrderSumTakeBack(OrderSum *sum, int64 amount, int32 day)
{
	return amount >= 0 || day != sum->day ||
		!pg_add_s64_overflow(sum->taken_back, -amount, &sum->taken_back);
}

static inline bool
OrderSumIsVoid(const OrderSum *sum)
{
	return sum->taken_back > 0 && sum->taken_back >= sum->bought;
}

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
