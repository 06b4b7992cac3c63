/*
 * lines.c
 *		Rows of a source of lines of orders.
 *
 * A line counts where its order does, and its quantity and price are above zero:
 * what was brought back or given away was not bought at any price. It becomes one
 * row for the event of all lines and, if it was a bargain or a bestseller, a
 * second one for that.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "catalog/pg_type.h"

#include "profile/state.h"

void
LinesPrepare(Collector *c)
{
	const Source *source = c->source;

	c->lines = true;
	c->events = EventTableCreate(source);
	c->event_bits = EventBits(source->n_events);
	c->number = NUMERICOID;
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
	expected[c->at.price] = NUMERICOID;
	expected[c->at.sold] = BOOLOID;
	if (c->at.counts >= 0)
		expected[c->at.counts] = BOOLOID;
	if (c->at.clearance >= 0)
		expected[c->at.clearance] = BOOLOID;
}

bool
LineCounts(Collector *c, TupleTableSlot *slot)
{
	const ReadPlaces *at = &c->at;
	bool		counts = (slot->tts_isnull[at->sold] || DatumGetBool(slot->tts_values[at->sold])) &&
		(at->counts < 0 || slot->tts_isnull[at->counts] || DatumGetBool(slot->tts_values[at->counts]));

	c->counts.not_listed += !counts;
	return counts;
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
									slot->tts_values[c->at.price], clearance);

	if ((Pointer) product != DatumGetPointer(value))
		pfree(product);
	return event == LINE_ANY ? -1 : c->line_event[event];
}
