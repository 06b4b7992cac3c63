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
	ParseStatus status = ParseDayText(slot->tts_values[READ_AT], c->source->parse, c->days, day);

	if (status != PARSE_OK)
		RejectRow(c, slot, TimeTextReason(status));
	return status == PARSE_OK;
}

bool
TakeAmountText(Collector *c, TupleTableSlot *slot, int64 *amount)
{
	ParseStatus status = ParseAmountText(slot->tts_values[READ_AMOUNT], amount);

	if (status != PARSE_OK)
		RejectRow(c, slot, AmountTextReason(status));
	return status == PARSE_OK;
}
