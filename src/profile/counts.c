/*
 * counts.c
 *		What a process counted while it collected, for another to add.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "profile/counts.h"

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

void
CountsPack(StringInfo data, const CollectCounts *counts)
{
	appendBinaryStringInfo(data, (const char *) &counts->rows, sizeof(counts->rows));
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
	int64		customers;
	DateADT		ahead;
	int64		rejected[REJECT_REASONS];

	memcpy(&rows, data, sizeof(rows));
	data += sizeof(rows);
	memcpy(&customers, data, sizeof(customers));
	data += sizeof(customers);
	memcpy(&ahead, data, sizeof(ahead));
	data += sizeof(ahead);
	memcpy(rejected, data, sizeof(rejected));
	data += sizeof(rejected);
	counts->rows += rows;
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
