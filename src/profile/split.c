/*
 * split.c
 *		From a partition of any size to timelines.
 *
 * A piece of the collected rows that is too large for its share of memory is
 * split by the range of its customers, and again, until the parts fit. What is left then can only be one customer, whose rows are
 * folded as they are read; their lines are first split by order in the same
 * way.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/memutils.h"

#include "profile/assemble.h"
#include "profile/batch.h"
#include "profile/compare.h"
#include "profile/split.h"

#define SPLIT_PARTS		256

/* The days of one customer, folded while they come. */
typedef struct Days
{
	TimelineEntry *entries;
	int			n;
	int			max;
	int64		rows;
	bool		fits;
} Days;

static void
AddDay(Days *days, int64 amount, int32 day, bool promotion)
{
	TimelineEntry *entry;

	if (!days->fits)
		return;
	if (days->n == days->max)
	{
		days->n = TimelineFold(days->entries, days->n);
		if (days->n < 0)
		{
			days->fits = false;
			days->n = 0;
			return;
		}
		if (days->n > days->max / 2)
		{
			days->max *= 2;
			days->entries = repalloc_huge(days->entries, days->max * sizeof(TimelineEntry));
		}
	}
	entry = &days->entries[days->n++];
	memset(entry, 0, sizeof(*entry));
	entry->day = day;
	days->fits &= AddToDay(entry, amount, promotion);
}

static void AssemblePart(Collector *c, const Piece *piece, Days *days);

/* Split a piece by customer, or by order when it is one customer's, and assemble the parts. */
static void
SplitPiece(Collector *c, const Piece *piece, Days *days, uint64 min, uint64 max)
{
	uint32		row_size = PieceRowSize(c, piece);
	int			shift = 0;
	PartitionSet *parts = PartitionSetCreate(c->store, SPLIT_PARTS);
	PartitionIter iter;
	char	   *chunk;
	int			used;

	while ((max - min) >> shift >= SPLIT_PARTS)
		shift++;
	PartitionIterInit(&iter, piece->set, piece->p, true);
	while ((chunk = PartitionIterNext(&iter, &used)) != NULL)
		for (int at = 0; at < used; at += row_size)
		{
			uint64		value = days ? RowOrder(piece, chunk + at) : RowId(piece, chunk + at);
			int			part = (value - min) >> shift;

			if (piece->wide)
			{
				/* From here on customers are local numbers. */
				uint64		id = RowId(piece, chunk + at);
				char	   *row = PartitionReserve(parts, part, row_size - sizeof(WideKey) + sizeof(int64));

				memcpy(row, chunk + at, ROW_KEY_AT);
				memcpy(row + ROW_KEY_AT, &id, sizeof(id));
				if (c->has_order)
					memcpy(row + ROW_KEY_AT + sizeof(id), chunk + at + ROW_KEY_AT + sizeof(WideKey), sizeof(uint64));
			}
			else
				memcpy(PartitionReserve(parts, part, row_size), chunk + at, row_size);
		}

	for (int i = 0; i < SPLIT_PARTS; i++)
	{
		Piece		part = {.set = parts,.p = i,.id_bits = shift};

		part.base = days ? piece->base : min + ((uint64) i << shift);
		AssemblePart(c, &part, days);
	}
	PartitionSetDrop(parts);
}

/* One customer, or the part of one that "days" collects: fold rows as they are read. */
static void
FoldPiece(Collector *c, const Piece *piece, Days *days, bool one_order)
{
	uint32		row_size = PieceRowSize(c, piece);
	OrderSum	sum = ORDER_SUM_EMPTY;
	PartitionIter iter;
	char	   *chunk;
	int			used;

	for (int pass = one_order ? 0 : 1; pass < 2; pass++)
	{
		PartitionIterInit(&iter, piece->set, piece->p, pass == 1);
		while ((chunk = PartitionIterNext(&iter, &used)) != NULL)
		{
			CHECK_FOR_INTERRUPTS();
			for (int at = 0; at < used; at += row_size)
			{
				int64		amount = RowAmount(chunk + at);
				int32		bits = RowDayBits(chunk + at);

				if (pass == 0)
					days->fits &= OrderSumAdd(&sum, amount, bits >> 1, bits & 1);
				else if (one_order && (amount >= 0 || bits >> 1 == sum.day))
					days->fits &= OrderSumTakeBack(&sum, amount, bits >> 1);
				else
					AddDay(days, amount, bits >> 1, bits & 1);
				days->rows += pass;
			}
		}
	}
	if (sum.day == PG_INT32_MAX)
		return;
	if (!OrderSumIsVoid(&sum))
	{
		AddDay(days, sum.bought, sum.day, sum.promotion);
		if (sum.taken_back > 0)
			AddDay(days, -sum.taken_back, sum.day, false);
	}
	else if (sum.taken_back > sum.bought)
		AddDay(days, sum.bought - sum.taken_back, sum.day, false);
}

