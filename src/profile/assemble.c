/*
 * assemble.c
 *		From a source's rows to one timeline a customer: sorting and encoding.
 *
 * A partition's rows become items of 16 bytes, a key of (customer, day,
 * promotion) and an amount, are sorted by a radix sort whose passes stay in
 * the cache, and are folded and encoded in one walk. Lines are first united
 * into orders. A partition that does not fit into memory goes to split.c.
 */
#include "postgres.h"

#include "common/int.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "profile/compare.h"
#include "profile/piece.h"

#define OUT_BLOCK		(1024 * 1024)
#define OUT_ENOUGH		(16 * 1024 * 1024)	/* bytes of timelines a batch */
#define MAX_DIGIT		11

#define ST_SORT SortLines
#define ST_ELEMENT_TYPE Line
#define ST_COMPARE(a, b) \
	((a)->id != (b)->id ? ((a)->id < (b)->id ? -1 : 1) : \
	 (a)->order != (b)->order ? ((a)->order < (b)->order ? -1 : 1) : 0)
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* ------------------------------------------------------------- results */

/*
 * Timelines of a batch go into blocks that the next batch uses again: memory
 * fresh from the system costs more than to fill it.
 */
void
MakeRoom(Collector *c, Size size)
{
	if (size <= c->out_left)
		return;
	if (size > OUT_BLOCK)
		c->out = MemoryContextAllocHuge(c->batch_context, size);
	else
	{
		if (c->next_out_block == c->n_out_blocks)
		{
			c->out_blocks = c->out_blocks ?
				repalloc(c->out_blocks, (c->n_out_blocks + 1) * sizeof(char *)) :
				MemoryContextAlloc(c->context, sizeof(char *));
			c->out_blocks[c->n_out_blocks++] = MemoryContextAlloc(c->context, OUT_BLOCK);
		}
		c->out = c->out_blocks[c->next_out_block++];
		size = OUT_BLOCK;
	}
	c->out_left = size;
}

void
AddResult(Collector *c, const Collected *result)
{
	if (c->n_results == c->max_results)
	{
		c->max_results *= 2;
		c->results = repalloc_huge(c->results, c->max_results * sizeof(Collected));
	}
	c->results[c->n_results++] = *result;
}

void
EmitCustomer(Collector *c, int64 id, const TimelineEntry *entries, int n, int64 rows)
{
	Size		bound = TimelineBound(n);
	Size		size;

	MakeRoom(c, bound);
	size = TimelineEncode(c->out, entries, n);
	if (size == 0)
	{
		c->counts.rejected[REJECT_TOTAL_RANGE] += rows;
		return;
	}

	AddResult(c, &(Collected) {.customer_id = id,.timeline = (struct varlena *) c->out});
	size = INTALIGN(size);
	c->out += size;
	c->out_left -= size;
	c->out_used += size;
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
	Purchase	   *items = MemoryContextAllocHuge(CurrentMemoryContext, rows * sizeof(Purchase));
	Purchase	   *spare = MemoryContextAllocHuge(CurrentMemoryContext, rows * sizeof(Purchase));
	Line	   *lines = NULL;
	int			n_lines = 0;
	int			n = 0;

	if (c->has_order)
	{
		lines = LoadOrders(c, piece, rows, &n_lines);
		for (int i = 0; i < n_lines; i++)
		{
			items[n].key = (lines[i].id - piece->base) << (day_bits + 1) |
				(uint64) (lines[i].day - c->min_day) << 1 | lines[i].promotion;
			items[n++].amount = lines[i].amount;
		}
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

static int
CompareKeys(const void *a, const void *b, void *keys)
{
	const WideKey *key_a = (const WideKey *) keys + ((const Collected *) a)->customer_id;
	const WideKey *key_b = (const WideKey *) keys + ((const Collected *) b)->customer_id;

	if (key_a->hi != key_b->hi)
		return key_a->hi < key_b->hi ? -1 : 1;
	return key_a->lo < key_b->lo ? -1 : key_a->lo > key_b->lo;
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
	AssemblePiece(c, &piece);
	c->counts.customers += c->n_results - first_result;

	/* By key, they are numbered as their rows came, which says nothing. */
	if (locals)
		qsort_arg(c->results + first_result, c->n_results - first_result, sizeof(Collected), CompareKeys, locals->keys);
	if (c->compare)
		LeaveDifferences(c, p, first_result);
}

MemoryContext
BeginBatch(Collector *c, int wanted)
{
	MemoryContextReset(c->batch_context);
	c->n_results = 0;
	c->max_results = Max(wanted, 1024);
	c->results = MemoryContextAllocHuge(c->batch_context, c->max_results * sizeof(Collected));
	c->next_out_block = 0;
	c->out_left = 0;
	c->out_used = 0;
	return MemoryContextSwitchTo(c->batch_context);
}

bool
CollectorNext(Collector *c, int wanted, Collected **customers, int *n)
{
	MemoryContext old = BeginBatch(c, wanted);
	bool		more = c->next_partition < c->n_partitions;
	int64		before = c->counts.customers;
	bool		compare = c->compare && !c->gathered;
	void		(*add) (Collector *c, int p, LocalKeys *locals) = c->gathered ? GatheredPartition : AssemblePartition;

	wanted = Max(wanted, 1);
	if (compare)
	{
		CompareLock(&c->target);
		PushActiveSnapshot(GetTransactionSnapshot());
	}
	while (c->n_results < wanted && c->counts.customers - before < wanted && c->out_used < OUT_ENOUGH &&
		   c->next_partition < c->n_partitions)
	{
		int			p = c->next_partition++;

		if (c->key_kind == KEY_NATIVE)
			add(c, p, NULL);
		else
		{
			MemoryContext keys = AllocSetContextCreate(c->batch_context, "custseg keys", ALLOCSET_DEFAULT_SIZES);
			int			first_result = c->n_results;
			LocalKeys  *locals;

			MemoryContextSwitchTo(keys);
			locals = LocalKeysCreate();
			add(c, p, locals);
			ResolveKeys(c, p, locals, first_result);
			MemoryContextSwitchTo(c->batch_context);
			MemoryContextDelete(keys);
		}
	}
	if (compare)
		PopActiveSnapshot();
	MemoryContextSwitchTo(old);
	*customers = c->results;
	*n = c->n_results;
	return more;
}
