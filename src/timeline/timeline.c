/*
 * timeline.c
 *		A customer's whole purchase history as one value: the format.
 *
 * Every question that custseg answers is a question about days: how many
 * orders, on which days, for how much. So a timeline keeps one entry for each
 * active day of a customer and nothing finer, which makes it small (about 5
 * bytes a day), independent of the order in which rows came, and mergeable.
 *
 * The payload behind the varlena header is
 *
 *		uint8	version		1
 *		uint8	flags		decimals dropped; whether the first, the last and
 *							every entry has an order; whether a day is void
 *		uint32	entries
 *		uint32	orders
 *		int32	first_day	days since 2000-01-01
 *		int32	last_day
 *		int64	gross		totals, scaled by 10^4
 *		int64	refunded
 *
 * in the machine's own byte order and without padding, read with memcpy since
 * a short varlena header leaves it unaligned. Then for each entry
 *
 *		varint	days since the entry before; not for the first entry
 *		varint	orders << 2 | has refund << 1 | on promotion
 *		varint	gross, if there is an order
 *		varint	refunded, if there is a refund
 *
 * where a varint has 7 bits a byte, lowest first, and amounts are in the
 * largest unit of 10^-4 .. 10^0 that holds all amounts of the timeline
 * exactly: most shops never store more than cents. The amounts of a single
 * entry are those of the header and not repeated. A timeline without entries
 * is all zeros behind its version.
 *
 * There is exactly one way to write a given history: entries are sorted and
 * united by day, varints have no padding, and the unit is the largest. So
 * equal histories are equal bytes, and TimelineCheck, which guards the door
 * for values from outside, need only compare with what TimelineEncode would
 * have written.
 *
 * Amounts of orders and of refunds are summed apart, and neither is negative.
 * Whether a sum overflows thus does not depend on the order of the rows.
 */
#include "postgres.h"

#include "common/int.h"
#include "miscadmin.h"

#include "common/compat.h"
#include "timeline/timeline.h"

const int64 timeline_units[5] = {1, 10, 100, 1000, 10000};

#define ST_SORT SortEntries
#define ST_ELEMENT_TYPE TimelineEntry
#define ST_COMPARE(a, b) ((a)->day < (b)->day ? -1 : (a)->day > (b)->day)
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

#define INSERTION_SORT_BELOW 24

static void
InsertionSort(TimelineEntry *entries, int n)
{
	for (int i = 1; i < n; i++)
	{
		TimelineEntry entry = entries[i];
		int			j = i;

		for (; j > 0 && entries[j - 1].day > entry.day; j--)
			entries[j] = entries[j - 1];
		entries[j] = entry;
	}
}

int
TimelineFold(TimelineEntry *entries, int n)
{
	TimelineEntry *last;
	bool		distinct = true;

	if (n <= 1)
		return n;

	for (int i = 1; i < n; i++)
	{
		if (entries[i].day > entries[i - 1].day)
			continue;
		distinct = false;
		if (entries[i].day == entries[i - 1].day)
			continue;
		if (n < INSERTION_SORT_BELOW)
			InsertionSort(entries, n);
		else
			SortEntries(entries, n);
		break;
	}
	if (distinct)
		return n;

	last = entries;
	for (int i = 1; i < n; i++)
	{
		const TimelineEntry *entry = &entries[i];

		if (entry->day != last->day)
		{
			*++last = *entry;
			continue;
		}
		if (pg_add_u32_overflow(last->orders, entry->orders, &last->orders) ||
			pg_add_s64_overflow(last->gross, entry->gross, &last->gross) ||
			pg_add_s64_overflow(last->refunded, entry->refunded, &last->refunded))
			return -1;
		last->on_promotion |= entry->on_promotion;
	}
	return last - entries + 1;
}

/* How many of at most "dropped" decimals an amount can go without. */
static inline int
Droppable(int64 amount, int dropped)
{
	switch (dropped)
	{
		case 4:
			if (amount % 10000 == 0)
				return 4;
			pg_fallthrough;
		case 3:
			if (amount % 1000 == 0)
				return 3;
			pg_fallthrough;
		case 2:
			if (amount % 100 == 0)
				return 2;
			pg_fallthrough;
		case 1:
			if (amount % 10 == 0)
				return 1;
			pg_fallthrough;
		default:
			return 0;
	}
}

static inline uint8 *
WriteVarint(uint8 *p, uint64 value)
{
	while (value >= 0x80)
	{
		*p++ = (uint8) value | 0x80;
		value >>= 7;
	}
	*p++ = (uint8) value;
	return p;
}

static inline uint64
EntryHead(const TimelineEntry *entry)
{
	return (uint64) entry->orders << TIMELINE_ORDERS_SHIFT |
		(entry->refunded > 0 ? TIMELINE_HAS_REFUND : 0) |
		(entry->on_promotion ? TIMELINE_ON_PROMOTION : 0);
}