/* Lines of one customer that fit into memory. */
static void
FoldLines(Collector *c, const Piece *piece, Days *days, int64 rows)
{
	int			n;
	Line	   *lines = LoadOrders(c, piece, rows, &n);

	days->rows += rows;
	for (int i = 0; i < n; i++)
		if (!lines[i].is_void)
			AddDay(days, lines[i].amount, lines[i].day, lines[i].promotion);
	pfree(lines);
}

/* The smallest and largest customer, or order, of a piece. */
static void
PieceRange(Collector *c, const Piece *piece, bool orders, uint64 *min, uint64 *max)
{
	uint32		row_size = PieceRowSize(c, piece);
	PartitionIter iter;
	char	   *chunk;
	int			used;

	*min = PG_UINT64_MAX;
	*max = 0;
	PartitionIterInit(&iter, piece->set, piece->p, false);
	while ((chunk = PartitionIterNext(&iter, &used)) != NULL)
		for (int at = 0; at < used; at += row_size)
		{
			uint64		value = orders ? RowOrder(piece, chunk + at) : RowId(piece, chunk + at);

			*min = Min(*min, value);
			*max = Max(*max, value);
		}
}

/* Emit what was folded of a customer. */
static void
EmitDays(Collector *c, int64 id, int event, Days *days)
{
	if (days->fits)
		days->n = TimelineFold(days->entries, days->n);
	if (!days->fits || days->n < 0)
		c->counts.rejected[REJECT_TOTAL_RANGE] += days->rows;
	else if (days->n > 0)
		EmitCustomer(c, id, event, days->entries, days->n, days->rows);
	pfree(days->entries);
}

static void
AddEventDay(Days *of, int64 amount, int32 day)
{
	if (of->entries == NULL)
	{
		of->max = 1024;
		of->entries = palloc(of->max * sizeof(TimelineEntry));
		of->fits = true;
	}
	AddDay(of, amount, day, false);
	of->rows++;
}

