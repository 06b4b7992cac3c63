/*
 * timeline.h
 *		A customer's whole purchase history as one value; see timeline.c.
 */
#ifndef CUSTSEG_TIMELINE_H
#define CUSTSEG_TIMELINE_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/date.h"
#include "utils/memutils.h"

#include "common/compat.h"

/* One active day. Amounts are scaled by 10^4 and never negative. */
typedef struct TimelineEntry
{
	DateADT		day;
	uint32		orders;
	int64		gross;			/* sum of the orders' amounts */
	int64		refunded;		/* sum of the refunds, as a positive number */
	bool		on_promotion;	/* at least one order of the day was */
} TimelineEntry;

/* What is known of a timeline without decoding it. */
typedef struct TimelineHead
{
	uint32		entries;
	uint32		orders;
	DateADT		first_day;		/* 0 when there are no entries */
	DateADT		last_day;
	int64		gross;
	int64		refunded;
	bool		first_is_order;
	bool		last_is_order;
	bool		all_are_orders; /* no day has refunds alone */
	bool		has_void;		/* the totals count days that do not count: see TimelineIsVoid */
	uint8		dropped;		/* decimals dropped from the stored amounts */
} TimelineHead;

#define TIMELINE_VERSION		1
#define TIMELINE_HEAD_SIZE		34	/* payload bytes before the entries */

#define TIMELINE_DROPPED		0x07	/* flags: decimals dropped, 0..4 */
#define TIMELINE_FIRST_IS_ORDER 0x08
#define TIMELINE_LAST_IS_ORDER	0x10
#define TIMELINE_ALL_ARE_ORDERS 0x20
#define TIMELINE_HAS_VOID		0x40

/* Bits of an entry's head varint; the number of orders is above them. */
#define TIMELINE_ON_PROMOTION	1
#define TIMELINE_HAS_REFUND		2
#define TIMELINE_ORDERS_SHIFT	2

/* Entries that fit into one allocation, and so into one timeline. */
#define TIMELINE_MAX_ENTRIES	((int) (MaxAllocSize / sizeof(TimelineEntry)))

extern const int64 timeline_units[5];

/*
 * A day on which everything that was bought went back, to the cent, is as if
 * nothing had happened: an order refunded whole on its own day is no order.
 * The entry is kept, since another timeline may add to the day.
 */
static inline bool
TimelineIsVoid(const TimelineEntry *entry)
{
	return entry->gross > 0 && entry->gross == entry->refunded;
}

/*
 * The entry of one row, whose amount is scaled by 10^4. A negative amount is a
 * refund and not an order, and whether it was on promotion means nothing.
 */
static inline void
TimelineEntryFromRow(TimelineEntry *entry, DateADT day, int64 amount, bool on_promotion)
{
	bool		is_order = amount >= 0;

	entry->day = day;
	entry->orders = is_order;
	entry->gross = is_order ? amount : 0;
	entry->refunded = is_order ? 0 : -amount;
	entry->on_promotion = is_order && on_promotion;
}

/* Sort by day and unite the entries of one day, in place. The new count, or -1 on overflow. */
extern int	TimelineFold(TimelineEntry *entries, int n);

/*
 * Write folded entries as a complete varlena with a four-byte header. "out" is
 * four-byte aligned and has TimelineBound(n) bytes. The size, or 0 when a
 * total overflows.
 */
extern Size TimelineEncode(char *out, const TimelineEntry *entries, int n);

/* An upper bound of what TimelineEncode writes: day 5, head 5, amounts 9 each. */
static inline Size
TimelineBound(int n)
{
	return VARHDRSZ + TIMELINE_HEAD_SIZE + (Size) n * (5 + 5 + 9 + 9);
}

/* Both together, in a new allocation; an error names what overflowed. Used by SQL-callable code. */
extern struct varlena *TimelineBuild(const TimelineEntry *entries, int n);
pg_noreturn extern void TimelineOverflowError(void);
pg_noreturn extern void TimelineTooLongError(void);
pg_noreturn extern void TimelineVersionError(void);

/* The head of a value that may still be compressed or out of line; reads no more than that. */
extern void TimelineDatumHead(Datum timeline, TimelineHead *head);