/* Inlined once for each unit, so that the divisions become multiplications. */
static pg_attribute_always_inline uint8 *
WriteEntries(uint8 *p, const TimelineEntry *entries, int n, const uint64 unit)
{
	for (int i = 0; i < n; i++)
	{
		const TimelineEntry *entry = &entries[i];

		if (i > 0)
			p = WriteVarint(p, (uint32) entry->day - (uint32) entry[-1].day);
		p = WriteVarint(p, EntryHead(entry));
		if (entry->orders > 0)
			p = WriteVarint(p, (uint64) entry->gross / unit);
		if (entry->refunded > 0)
			p = WriteVarint(p, (uint64) entry->refunded / unit);
	}
	return p;
}

void
TimelineWriteHead(char *p, uint8 flags, const TimelineHead *head)
{
	p[0] = TIMELINE_VERSION;
	p[1] = (char) flags;
	memcpy(p + 2, &head->entries, 4);
	memcpy(p + 6, &head->orders, 4);
	memcpy(p + 10, &head->first_day, 4);
	memcpy(p + 14, &head->last_day, 4);
	memcpy(p + 18, &head->gross, 8);
	memcpy(p + 26, &head->refunded, 8);
}

Size
TimelineEncode(char *out, const TimelineEntry *entries, int n)
{
	TimelineHead head = {0};
	uint8	   *p = (uint8 *) out + VARHDRSZ + TIMELINE_HEAD_SIZE;
	uint8		flags = 0;
	Size		size;

	if (n > 0)
	{
		int			dropped = 4;
		bool		all_are_orders = true;
		bool		has_void = false;

		head.entries = n;
		head.first_day = entries[0].day;
		head.last_day = entries[n - 1].day;
		for (int i = 0; i < n; i++)
		{
			const TimelineEntry *entry = &entries[i];

			Assert(entry->orders > 0 || entry->refunded > 0);
			Assert(entry->orders > 0 || entry->gross == 0);
			Assert(entry->gross >= 0 && entry->refunded >= 0);
			Assert(i == 0 || entry->day > entry[-1].day);

			if (pg_add_u32_overflow(head.orders, entry->orders, &head.orders) ||
				pg_add_s64_overflow(head.gross, entry->gross, &head.gross) ||
				pg_add_s64_overflow(head.refunded, entry->refunded, &head.refunded))
				return 0;
			dropped = Droppable(entry->gross, dropped);
			dropped = Droppable(entry->refunded, dropped);
			all_are_orders &= entry->orders > 0;
			has_void |= TimelineIsVoid(entry);
		}

		flags = dropped;
		if (entries[0].orders > 0)
			flags |= TIMELINE_FIRST_IS_ORDER;
		if (entries[n - 1].orders > 0)
			flags |= TIMELINE_LAST_IS_ORDER;
		if (all_are_orders)
			flags |= TIMELINE_ALL_ARE_ORDERS;
		if (has_void)
			flags |= TIMELINE_HAS_VOID;

		if (n == 1)
			p = WriteVarint(p, EntryHead(entries));
		else
			switch (dropped)
			{
				case 4:
					p = WriteEntries(p, entries, n, 10000);
					break;
				case 3:
					p = WriteEntries(p, entries, n, 1000);
					break;
				case 2:
					p = WriteEntries(p, entries, n, 100);
					break;
				case 1:
					p = WriteEntries(p, entries, n, 10);
					break;
				default:
					p = WriteEntries(p, entries, n, 1);
			}
	}

	TimelineWriteHead(out + VARHDRSZ, flags, &head);
	size = (char *) p - out;
	SET_VARSIZE(out, size);
	return size;
}

void
TimelineOverflowError(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("timeline total out of range"),
			 errdetail("A timeline holds at most 922337203685477.5807 of gross or refunded amount and 4294967295 orders."),
			 errhint("Look for rows that do not belong to one customer, such as a default customer id.")));
}

void
TimelineTooLongError(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("timeline exceeds %d active days", TIMELINE_MAX_ENTRIES)));
}

void
TimelineVersionError(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("timeline is of a version that this library does not know"),
			 errhint("Update the custseg library to the version that wrote it.")));
}

struct varlena *
TimelineBuild(const TimelineEntry *entries, int n)
{
	char	   *out = palloc(TimelineBound(n));

	if (TimelineEncode(out, entries, n) == 0)
		TimelineOverflowError();
	return (struct varlena *) out;
}

void
TimelineDatumHead(Datum timeline, TimelineHead *head)
{
	struct varlena *t = (struct varlena *) DatumGetPointer(timeline);
	bool		ok;

	if (VARATT_IS_COMPRESSED(t) || VARATT_IS_EXTERNAL(t))
	{
		t = PG_DETOAST_DATUM_SLICE(timeline, 0, TIMELINE_HEAD_SIZE);
		ok = TimelineReadHead(t, head);
		pfree(t);
	}
	else
		ok = TimelineReadHead(t, head);
	if (!ok)
		TimelineVersionError();
}

