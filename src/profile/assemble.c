/*
 * assemble.c
 *		From rows that fit into memory to timelines: sorting and encoding.
 *
 * A partition's rows become items of 16 bytes, a key of (customer, day,
 * promotion) and an amount, are sorted by a radix sort whose passes stay in
 * the cache, and are folded and encoded in one walk. Lines are first united
 * into orders and refunds. Of events, the key is (customer, event, day).
 */
#include "postgres.h"

#include "common/int.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/memutils.h"

#include "profile/assemble.h"
#include "profile/batch.h"

#define MAX_DIGIT		11

#define ST_SORT SortLines
#define ST_ELEMENT_TYPE Line
#define ST_COMPARE(a, b) \
	((a)->id != (b)->id ? ((a)->id < (b)->id ? -1 : 1) : \
	 (a)->order != (b)->order ? ((a)->order < (b)->order ? -1 : 1) : 0)
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* Least significant digit first; the sorted items are in the returned array. */
static Purchase *
SortItems(Purchase *items, Purchase *spare, int n, int first_bit, int bits)
{
	int			passes = (bits + MAX_DIGIT - 1) / MAX_DIGIT;
	int			digit = passes ? (bits + passes - 1) / passes : 0;
	uint32		count[1 << MAX_DIGIT];
	uint64		mask = ((uint64) 1 << digit) - 1;

	for (int pass = 0; pass < passes; pass++)
	{
		int			shift = first_bit + pass * digit;
		uint32		sum = 0;
		Purchase   *swap;

		memset(count, 0, sizeof(uint32) << digit);
		for (int i = 0; i < n; i++)
			count[(items[i].key >> shift) & mask]++;
		for (uint64 d = 0; d <= mask; d++)
		{
			uint32		here = count[d];

			count[d] = sum;
			sum += here;
		}
		for (int i = 0; i < n; i++)
			spare[count[(items[i].key >> shift) & mask]++] = items[i];
		swap = items;
		items = spare;
		spare = swap;
	}
	return items;
}

/* How many rows a customer's lines were; customers come as the lines do, by id. */
static int64
LinesOf(const Line *lines, int n, int *next, uint64 id)
{
	int64		count = 0;

	for (; *next < n && lines[*next].id <= id; (*next)++)
		count += lines[*next].id == id ? lines[*next].rows : 0;
	return count;
}

/* Walk sorted items, customer by customer, and event by event. */
static void
EmitItems(Collector *c, const Purchase *items, int n, int64 base, int day_bits, const Line *lines, int n_lines)
{
	TimelineEntry *entries = NULL;
	int			max_entries = 0;
	int			next_line = 0;
	int			i = 0;

	while (i < n)
	{
		uint64		local = items[i].key >> (day_bits + 1);
		int			first = i;
		int			n_entries = 0;
		int64		rows;
		bool		fits = true;

		while (i < n && items[i].key >> (day_bits + 1) == local)
		{
			uint64		day = items[i].key >> 1;
			TimelineEntry *entry;

			if (n_entries == max_entries)
			{
				max_entries = Max(256, max_entries * 2);
				entries = entries ? repalloc_huge(entries, max_entries * sizeof(TimelineEntry)) :
					palloc(max_entries * sizeof(TimelineEntry));
			}
			entry = &entries[n_entries++];
			entry->day = c->min_day + (int32) (day & (((uint64) 1 << day_bits) - 1));
			entry->orders = 0;
			entry->gross = entry->refunded = 0;
			entry->on_promotion = false;
			do
				fits &= AddToDay(entry, items[i].amount, items[i].key & 1);
			while (++i < n && items[i].key >> 1 == day);
		}
		rows = lines ? LinesOf(lines, n_lines, &next_line, base + local) : i - first;
		if (fits)
			EmitCustomer(c, base + (local >> c->event_bits), local & (((uint64) 1 << c->event_bits) - 1),
						 entries, n_entries, rows);
		else
			c->counts.rejected[REJECT_TOTAL_RANGE] += rows;
	}
	if (entries)
		pfree(entries);
}

/* Unite sorted lines into orders and refunds, in place. */
static int
UniteLines(Collector *c, Line *lines, int n)
{
	int			kept = 0;

	for (int i = 0; i < n;)
	{
		Line		order = lines[i];
		OrderSum	sum = ORDER_SUM_EMPTY;
		int			first = i;
		int			first_kept = kept;
		bool		fits = true;

		for (; i < n && lines[i].id == order.id && lines[i].order == order.order; i++)
			fits &= OrderSumAdd(&sum, lines[i].amount, lines[i].day, lines[i].promotion);
		for (int line = first; line < i; line++)
			fits &= OrderSumTakeBack(&sum, lines[line].amount, lines[line].day);
		if (!fits)
		{
			c->counts.rejected[REJECT_TOTAL_RANGE] += i - first;
			continue;
		}

		/* The refunds before the order, which takes the place of a line that was none. */
		for (int line = first; line < i; line++)
			if (lines[line].amount < 0 && !(lines[line].day == sum.day && OrderSumIsVoid(&sum)))
				lines[kept++] = lines[line];
		if (sum.day == PG_INT32_MAX)
			continue;
		order.rows = (i - first) - (kept - first_kept);
		order.day = sum.day;
		order.promotion = sum.promotion;
		order.is_void = sum.taken_back == sum.bought && sum.taken_back > 0;
		order.amount = OrderSumIsVoid(&sum) ? sum.bought - sum.taken_back : sum.bought;
		lines[kept++] = order;
	}
	return kept;
}