extern void TimelineWriteHead(char *payload, uint8 flags, const TimelineHead *head);

/* Is this payload exactly what TimelineEncode would write? NULL, or what is wrong. */
extern const char *TimelineCheck(const TimelineHead *head, uint8 flags,
								 const uint8 *body, Size length);

/*
 * The head of a detoasted value, with a short or a long varlena header. False
 * when it is of a version that this library does not know.
 */
static inline bool
TimelineReadHead(const struct varlena *t, TimelineHead *head)
{
	const char *p = VARDATA_ANY(t);
	uint8		flags;

	if (unlikely(VARSIZE_ANY_EXHDR(t) < TIMELINE_HEAD_SIZE ||
				 (uint8) p[0] != TIMELINE_VERSION))
		return false;
	flags = (uint8) p[1];
	memcpy(&head->entries, p + 2, 4);
	memcpy(&head->orders, p + 6, 4);
	memcpy(&head->first_day, p + 10, 4);
	memcpy(&head->last_day, p + 14, 4);
	memcpy(&head->gross, p + 18, 8);
	memcpy(&head->refunded, p + 26, 8);
	head->first_is_order = (flags & TIMELINE_FIRST_IS_ORDER) != 0;
	head->last_is_order = (flags & TIMELINE_LAST_IS_ORDER) != 0;
	head->all_are_orders = (flags & TIMELINE_ALL_ARE_ORDERS) != 0;
	head->has_void = (flags & TIMELINE_HAS_VOID) != 0;
	head->dropped = Min(flags & TIMELINE_DROPPED, 4);
	return true;
}

/*
 * Reads the entries in the order of their days, without allocating. Whoever
 * judges a history, and does not copy it, reads those that count.
 */
typedef struct TimelineIter
{
	TimelineHead head;
	const uint8 *next;
	uint32		left;
	uint32		day;
	uint64		unit;
} TimelineIter;

static inline bool
TimelineIterInit(TimelineIter *iter, const struct varlena *t)
{
	if (!TimelineReadHead(t, &iter->head))
		return false;
	iter->next = (const uint8 *) VARDATA_ANY(t) + TIMELINE_HEAD_SIZE;
	iter->left = iter->head.entries;
	iter->day = (uint32) iter->head.first_day;
	iter->unit = (uint64) timeline_units[iter->head.dropped];
	return true;
}

static inline uint64
TimelineReadVarint(const uint8 **next)
{
	const uint8 *p = *next;
	uint64		value = *p++;

	if (value >= 0x80)
	{
		int			shift = 7;
		uint64		byte;

		value &= 0x7f;
		do
		{
			byte = *p++;
			value |= (byte & 0x7f) << shift;
			shift += 7;
		} while (byte >= 0x80 && shift < 64);
	}
	*next = p;
	return value;
}

static inline bool
TimelineIterNext(TimelineIter *iter, TimelineEntry *entry)
{
	const uint8 *next = iter->next;
	uint64		head;

	if (iter->left == 0)
		return false;
	if (iter->left != iter->head.entries)
		iter->day += (uint32) TimelineReadVarint(&next);
	iter->left--;
	head = TimelineReadVarint(&next);
	entry->day = (DateADT) iter->day;
	entry->orders = (uint32) (head >> TIMELINE_ORDERS_SHIFT);
	entry->on_promotion = (head & TIMELINE_ON_PROMOTION) != 0;
	if (iter->head.entries == 1)
	{
		entry->gross = iter->head.gross;
		entry->refunded = iter->head.refunded;
	}
	else
	{
		entry->gross = entry->orders == 0 ? 0 :
			(int64) (TimelineReadVarint(&next) * iter->unit);
		entry->refunded = (head & TIMELINE_HAS_REFUND) == 0 ? 0 :
			(int64) (TimelineReadVarint(&next) * iter->unit);
	}
	iter->next = next;
	return true;
}

static inline bool
TimelineIterNextCounted(TimelineIter *iter, TimelineEntry *entry)
{
	while (TimelineIterNext(iter, entry))
		if (!TimelineIsVoid(entry))
			return true;
	return false;
}

#endif							/* CUSTSEG_TIMELINE_H */
