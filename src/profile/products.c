/*
 * products.c
 *		What products cost and which are bestsellers, by which lines of orders are
 *		judged while they are read.
 *
 * Our own tables are closed to whoever owns the lines, so the products are looked
 * up here and not in the statement that reads them. A slot has 24 bytes: those of
 * some thousand products stay in the cache.
 */
#include "postgres.h"

#include "port/pg_bitutils.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

#include "profile/products.h"
#include "timeline/amount.h"

const char *const line_events[LINE_EVENTS] = {"lines", "bargain", "bestseller"};

typedef struct ProductSlot
{
	int64		bargain;
	uint32		hash;
	uint32		at;				/* of the name */
	uint16		len;			/* 0: free */
	uint16		rest;
	bool		bestseller;
} ProductSlot;

static inline ProductSlot *
Slots(const ProductTable *table)
{
	return (ProductSlot *) ((char *) table + MAXALIGN(sizeof(ProductTable)));
}

static inline uint32
ProductHash(const char *name, int len)
{
	uint32		hash = 2166136261u;

	for (int i = 0; i < len; i++)
		hash = (hash ^ (unsigned char) name[i]) * 16777619u;
	return hash ^ hash >> 15;
}

ProductTable *
ProductTableCreate(const ProductFact *facts, int n)
{
	uint32		slots = pg_nextpower2_32(2 * (uint32) Max(n, 1));
	Size		texts = MAXALIGN(sizeof(ProductTable)) + slots * sizeof(ProductSlot);
	Size		size = texts;
	ProductTable *table;

	for (int i = 0; i < n; i++)
		size += facts[i].len;
	table = MemoryContextAllocExtended(CurrentMemoryContext, size, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	table->size = size;
	table->mask = slots - 1;
	table->texts = texts;
	for (int i = 0; i < n; i++)
	{
		const ProductFact *fact = &facts[i];
		uint32		hash = ProductHash(fact->name, fact->len);
		uint32		at = hash & table->mask;

		while (Slots(table)[at].len != 0)
			at = (at + 1) & table->mask;
		Slots(table)[at] = (ProductSlot) {.bargain = fact->bargain,.hash = hash,.at = texts,.len = fact->len,
		.rest = fact->rest,.bestseller = fact->bestseller};
		memcpy((char *) table + texts, fact->name, fact->len);
		texts += fact->len;
	}
	return table;
}

/* A price with more decimals than an amount has: what lies between two amounts is rounded up, in the eighth decimal. */
static pg_noinline bool
FinePriceIsBargain(const ProductSlot *slot, const LineNumber *price)
{
	Datum		scale = NumericGetDatum(int64_to_numeric(AMOUNT_SCALE));
	Datum		scaled = DirectFunctionCall2(numeric_mul, price->value, scale);
	Datum		whole = DirectFunctionCall1(numeric_floor, scaled);
	Datum		rest = DirectFunctionCall1(numeric_ceil,
										   DirectFunctionCall2(numeric_mul, DirectFunctionCall2(numeric_sub, scaled, whole), scale));
	int64		amount = DatumGetInt64(DirectFunctionCall1(numeric_int8, whole));

	return amount < slot->bargain ||
		(amount == slot->bargain && DatumGetInt32(DirectFunctionCall1(numeric_int4, rest)) <= slot->rest);
}

static inline bool
PriceIsBargain(const ProductSlot *slot, const LineNumber *price)
{
	if (likely(price->status == AMOUNT_OK))
		return price->scaled <= slot->bargain;
	return price->status == AMOUNT_TOO_PRECISE && FinePriceIsBargain(slot, price);
}

LineEvent
ProductLine(const ProductTable *table, const char *name, int len, const LineNumber *price, bool clearance)
{
	uint32		hash = ProductHash(name, len);

	if (clearance)
		return LINE_BARGAIN;
	for (uint32 at = hash & table->mask; Slots(table)[at].len != 0; at = (at + 1) & table->mask)
	{
		const ProductSlot *slot = &Slots(table)[at];

		if (slot->hash == hash && slot->len == len && memcmp((const char *) table + slot->at, name, len) == 0)
			return PriceIsBargain(slot, price) ? LINE_BARGAIN : slot->bestseller ? LINE_BESTSELLER : LINE_ANY;
	}
	return LINE_ANY;
}
