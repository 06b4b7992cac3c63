/*
 * explanation.c
 *		An explanation that is being written: its rows, and the words of all parts.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgrprotos.h"
#include "utils/tuplestore.h"

#include "segment/explanation.h"
#include "timeline/amount.h"

void
Say(Explanation *why, const char *label, const char *value, const char *rule, const char *detail)
{
	Datum		values[4];
	bool		nulls[4] = {false, value == NULL, false, false};

	values[0] = CStringGetTextDatum(label);
	values[1] = value ? CStringGetTextDatum(value) : (Datum) 0;
	values[2] = CStringGetTextDatum(rule);
	values[3] = CStringGetTextDatum(detail);
	tuplestore_putvalues(why->result->setResult, why->result->setDesc, values, nulls);
}

char *
Day(DateADT day)
{
	if (day == NO_DAY)
		return NULL;
	return DatumGetCString(DirectFunctionCall1(date_out, DateADTGetDatum(day)));
}

char *
Money(int64 scaled)
{
	return DatumGetCString(DirectFunctionCall1(numeric_out,
											   NumericGetDatum(AmountToNumeric(scaled))));
}

static char *
Count(Explanation *why, int64 n, const char *one, const char *many, const char *in_chinese)
{
	return psprintf("%lld %s", (long long) n, WORDS(n == 1 ? one : many, in_chinese));
}

char *
Orders(Explanation *why, int64 n)
{
	return Count(why, n, "order", "orders", "单");
}

char *
Days(Explanation *why, int64 n)
{
	return Count(why, n, "day", "days", "天");
}

const char *
Cut(Explanation *why, int64 cut)
{
	return cut == PG_INT64_MAX ? WORDS("(no cut point yet)", "（尚无分界点）") : Money(cut);
}

char *
Cuts(const int64 *cuts, bool money)
{
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < SCORE_CUTS; i++)
	{
		if (i > 0)
			appendStringInfoString(&text, " / ");
		if (money)
			appendStringInfoString(&text, Money(cuts[i]));
		else
			appendStringInfo(&text, "%lld", (long long) cuts[i]);
	}
	return text.data;
}

char *
Percent(double share)
{
	return psprintf("%.10g %%", share * 100);
}
