/*
 * assemble.c
 *		From a source's rows to one timeline a customer: sorting and encoding.
 *
 * A partition's rows become items of 16 bytes, a key of (customer, day,
 * promotion) and an amount, are sorted by a radix sort whose passes stay in
 * the cache, and are folded and encoded in one walk. Lines are first united
 * into orders.
 *
 * A partition too large for its share of memory is split by the range of its
 * customers, and again, until the parts fit; what is left then can only be
 * one customer, whose rows are folded as they are read (their lines after
 * being split by order in the same way).
 */
#include "postgres.h"

#include "common/int.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/memutils.h"

#include "profile/assemble.h"
#include "profile/keys.h"

#define OUT_BLOCK		(1024 * 1024)
#define OUT_ENOUGH		(16 * 1024 * 1024)	/* bytes of timelines a batch */
#define SPLIT_PARTS		256
#define MAX_DIGIT		11

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

#define ST_SORT SortLines
#define ST_ELEMENT_TYPE Line
#define ST_COMPARE(a, b) \
	((a)->id != (b)->id ? ((a)->id < (b)->id ? -1 : 1) : \
	 (a)->order != (b)->order ? ((a)->order < (b)->order ? -1 : 1) : 0)
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* ---------------------------------------------------------------- rows */

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

/* ------------------------------------------------------------- results */

/* Encode one customer's days and add it to the batch. */
static void
EmitCustomer(Collector *c, int64 id, const TimelineEntry *entries, int n, int64 rows)
{
	Size		bound = TimelineBound(n);
	Size		size;

	if (bound > c->out_left)
	{
		c->out_left = Max(bound, OUT_BLOCK);
		c->out = MemoryContextAllocHuge(c->batch_context, c->out_left);
	}
	size = TimelineEncode(c->out, entries, n);
	if (size == 0)
	{
		c->counts.rejected[REJECT_TOTAL_RANGE] += rows;
		return;
	}

	if (c->n_results == c->max_results)
	{
		c->max_results *= 2;
		c->results = repalloc_huge(c->results, c->max_results * sizeof(Collected));
	}
	c->results[c->n_results].customer_id = id;
	c->results[c->n_results].key = NULL;
	c->results[c->n_results].timeline = (struct varlena *) c->out;
	c->n_results++;
	size = INTALIGN(size);
	c->out += size;
	c->out_left -= size;
	c->out_used += size;
}

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
		Purchase	   *swap;

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

static int64
LinesOf(const Line *lines, int n, uint64 id)
{
	int64		count = 0;

	for (int i = 0; i < n; i++)
		count += lines[i].id == id ? lines[i].rows : 0;
	return count;
}

/* Walk sorted items, customer by customer. */
static void
EmitItems(Collector *c, const Purchase *items, int n, int64 base, int day_bits, const Line *lines, int n_lines)
{
	TimelineEntry *entries = NULL;
	int			max_entries = 0;
	int			i = 0;

	while (i < n)
	{
		uint64		local = items[i].key >> (day_bits + 1);
		int			first = i;
		int			n_entries = 0;
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
		if (fits)
			EmitCustomer(c, base + local, entries, n_entries,
						 lines ? LinesOf(lines, n_lines, base + local) : i - first);
		else
			c->counts.rejected[REJECT_TOTAL_RANGE] +=
				lines ? LinesOf(lines, n_lines, base + local) : i - first;
	}
	if (entries)
		pfree(entries);
}

/* Unite sorted lines into orders, in place: the first line of each is kept. */
static int
UniteLines(Collector *c, Line *lines, int n)
{
	int			kept = 0;

	for (int i = 0; i < n;)
	{
		Line		order = lines[i];
		bool		fits = true;

		for (i++; i < n && lines[i].id == order.id && lines[i].order == order.order; i++)
		{
			fits &= !pg_add_s64_overflow(order.amount, lines[i].amount, &order.amount);
			order.day = Min(order.day, lines[i].day);
			order.promotion |= lines[i].promotion;
			order.rows++;
		}
		if (fits)
			lines[kept++] = order;
		else
			c->counts.rejected[REJECT_TOTAL_RANGE] += order.rows;
	}
	return kept;
}

/* --------------------------------------------------------------- pieces */

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
			line->rows = 1;
		}
	return lines;
}

/* A piece that fits into memory. */
static void
AssembleSmall(Collector *c, const Piece *piece, int64 rows)
{
	int			day_bits = pg_leftmost_one_pos32((uint32) (c->max_day - c->min_day) | 1) + 1;
	int			id_bits = piece->id_bits;
	Purchase	   *items = MemoryContextAllocHuge(CurrentMemoryContext, rows * sizeof(Purchase));
	Purchase	   *spare = MemoryContextAllocHuge(CurrentMemoryContext, rows * sizeof(Purchase));
	Line	   *lines = NULL;
	int			n_lines = 0;
	int			n = 0;

	if (c->has_order)
	{
		int			n_orders;

		lines = LoadLines(c, piece, rows, &n_lines);
		SortLines(lines, n_lines);
		n_orders = UniteLines(c, lines, n_lines);
		for (int i = 0; i < n_orders; i++)
		{
			items[n].key = (lines[i].id - piece->base) << (day_bits + 1) |
				(uint64) (lines[i].day - c->min_day) << 1 | lines[i].promotion;
			items[n++].amount = lines[i].amount;
		}
		n_lines = n_orders;
	}
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

	EmitItems(c, SortItems(items, spare, n, 1, id_bits + day_bits), n, piece->base, day_bits, lines, n_lines);
	pfree(items);
	pfree(spare);
	if (lines)
		pfree(lines);
}

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

