/*
 * lines.c
 *		Rows of a source of lines of orders.
 *
 * A line counts where its order does, and its quantity and price are above zero:
 * what was brought back or given away was not bought at any price. It is kept as one
 * row, with what it was; when timelines are made of the rows, a bargain or a
 * bestseller counts among all lines, too (assemble.c, split.c).
 */
#include "postgres.h"

#include "access/detoast.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "profile/state.h"
#include "source/lines.h"

void
LinesPrepare(Collector *c)
{
	const Source *source = c->source;

	c->lines = true;
	c->events = EventTableCreate(source);
	c->event_bits = EventBits(source->n_events);
	c->number = LineNumberType(source, COLUMN_QUANTITY);
	c->price = LineNumberType(source, COLUMN_PRICE);
	for (int i = 0; i < LINE_EVENTS; i++)
	{
		c->line_event[i] = EventNamed(c->events, line_events[i], strlen(line_events[i]));
		if (c->line_event[i] < 0)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("custseg.event has no row of the event \"%s\" of source %d", line_events[i], source->source_id),
					 errhint("Forget the source with SELECT custseg.drop_source(%d), then add it again.", source->source_id)));
	}
}

void
LinesExpect(const Collector *c, Oid *expected)
{
	expected[c->at.product] = TEXTOID;
	expected[c->at.price] = c->price;
	if (c->at.counts >= 0)
		expected[c->at.counts] = BOOLOID;
	if (c->at.clearance >= 0)
		expected[c->at.clearance] = BOOLOID;
}

static inline void
ReadNumber(Oid type, Datum value, LineNumber *number)
{
	int64		integer;

	number->type = type;
	number->value = value;
	if (type == NUMERICOID)
	{
		number->status = AmountFromNumeric(value, &number->scaled);
		return;
	}
	integer = type == INT4OID ? DatumGetInt32(value) : type == INT8OID ? DatumGetInt64(value) : DatumGetInt16(value);
	number->status = integer > -AMOUNT_LIMIT && integer < AMOUNT_LIMIT ? AMOUNT_OK : AMOUNT_OUT_OF_RANGE;
	number->scaled = integer * AMOUNT_SCALE;
}

static Datum
NumericOf(const LineNumber *number)
{
	return number->type == NUMERICOID ? number->value :
		NumericGetDatum(int64_to_numeric(number->type == INT4OID ? DatumGetInt32(number->value) :
										 number->type == INT8OID ? DatumGetInt64(number->value) : DatumGetInt16(number->value)));
}

/* What is no number is, as in SQL. */
static pg_noinline bool
OddNumberIsPositive(const LineNumber *number)
{
	return DatumGetBool(DirectFunctionCall2(numeric_gt, NumericOf(number), NumericGetDatum(int64_to_numeric(0))));
}

/* Whether it is above zero, or null, which is no reason to leave a line out. */
static inline bool
MayBePositive(TupleTableSlot *slot, int column, Oid type, LineNumber *number)
{
	if (unlikely(slot->tts_isnull[column]))
		return true;
	ReadNumber(type, slot->tts_values[column], number);
	return number->status == AMOUNT_OK ? number->scaled > 0 : OddNumberIsPositive(number);
}

bool
LineCounts(Collector *c, TupleTableSlot *slot)
{
	const ReadPlaces *at = &c->at;
	bool		counts = MayBePositive(slot, READ_AMOUNT, c->number, &c->line_quantity) &&
		MayBePositive(slot, at->price, c->price, &c->line_price) &&
		(at->counts < 0 || slot->tts_isnull[at->counts] || DatumGetBool(slot->tts_values[at->counts]));

	c->counts.not_listed += !counts;
	return counts;
}

/* By PostgreSQL's own arithmetic: numbers that have too many decimals, or are too large, and those that are none. */
static pg_noinline AmountStatus
OddAmount(const LineNumber *quantity, const LineNumber *price, int64 *amount)
{
	Datum		product = DirectFunctionCall2(numeric_mul, NumericOf(quantity), NumericOf(price));

	return AmountFromNumeric(DirectFunctionCall2(numeric_round, product, Int32GetDatum(AMOUNT_DECIMALS)), amount);
}

/* Both are above zero. */
static inline AmountStatus
Multiply(const LineNumber *quantity, const LineNumber *price, int64 *amount)
{
#ifdef HAVE_INT128
	if (likely(quantity->status == AMOUNT_OK && price->status == AMOUNT_OK))
	{
		int128		product = ((int128) quantity->scaled * price->scaled + AMOUNT_SCALE / 2) / AMOUNT_SCALE;

		*amount = (int64) product;
		return product < (int128) AMOUNT_LIMIT * AMOUNT_SCALE ? AMOUNT_OK : AMOUNT_OUT_OF_RANGE;
	}
#endif
	return OddAmount(quantity, price, amount);
}

bool
TakeLineAmount(Collector *c, TupleTableSlot *slot, int64 *amount)
{
	AmountStatus status;

	if (unlikely(slot->tts_isnull[c->at.price]))
		return RejectRow(c, slot, REJECT_NO_LINE_AMOUNT), false;
	status = Multiply(&c->line_quantity, &c->line_price, amount);
	if (unlikely(status != AMOUNT_OK))
		return RejectRow(c, slot, AmountReason(status) + (REJECT_NO_LINE_AMOUNT - REJECT_NO_AMOUNT)), false;
	return true;
}

bool
LineIsWhole(Collector *c, TupleTableSlot *slot)
{
	Datum		product = slot->tts_values[c->at.product];
	Size		len;

	if (unlikely(c->at.counts >= 0 && slot->tts_isnull[c->at.counts]))
		return RejectRow(c, slot, REJECT_NO_ORDER), false;
	if (unlikely(slot->tts_isnull[c->at.product]))
		return RejectRow(c, slot, REJECT_NO_PRODUCT), false;
	len = toast_raw_datum_size(product) - VARHDRSZ;
	if (unlikely(len == 0 || len > KEY_MAX_LENGTH))
		return RejectRow(c, slot, len == 0 ? REJECT_NO_PRODUCT : REJECT_PRODUCT_LENGTH), false;
	return true;
}

int
LineEventOf(const Collector *c, TupleTableSlot *slot)
{
	Datum		value = slot->tts_values[c->at.product];
	bool		clearance = c->at.clearance >= 0 && !slot->tts_isnull[c->at.clearance] &&
		DatumGetBool(slot->tts_values[c->at.clearance]);
	struct varlena *product = PG_DETOAST_DATUM_PACKED(value);
	LineEvent	event = ProductLine(c->source->products, VARDATA_ANY(product), VARSIZE_ANY_EXHDR(product),
									&c->line_price, clearance);

	if ((Pointer) product != DatumGetPointer(value))
		pfree(product);
	return c->line_event[event];
}