static Line *
LoadLines(const Collector *c, const Piece *piece, int64 rows, int *n)
{
	Line	   *lines = MemoryContextAllocHuge(CurrentMemoryContext, rows * sizeof(Line));
	uint32		row_size = PieceRowSize(c, piece);
	PartitionIter iter;
	char	   *chunk;
	int			used;

	*n = 0;
	PartitionIterInit(&iter, piece->set, piece->p, true);
	while ((chunk = PartitionIterNext(&iter, &used)) != NULL)
		for (int at = 0; at < used; at += row_size)
		{
			Line	   *line = &lines[(*n)++];
			int32		bits = RowDayBits(chunk + at);

			line->id = RowId(piece, chunk + at);
			line->order = RowOrder(piece, chunk + at);
			line->amount = RowAmount(chunk + at);
			line->day = bits >> 1;
			line->promotion = bits & 1;
			line->is_void = false;
			line->rows = 1;
		}
	return lines;
}

/* Its rows as items; how many. */
static int
LoadEvents(Collector *c, const Piece *piece, int day_bits, Purchase *items)
{
	uint32		row_size = PieceRowSize(c, piece);
	PartitionIter iter;
	char	   *chunk;
	int			used;
	int			n = 0;

	PartitionIterInit(&iter, piece->set, piece->p, true);
	while ((chunk = PartitionIterNext(&iter, &used)) != NULL)
		for (int at = 0; at < used; at += row_size)
		{
			int32		packed = RowDayBits(chunk + at);
			int			event = EventOfPacked(packed);
			uint64		local = (RowId(piece, chunk + at) - piece->base) << c->event_bits;
			uint64		day = (uint64) (DayOfPacked(packed) - c->min_day) << 1;

			items[n].key = (local | event) << (day_bits + 1) | day;
			items[n++].amount = RowAmount(chunk + at);
			if (EventBesides(c, event) == event)
				continue;
			items[n].key = (local | EventBesides(c, event)) << (day_bits + 1) | day;
			items[n].amount = items[n - 1].amount;
			n++;
		}
	return n;
}

Line *
LoadOrders(Collector *c, const Piece *piece, int64 rows, int *n_orders)
{
	int			n;
	Line	   *lines = LoadLines(c, piece, rows, &n);

	SortLines(lines, n);
	*n_orders = UniteLines(c, lines, n);
	return lines;
}

void
AssembleSmall(Collector *c, const Piece *piece, int64 rows)
{
	int			day_bits = pg_leftmost_one_pos32((uint32) (c->max_day - c->min_day) | 1) + 1;
	int			id_bits = piece->id_bits;
	int64		most = rows * ItemsOfRow(c);
	Purchase   *items = MemoryContextAllocHuge(CurrentMemoryContext, most * sizeof(Purchase));
	Purchase   *spare = MemoryContextAllocHuge(CurrentMemoryContext, most * sizeof(Purchase));
	Line	   *lines = NULL;
	int			n_lines = 0;
	int			n = 0;

	if (c->has_order)
	{
		lines = LoadOrders(c, piece, rows, &n_lines);
		for (int i = 0; i < n_lines; i++)
		{
			if (lines[i].is_void)
				continue;
			items[n].key = (lines[i].id - piece->base) << (day_bits + 1) |
				(uint64) (lines[i].day - c->min_day) << 1 | lines[i].promotion;
			items[n++].amount = lines[i].amount;
		}
	}
	else if (c->events)
		n = LoadEvents(c, piece, day_bits, items);
	else
	{
		uint32		row_size = PieceRowSize(c, piece);
		uint64		day_base = (uint64) (uint32) c->min_day << 1;
		PartitionIter iter;
		char	   *chunk;
		int			used;

		PartitionIterInit(&iter, piece->set, piece->p, true);
		while ((chunk = PartitionIterNext(&iter, &used)) != NULL)
			for (int at = 0; at < used; at += row_size)
			{
				items[n].key = (RowId(piece, chunk + at) - piece->base) << (day_bits + 1) |
					(uint32) ((uint32) RowDayBits(chunk + at) - (uint32) day_base);
				items[n++].amount = RowAmount(chunk + at);
			}
	}
	if (piece->locals)
		id_bits = pg_leftmost_one_pos32(piece->locals->n | 1) + 1;

	EmitItems(c, SortItems(items, spare, n, 1, id_bits + c->event_bits + day_bits), n, piece->base, day_bits, lines, n_lines);
	pfree(items);
	pfree(spare);
	if (lines)
		pfree(lines);
}