static bool AssemblePiece(Collector *c, const Piece *piece, Days *days);

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
		AssemblePiece(c, &part, days);
	}
	PartitionSetDrop(parts);
}

/* One customer, or the part of one that "days" collects: fold rows as they are read. */
static void
FoldPiece(Collector *c, const Piece *piece, Days *days, bool one_order)
{
	uint32		row_size = PieceRowSize(c, piece);
	int64		sum = 0;
	int32		first_day = PG_INT32_MAX;
	bool		any_promotion = false;
	PartitionIter iter;
	char	   *chunk;
	int			used;

	PartitionIterInit(&iter, piece->set, piece->p, true);
	while ((chunk = PartitionIterNext(&iter, &used)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		for (int at = 0; at < used; at += row_size)
		{
			int64		amount = RowAmount(chunk + at);
			int32		bits = RowDayBits(chunk + at);

			days->rows++;
			if (!one_order)
				AddDay(days, amount, bits >> 1, bits & 1);
			else
			{
				days->fits &= !pg_add_s64_overflow(sum, amount, &sum);
				first_day = Min(first_day, bits >> 1);
				any_promotion |= bits & 1;
			}
		}
	}
	if (one_order)
		AddDay(days, sum, first_day, any_promotion);
}

/* Lines of one customer that fit into memory. */
static void
FoldLines(Collector *c, const Piece *piece, Days *days, int64 rows)
{
	int			n;
	Line	   *lines = LoadLines(c, piece, rows, &n);

	days->rows += n;
	SortLines(lines, n);
	n = UniteLines(c, lines, n);
	for (int i = 0; i < n; i++)
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

/*
 * Assemble a piece of any size. With "days", all of it belongs to the one
 * customer whose days those are. False when the piece is empty.
 */
static bool
AssemblePiece(Collector *c, const Piece *piece, Days *days)
{
	int64		rows = PartitionBytes(piece->set, piece->p) / PieceRowSize(c, piece);
	int64		cost = rows * (2 * sizeof(Purchase) + (c->has_order ? sizeof(Line) : 0));
	int			day_bits = pg_leftmost_one_pos32((uint32) (c->max_day - c->min_day) | 1) + 1;
	uint64		min,
				max;

	if (rows == 0)
		return false;
	CHECK_FOR_INTERRUPTS();

	if (cost <= c->memory_limit / 4 && rows < PG_INT32_MAX)
	{
		Piece		narrowed = *piece;

		if (days)
		{
			FoldLines(c, piece, days, rows);
			return true;
		}
		if (narrowed.id_bits + day_bits + 1 > 64)
		{
			PieceRange(c, piece, false, &min, &max);
			narrowed.base = min;
			narrowed.id_bits = max > min ? pg_leftmost_one_pos64(max - min) + 1 : 0;
		}
		if (narrowed.id_bits + day_bits + 1 <= 64)
		{
			AssembleSmall(c, &narrowed, rows);
			return true;
		}
	}

	PieceRange(c, piece, days != NULL, &min, &max);
	if (min < max)
		SplitPiece(c, piece, days, min, max);
	else if (days)
		FoldPiece(c, piece, days, true);
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
		if (own.fits)
			own.n = TimelineFold(own.entries, own.n);
		if (own.fits && own.n >= 0)
			EmitCustomer(c, id, own.entries, own.n, own.rows);
		else
			c->counts.rejected[REJECT_TOTAL_RANGE] += own.rows;
		pfree(own.entries);
	}
	return true;
}

int
CollectorNext(Collector *c, int wanted, Collected **customers)
{
	MemoryContext old;

	MemoryContextReset(c->batch_context);
	old = MemoryContextSwitchTo(c->batch_context);
	c->n_results = 0;
	c->max_results = Max(wanted, 1024);
	c->results = MemoryContextAllocHuge(c->batch_context, c->max_results * sizeof(Collected));
	c->out_left = 0;
	c->out_used = 0;

	while (c->n_results < wanted && c->out_used < OUT_ENOUGH && c->next_partition < c->n_partitions)
	{
		int			p = c->next_partition++;
		int			first_result = c->n_results;
		Piece		piece = {.set = c->rows,.p = p,.id_bits = c->shift};

		if (c->key_kind == KEY_NATIVE)
		{
			piece.base = (int64) ((uint64) p << c->shift);
			AssemblePiece(c, &piece, NULL);
		}
		else
		{
			MemoryContext keys = AllocSetContextCreate(c->batch_context, "custseg keys", ALLOCSET_DEFAULT_SIZES);

			MemoryContextSwitchTo(keys);
			piece.wide = true;
			piece.locals = LocalKeysCreate();
			piece.id_bits = 32;
			AssemblePiece(c, &piece, NULL);
			ResolveKeys(c, p, piece.locals, first_result);
			MemoryContextSwitchTo(c->batch_context);
			MemoryContextDelete(keys);
		}
	}
	MemoryContextSwitchTo(old);
	*customers = c->results;
	return c->n_results;
}