/* A varint that ends before "end", is not padded and holds at most "max". */
static bool
CheckVarint(const uint8 **next, const uint8 *end, uint64 max, uint64 *value)
{
	const uint8 *p = *next;
	uint64		result = 0;
	int			shift = 0;
	uint8		byte;

	do
	{
		if (p >= end || shift > 63)
			return false;
		byte = *p++;
		if (shift == 63 && byte > 1)
			return false;
		result |= (uint64) (byte & 0x7f) << shift;
		shift += 7;
	} while (byte >= 0x80);
	if (byte == 0 && shift > 7)
		return false;
	*next = p;
	*value = result;
	return result <= max;
}

const char *
TimelineCheck(const TimelineHead *head, uint8 flags, const uint8 *body, Size length)
{
	const uint8 *next = body;
	const uint8 *end = body + length;
	uint64		unit;
	uint64		orders = 0;
	int64		gross = 0;
	int64		refunded = 0;
	int64		day = head->first_day;
	int			dropped = 4;
	uint8		expected = 0;
	bool		all_are_orders = true;
	bool		has_void = false;

	if (head->entries == 0)
	{
		if (flags != 0 || head->orders != 0 || head->first_day != 0 ||
			head->last_day != 0 || head->gross != 0 || head->refunded != 0)
			return "an empty timeline has a header that is not empty";
		return length == 0 ? NULL : "bytes follow an empty timeline";
	}
	if ((flags & TIMELINE_DROPPED) > 4)
		return "the number of dropped decimals is not 0 to 4";
	if (head->gross < 0 || head->refunded < 0)
		return "a total is negative";
	if (!IS_VALID_DATE(head->first_day) || !IS_VALID_DATE(head->last_day))
		return "a day is out of range";
	unit = (uint64) timeline_units[flags & TIMELINE_DROPPED];

	for (uint32 i = 0; i < head->entries; i++)
	{
		uint64		value;
		uint64		entry;
		int64		amount;
		int64		day_gross = 0;

		if ((i & 0xffff) == 0)
			CHECK_FOR_INTERRUPTS();
		if (i > 0)
		{
			if (!CheckVarint(&next, end, PG_UINT32_MAX, &value) || value == 0)
				return "the distance between two days is not valid";
			day += (int64) value;
			if (day > head->last_day)
				return "a day lies behind the last day";
		}
		if (!CheckVarint(&next, end, (uint64) PG_UINT32_MAX << TIMELINE_ORDERS_SHIFT | 3, &entry))
			return "the orders of a day are not valid";
		orders += entry >> TIMELINE_ORDERS_SHIFT;

		if ((entry >> TIMELINE_ORDERS_SHIFT) > 0)
		{
			amount = head->gross;
			if (head->entries > 1)
			{
				if (!CheckVarint(&next, end, PG_INT64_MAX / unit, &value))
					return "the gross amount of a day is not valid";
				amount = (int64) (value * unit);
			}
			day_gross = amount;
			if (pg_add_s64_overflow(gross, amount, &gross))
				return "the sum of the gross amounts is out of range";
			dropped = Droppable(amount, dropped);
			if (i == 0)
				expected |= TIMELINE_FIRST_IS_ORDER;
			if (i == head->entries - 1)
				expected |= TIMELINE_LAST_IS_ORDER;
		}
		else
		{
			all_are_orders = false;
			if ((entry & TIMELINE_HAS_REFUND) == 0)
				return "a day has neither an order nor a refund";
		}
		if (entry & TIMELINE_HAS_REFUND)
		{
			amount = head->refunded;
			if (head->entries > 1)
			{
				if (!CheckVarint(&next, end, PG_INT64_MAX / unit, &value))
					return "the refunded amount of a day is not valid";
				amount = (int64) (value * unit);
			}
			if (amount == 0)
				return "a refund is zero";
			if (pg_add_s64_overflow(refunded, amount, &refunded))
				return "the sum of the refunded amounts is out of range";
			has_void |= amount == day_gross;
			dropped = Droppable(amount, dropped);
		}
	}

	if (next != end)
		return "bytes follow the last day";
	if (day != head->last_day)
		return "the last day of the header is not that of the entries";
	if (orders != head->orders)
		return "the number of orders is not that of the entries";
	if (gross != head->gross || refunded != head->refunded)
		return "a total is not that of the entries";
	expected |= dropped;
	if (all_are_orders)
		expected |= TIMELINE_ALL_ARE_ORDERS;
	if (has_void)
		expected |= TIMELINE_HAS_VOID;
	if (flags != expected)
		return "the flags are not those of the entries";
	return NULL;
}
