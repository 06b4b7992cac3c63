/*
 * state.h
 *		A collection that goes on: what the files of the collector share.
 */
#ifndef CUSTSEG_STATE_H
#define CUSTSEG_STATE_H

#include "executor/tuptable.h"
#include "profile/collector.h"
#include "profile/partition.h"
#include "profile/products.h"
#include "source/read.h"
#include "source/share.h"
#include "tcop/dest.h"
#include "port/atomics.h"
#include "timeline/amount.h"
#include "timeline/day.h"
#include "timeline/timeline.h"

#define DAY_LIMIT		2000000 /* some 5,000 years either way of 2000 */

#include "profile/events.h"

typedef struct WideKey
{
	uint64		hi;
	uint64		lo;
} WideKey;

static inline uint64
WideKeyHash(WideKey key)
{
	uint64		h = (key.hi ^ (key.lo >> 29)) * UINT64CONST(0x9E3779B97F4A7C15) + key.lo;

	h ^= h >> 32;
	h *= UINT64CONST(0xD6E8FEB86659FD93);
	return h ^ (h >> 32);
}

typedef struct KnownKey
{
	WideKey		key;
	int64		customer_id;
} KnownKey;

typedef struct KeptText
{
	WideKey		key;
	uint32		size;			/* of this record */
	uint32		len;
	char		text[FLEXIBLE_ARRAY_MEMBER];
} KeptText;

typedef struct CollectorDest
{
	DestReceiver pub;
	struct Collector *collector;
} CollectorDest;

struct Collector
{
	CollectorDest dest;
	MemoryContext context;
	MemoryContext batch_context;
	const Source *source;
	KeyKind		key_kind;
	bool		has_order;
	EventTable *events;			/* of a source of events; else NULL */
	bool		lines;			/* it is one of lines of orders, which become three events: */
	int			line_event[LINE_EVENTS];
	Oid			price;			/* type of the price */
	LineNumber	line_quantity;	/* of the row */
	LineNumber	line_price;
	int			event_bits;		/* that tell a customer's from each other; 0 where there is one, or none */
	Oid			number;			/* type of the amount or value */
	ReadPlaces	at;				/* where a row has its columns */
	const char *time_zone;
	DayMapper  *days;
	uint64		seed;			/* of text hashes */
	DayLimits	limits;			/* days that orders can have */
	int32		min_day;		/* and those that they have */
	int32		max_day;

	int			n_partitions;
	int			shift;			/* native ids: partition p holds ids from p << shift */
	uint32		row_size;
	Size		memory_limit;
	ChunkStore *store;
	PartitionSet *rows;
	PartitionSet *known;
	PartitionSet *texts;
	uint64	   *seen;
	uint64		seen_mask;

	CollectCounts counts;

	bool		compare;		/* hand out differences from ... */
	ProfileTarget target;

	/* Where several processes collect; see parallel.c. */
	SharedRead *read;			/* while it goes on */
	pg_atomic_uint64 *rows_of_all;	/* likewise, now and then */
	PartitionSet *timelines;	/* what they made */
	struct Gathered *gathered;	/* and where the others' are */

	/* While customers are handed out. */
	int			next_partition;
	bool		knows_forgotten;
	struct Forgotten *forgotten;	/* NULL: nobody */
	Collected  *results;
	int			n_results;
	int			max_results;
	char	  **out_blocks;		/* memory for timelines, used again by each batch */
	int			n_out_blocks;
	int			next_out_block;
	char	   *out;			/* where the next timeline goes */
	Size		out_left;
	Size		out_used;		/* bytes of this batch */
};

/* The row cannot be used. */
extern void RejectRow(Collector *c, TupleTableSlot *slot, RejectReason reason);

/* The day and the amount of a row, where they are texts; false, and the row is rejected, where they cannot be read. (take_text.c) */
extern bool TakeDayText(Collector *c, TupleTableSlot *slot, int32 *day);
extern bool TakeAmountText(Collector *c, TupleTableSlot *slot, int64 *amount);

/* Lines of orders. (lines.c) */

/* What is to be known of them before the first row. */
extern void LinesPrepare(Collector *c);

/* The types of what a row has beyond events. */
extern void LinesExpect(const Collector *c, Oid *expected);

/*
 * Whether the row is a line that counts, or one that is rejected for what it is;
 * the others are left out. It is looked at once, and the next three go by that.
 */
extern bool LineCounts(Collector *c, TupleTableSlot *slot);

/* Whether it has an order and a product: else it is rejected. */
extern bool LineIsWhole(Collector *c, TupleTableSlot *slot);

/* What it comes to. */
extern bool TakeLineAmount(Collector *c, TupleTableSlot *slot, int64 *amount);

/* What a line is, as the source's event: that of all lines, if it is nothing else. */
extern int	LineEventOf(const Collector *c, TupleTableSlot *slot);

/* The event that whatever is another event of the row is, too; the same, but for lines. */
static inline int
EventBesides(const Collector *c, int event)
{
	return c->lines ? c->line_event[LINE_ANY] : event;
}

/* So many items come of a row, at most. */
static inline int
ItemsOfRow(const Collector *c)
{
	return c->lines ? 2 : 1;
}

/* Be one of several that collect: use only a share of the memory. */
extern void CollectorShare(Collector *collector, int processes);

/*
 * A row: amount, day with the promotion bit or the event (events.h), customer
 * (one or two words), and the order's hash where lines make up orders.
 */
#define ROW_AMOUNT_AT	0
#define ROW_DAY_AT		8
#define ROW_KEY_AT		12
#define ROW_ORDER_AT(c) (ROW_KEY_AT + ((c)->key_kind == KEY_NATIVE ? sizeof(int64) : sizeof(WideKey)))

static inline void
RowPut(Collector *c, char *row, int64 amount, int32 day_bits,
	   int64 id, WideKey key, uint64 order)
{
	memcpy(row + ROW_AMOUNT_AT, &amount, sizeof(amount));
	memcpy(row + ROW_DAY_AT, &day_bits, sizeof(day_bits));
	if (c->key_kind == KEY_NATIVE)
		memcpy(row + ROW_KEY_AT, &id, sizeof(id));
	else
		memcpy(row + ROW_KEY_AT, &key, sizeof(key));
	if (c->has_order)
		memcpy(row + ROW_ORDER_AT(c), &order, sizeof(order));
}

#endif							/* CUSTSEG_STATE_H */
