/*
 * take_text.c
 *		Days and amounts of a row that are texts.
 */
#include "postgres.h"

#include "profile/state.h"
#include "source/parse_text.h"

bool
TakeDayText(Collector *c, TupleTableSlot *slot, int32 *day)
{
	static const RejectReason reasons[] = {
		[PARSE_UNREADABLE] = REJECT_TIME_UNREADABLE,
		[PARSE_SHORT_YEAR] = REJECT_TIME_SHORT_YEAR,
		[PARSE_OTHER_ORDER] = REJECT_TIME_OTHER_ORDER,
		[PARSE_IMPOSSIBLE] = REJECT_TIME_IMPOSSIBLE,
		[PARSE_OUT_OF_RANGE] = REJECT_TIME,
	};
	ParseStatus status = ParseDayText(slot->tts_values[READ_AT], c->source->parse, c->days, day);

	if (status != PARSE_OK)
		RejectRow(c, slot, reasons[status]);
	return status == PARSE_OK;
}

bool
TakeAmountText(Collector *c, TupleTableSlot *slot, int64 *amount)
{
	static const RejectReason reasons[] = {
		[PARSE_UNREADABLE] = REJECT_AMOUNT_UNREADABLE,
		[PARSE_AMBIGUOUS] = REJECT_AMOUNT_AMBIGUOUS,
		[PARSE_TOO_PRECISE] = REJECT_AMOUNT_PRECISION,
		[PARSE_OUT_OF_RANGE] = REJECT_AMOUNT_RANGE,
	};
	ParseStatus status = ParseAmountText(slot->tts_values[READ_AMOUNT], amount);

	if (status != PARSE_OK)
		RejectRow(c, slot, reasons[status]);
	return status == PARSE_OK;
}