/* All that happened to one customer, by event. */
static void
FoldEvents(Collector *c, const Piece *piece, int64 id)
{
	uint32		row_size = PieceRowSize(c, piece);
	int			n_events = c->source->n_events;
	Days	   *days = palloc0(n_events * sizeof(Days));
	PartitionIter iter;
	char	   *chunk;
	int			used;

	PartitionIterInit(&iter, piece->set, piece->p, true);
	while ((chunk = PartitionIterNext(&iter, &used)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		for (int at = 0; at < used; at += row_size)
		{
			int32		packed = RowDayBits(chunk + at);
			int			event = EventOfPacked(packed);

			AddEventDay(&days[event], RowAmount(chunk + at), DayOfPacked(packed));
			if (EventBesides(c, event) != event)
				AddEventDay(&days[EventBesides(c, event)], RowAmount(chunk + at), DayOfPacked(packed));
		}
	}
	for (int event = 0; event < n_events; event++)
		if (days[event].entries)
			EmitDays(c, id, event, &days[event]);
	pfree(days);
}

/*
 * Assemble a piece of any size. With "days", all of it belongs to the one
 * customer whose days those are.
 */
static void
AssemblePart(Collector *c, const Piece *piece, Days *days)
{
	int64		rows = PartitionBytes(piece->set, piece->p) / PieceRowSize(c, piece);
	int64		cost = rows * (2 * ItemsOfRow(c) * sizeof(Purchase) + (c->has_order ? sizeof(Line) : 0));
	int			day_bits = pg_leftmost_one_pos32((uint32) (c->max_day - c->min_day) | 1) + 1;
	uint64		min,
				max;

	if (rows == 0)
		return;
	CHECK_FOR_INTERRUPTS();

	if (cost <= c->memory_limit / 4 && rows < PG_INT32_MAX / 2)
	{
		Piece		narrowed = *piece;

		if (days)
		{
			FoldLines(c, piece, days, rows);
			return;
		}
		if (narrowed.id_bits + c->event_bits + day_bits + 1 > 64)
		{
			PieceRange(c, piece, false, &min, &max);
			narrowed.base = min;
			narrowed.id_bits = max > min ? pg_leftmost_one_pos64(max - min) + 1 : 0;
		}
		if (narrowed.id_bits + c->event_bits + day_bits + 1 <= 64)
		{
			AssembleSmall(c, &narrowed, rows);
			return;
		}
	}

	PieceRange(c, piece, days != NULL, &min, &max);
	if (min < max)
		SplitPiece(c, piece, days, min, max);
	else if (days)
		FoldPiece(c, piece, days, true);
	else if (c->events)
		FoldEvents(c, piece, min);
	else
	{
		Days		own = {.max = 65536,.fits = true};
		int64		id = min;

		own.entries = palloc(own.max * sizeof(TimelineEntry));
		if (c->has_order)
		{
			PieceRange(c, piece, true, &min, &max);
			if (min < max)
				SplitPiece(c, piece, &own, min, max);
			else
				FoldPiece(c, piece, &own, true);
		}
		else
			FoldPiece(c, piece, &own, false);
		EmitDays(c, id, 0, &own);
	}
}

static int
CompareKeys(const void *a, const void *b, void *keys)
{
	const WideKey *key_a = (const WideKey *) keys + ((const Collected *) a)->customer_id;
	const WideKey *key_b = (const WideKey *) keys + ((const Collected *) b)->customer_id;

	if (key_a->hi != key_b->hi)
		return key_a->hi < key_b->hi ? -1 : 1;
	if (key_a->lo != key_b->lo)
		return key_a->lo < key_b->lo ? -1 : 1;
	return ((const Collected *) a)->event_id - ((const Collected *) b)->event_id;
}

/* Of the results of a partition leave the differences from what is stored of its customers. */
static void
LeaveDifferences(Collector *c, int p, int first_result)
{
	bool		last = p == c->n_partitions - 1;
	int			n = c->n_results - first_result;
	Collected  *given = palloc_extended(Max(n, 1) * sizeof(Collected), MCXT_ALLOC_HUGE);
	Comparison	comparison;

	/* The differences take the place of what is compared. */
	memcpy(given, c->results + first_result, n * sizeof(Collected));
	c->n_results = first_result;
	CompareBegin(&comparison, given, n);
	CompareRange(&comparison, &c->target,
				 p == 0 ? PG_INT64_MIN : (int64) p << c->shift,
				 last ? PG_INT64_MAX : ((int64) (p + 1) << c->shift) - 1);
	for (int i = 0; i < comparison.n; i++)
		AddResult(c, &comparison.differences[i]);
	pfree(given);
	if (comparison.differences)
		pfree(comparison.differences);
}

void
AssemblePartition(Collector *c, int p, LocalKeys *locals)
{
	Piece		piece = {.set = c->rows,.p = p,.locals = locals};
	int			first_result = c->n_results;

	if (locals == NULL)
	{
		piece.base = (int64) ((uint64) p << c->shift);
		piece.id_bits = c->shift;
	}
	else
	{
		piece.wide = true;
		piece.id_bits = 32;
	}
	AssemblePart(c, &piece, NULL);
	for (int i = first_result; i < c->n_results; i++)
		c->counts.customers += i == first_result || c->results[i].customer_id != c->results[i - 1].customer_id;

	/* By key, they are numbered as their rows came, which says nothing. */
	if (locals)
		qsort_arg(c->results + first_result, c->n_results - first_result, sizeof(Collected), CompareKeys, locals->keys);
	if (c->compare)
		LeaveDifferences(c, p, first_result);
}
