/*
 * counts.c
 *		What a process counted while it collected, for another to add.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "profile/counts.h"
#include "source/parse_text.h"

const char *const reject_reasons[REJECT_REASONS] = {
	[REJECT_NO_CUSTOMER] = "customer is null or empty",
	[REJECT_CUSTOMER_ID] = "customer number is not positive",
	[REJECT_KEY_LENGTH] = "customer key is longer than 512 bytes",
	[REJECT_NO_TIME] = "time is null",
	[REJECT_TIME] = "time is infinite or out of range",
	[REJECT_TOO_EARLY] = "time is before settings.first_day",
	[REJECT_TOO_LATE] = "time is more than a year ahead",
	[REJECT_NO_AMOUNT] = "amount is null",
	[REJECT_AMOUNT_NAN] = "amount is NaN",
	[REJECT_AMOUNT_INFINITE] = "amount is infinite",
	[REJECT_AMOUNT_PRECISION] = "amount has more than 4 decimals",
	[REJECT_AMOUNT_RANGE] = "amount is out of range",
	[REJECT_NO_ORDER_ID] = "order is null",
	[REJECT_TIME_UNREADABLE] = TIME_UNREADABLE,
	[REJECT_TIME_SHORT_YEAR] = TIME_SHORT_YEAR,
	[REJECT_TIME_OTHER_ORDER] = TIME_OTHER_ORDER,
	[REJECT_TIME_IMPOSSIBLE] = TIME_IMPOSSIBLE,
	[REJECT_AMOUNT_UNREADABLE] = AMOUNT_UNREADABLE,
	[REJECT_AMOUNT_AMBIGUOUS] = AMOUNT_AMBIGUOUS,
	[REJECT_CHANNEL_LENGTH] = "channel is longer than 200 bytes",
	[REJECT_NO_VALUE] = "value is null",
	[REJECT_VALUE_NAN] = "value is NaN",
	[REJECT_VALUE_INFINITE] = "value is infinite",
	[REJECT_VALUE_PRECISION] = "value has more than 4 decimals",
	[REJECT_VALUE_RANGE] = "value is out of range",
	[REJECT_VALUE_NEGATIVE] = "value is negative",
	[REJECT_NO_EVENT] = "event is null",
	[REJECT_NO_LINE_AMOUNT] = "quantity or price is null",
	[REJECT_LINE_NAN] = "quantity or price is NaN",
	[REJECT_LINE_INFINITE] = "quantity or price is infinite",
	[REJECT_LINE_PRECISION] = "quantity times price has more than 4 decimals",
	[REJECT_LINE_RANGE] = "quantity times price is out of range",
	[REJECT_NO_ORDER] = "the line has no order",
	[REJECT_NO_PRODUCT] = "product is null or empty",
	[REJECT_PRODUCT_LENGTH] = "product is longer than 512 bytes",
	[REJECT_TOTAL_RANGE] = "the customer's amounts add up out of range",
};

static void
PutField(StringInfo data, const char *text)
{
	int32		len = text ? strlen(text) + 1 : 0;

	appendBinaryStringInfo(data, (char *) &len, sizeof(len));
	appendBinaryStringInfo(data, text ? text : "", len);
}

static char *
GetField(MemoryContext context, const char **data)
{
	int32		len;
	char	   *text;

	memcpy(&len, *data, sizeof(len));
	text = len ? MemoryContextStrdup(context, *data + sizeof(len)) : NULL;
	*data += sizeof(len) + len;
	return text;
}

/* Totals that are out of range are found by sums, and have no row to show. */
static int
SampleCount(const int64 *rejected, int reason)
{
	return reason == REJECT_TOTAL_RANGE ? 0 : Min(rejected[reason], REJECT_SAMPLES);
}

int64
CountsLeftOut(const CollectCounts *counts)
{
	return (counts->statuses ? StatusLeftOut(counts->statuses) : 0) + counts->not_listed;
}

void
CountsPack(StringInfo data, const CollectCounts *counts)
{
	appendBinaryStringInfo(data, (const char *) &counts->rows, sizeof(counts->rows));
	appendBinaryStringInfo(data, (const char *) &counts->not_listed, sizeof(counts->not_listed));
	appendBinaryStringInfo(data, (const char *) &counts->customers, sizeof(counts->customers));
	appendBinaryStringInfo(data, (const char *) &counts->ahead, sizeof(counts->ahead));
	appendBinaryStringInfo(data, (const char *) counts->rejected, sizeof(counts->rejected));
	for (int reason = 0; reason < REJECT_REASONS; reason++)
		for (int i = 0; i < SampleCount(counts->rejected, reason); i++)
		{
			const RejectSample *sample = &counts->samples[reason][i];

			appendBinaryStringInfo(data, (const char *) &sample->place, sizeof(sample->place));
			PutField(data, sample->customer);
			PutField(data, sample->at);
			PutField(data, sample->amount);
			PutField(data, sample->order_id);
		}
	if (counts->statuses)
		StatusPack(data, counts->statuses);
}

static int
CompareSamples(const void *a, const void *b)
{
	uint64		place_a = ((const RejectSample *) a)->place;
	uint64		place_b = ((const RejectSample *) b)->place;

	return place_a < place_b ? -1 : place_a > place_b;
}

void
CountsMerge(MemoryContext context, CollectCounts *counts, const char *data)
{
	int64		rows;
	int64		not_listed;
	int64		customers;
	DateADT		ahead;
	int64		rejected[REJECT_REASONS];

	memcpy(&rows, data, sizeof(rows));
	data += sizeof(rows);
	memcpy(&not_listed, data, sizeof(not_listed));
	data += sizeof(not_listed);
	memcpy(&customers, data, sizeof(customers));
	data += sizeof(customers);
	memcpy(&ahead, data, sizeof(ahead));
	data += sizeof(ahead);
	memcpy(rejected, data, sizeof(rejected));
	data += sizeof(rejected);
	counts->rows += rows;
	counts->not_listed += not_listed;
	counts->customers += customers;
	counts->ahead = Min(counts->ahead, ahead);
	for (int reason = 0; reason < REJECT_REASONS; reason++)
	{
		RejectSample both[2 * REJECT_SAMPLES];
		int			n = SampleCount(counts->rejected, reason);

		memcpy(both, counts->samples[reason], n * sizeof(RejectSample));
		for (int i = 0; i < SampleCount(rejected, reason); i++)
		{
			memcpy(&both[n].place, data, sizeof(uint64));
			data += sizeof(uint64);
			both[n].customer = GetField(context, &data);
			both[n].at = GetField(context, &data);
			both[n].amount = GetField(context, &data);
			both[n++].order_id = GetField(context, &data);
		}
		qsort(both, n, sizeof(RejectSample), CompareSamples);
		memcpy(counts->samples[reason], both, Min(n, REJECT_SAMPLES) * sizeof(RejectSample));
		counts->rejected[reason] += rejected[reason];
	}
	if (counts->statuses)
		StatusMerge(counts->statuses, data);
}
