/*
 * spend.c
 *		What the shop spends on its channels, day by day.
 *
 * Such a source is small (a row a day and campaign, or so), so it is read whole
 * each time and summed up by day and channel, in memory, to the last digit. A
 * source that fails or shrinks is left as it was, like one of orders.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/int.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#include "common/attempt.h"
#include "common/spi.h"
#include "common/stream.h"
#include "profile/collector.h"
#include "refresh/note_read.h"
#include "refresh/spend.h"
#include "refresh/trust.h"
#include "source/follow.h"
#include "source/parse_text.h"
#include "source/read.h"
#include "timeline/amount.h"
#include "timeline/day.h"

#define MOST_SUMS		1000000 /* of a source, by day and channel */
#define CHANNEL_LENGTH	200		/* bytes of a channel's name; longer ones are rejected */

typedef struct SpendKey
{
	DateADT		day;
	char		channel[CHANNEL_LENGTH + 1];	/* zeroes behind its end */
} SpendKey;

typedef struct SpendSum
{
	SpendKey	key;			/* hash key */
	int64		amount;			/* times 10^4 */
} SpendSum;

/* A read of one source. */
typedef struct SpendRead
{
	Run		   *run;			/* NULL to verify */
	Source	   *source;
	const char *time_zone;
	DayMapper  *days;
	MemoryContext context;		/* of what is kept of it */
	MemoryContext row;
	HTAB	   *sums;
	CollectCounts *counts;		/* its customers are the sums */
	bool		adopted;
} SpendRead;

/* ------------------------------------------------------------------ reading */

static void
Reject(SpendRead *read, TupleTableSlot *slot, RejectReason reason)
{
	int64		n = read->counts->rejected[reason]++;
	MemoryContext old;

	if (n >= REJECT_SAMPLES)
		return;
	old = MemoryContextSwitchTo(read->context);
	read->counts->samples[reason][n].at = ShownValue(slot, SPEND_DAY);
	read->counts->samples[reason][n].amount = ShownValue(slot, SPEND_AMOUNT);
	MemoryContextSwitchTo(old);
}

/* The day of a row; false, and the row is rejected, where it has none. */
static bool
DayOfRow(SpendRead *read, TupleTableSlot *slot, DateADT *day)
{
	Datum		value = slot->tts_values[SPEND_DAY];
	ParseStatus status = PARSE_OK;
	RejectReason reason = REJECT_TIME;
	bool		ok = true;

	if (slot->tts_isnull[SPEND_DAY])
		return Reject(read, slot, REJECT_NO_TIME), false;
	switch (read->source->type[COLUMN_AT])
	{
		case TIMESTAMPTZOID:
			ok = DayMapperDay(read->days, DatumGetTimestampTz(value), day);
			break;
		case TIMESTAMPOID:
			ok = DayOfTimestamp(DatumGetTimestamp(value), day);
			break;
		case DATEOID:
			ok = DayOfDate(DatumGetDateADT(value), day);
			break;
		default:
			status = ParseDayText(value, read->source->parse, read->days, day);
			reason = TimeTextReason(status);
			break;
	}
	if (!ok || status != PARSE_OK)
		return Reject(read, slot, reason), false;
	return true;
}

static bool
AmountOfRow(SpendRead *read, TupleTableSlot *slot, int64 *amount)
{
	Datum		value = slot->tts_values[SPEND_AMOUNT];
	AmountStatus status;

	if (slot->tts_isnull[SPEND_AMOUNT])
		return Reject(read, slot, REJECT_NO_AMOUNT), false;
	switch (read->source->type[COLUMN_AMOUNT])
	{
		case FLOAT4OID:
			status = AmountFromReal(DatumGetFloat4(value), amount);
			break;
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
			{
				ParseStatus parsed = ParseAmountText(value, amount);

				if (parsed != PARSE_OK)
					return Reject(read, slot, AmountTextReason(parsed)), false;
				return true;
			}
		default:
			status = AmountFromNumeric(value, amount);
			break;
	}
	if (status != AMOUNT_OK)
		return Reject(read, slot, AmountReason(status)), false;
	return true;
}

static void
SpendRow(TupleTableSlot *slot, void *arg)
{
	SpendRead  *read = arg;
	MemoryContext old = MemoryContextSwitchTo(read->row);
	SpendKey	key;
	SpendSum   *sum;
	int64		amount;
	bool		found;

	MemoryContextReset(read->row);
	memset(&key, 0, sizeof(key));
	read->counts->rows++;
	if (DayOfRow(read, slot, &key.day) && AmountOfRow(read, slot, &amount))
	{
		bool		named = read->source->column[COLUMN_CHANNEL] && !slot->tts_isnull[SPEND_CHANNEL];
		char	   *channel = named ? TextDatumGetCString(slot->tts_values[SPEND_CHANNEL]) : "";

		if (strlen(channel) > CHANNEL_LENGTH)
			Reject(read, slot, REJECT_CHANNEL_LENGTH);
		else
		{
			strcpy(key.channel, channel);
			sum = hash_search(read->sums, &key, HASH_ENTER, &found);
			if (!found)
				sum->amount = 0;
			if (hash_get_num_entries(read->sums) > MOST_SUMS)
				ereport(ERROR,
						(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						 errmsg("%s has spend of more than %d days and channels", SourceRelation(read->source), MOST_SUMS),
						 errhint("Map as channel what the shop can plan by, such as the platform.")));
			if (pg_add_s64_overflow(sum->amount, amount, &sum->amount))
				ereport(ERROR,
						(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						 errmsg("the amounts of %s add up out of range", SourceRelation(read->source)),
						 errhint("Look for amounts that are no money.")));
		}
	}
	MemoryContextSwitchTo(old);
}

static void
ReadSpend(void *arg)
{
	SpendRead  *read = arg;
	HASHCTL		control = {.keysize = sizeof(SpendKey),.entrysize = sizeof(SpendSum),.hcxt = read->context};

	if (read->run)
		read->adopted = SourceAdopt(read->source);
	else
		(void) SourceFollow(read->source);
	SourceOpen(read->source);
	if (read->run)
		read->run->reading = SourceShown(read->source);
	read->sums = hash_create("custseg spend", 1024, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	read->counts = MemoryContextAllocZero(read->context, sizeof(CollectCounts));
	read->counts->ahead = DATEVAL_NOEND;
	read->days = DayMapperCreate(read->time_zone);
	read->row = AllocSetContextCreate(read->context, "custseg spend row", ALLOCSET_SMALL_SIZES);
	SourceRead(read->source, StreamTo(SpendRow, read));
	read->counts->customers = hash_get_num_entries(read->sums);
}

/* ------------------------------------------------------------------ writing */

static int
CompareSums(const void *a, const void *b)
{
	return memcmp(&(*(SpendSum *const *) a)->key, &(*(SpendSum *const *) b)->key, sizeof(SpendKey));
}

/* The sums as arrays: day, channel, amount. */
static void
SumsAsArrays(const SpendRead *read, Datum *values)
{
	int			n = read->counts->customers;
	SpendSum  **sums = palloc(Max(n, 1) * sizeof(SpendSum *));
	Datum	   *days = palloc(Max(n, 1) * sizeof(Datum));
	Datum	   *channels = palloc(Max(n, 1) * sizeof(Datum));
	Datum	   *amounts = palloc(Max(n, 1) * sizeof(Datum));
	HASH_SEQ_STATUS all;
	SpendSum   *sum;
	int			i = 0;

	hash_seq_init(&all, read->sums);
	while ((sum = hash_seq_search(&all)) != NULL)
		sums[i++] = sum;
	qsort(sums, n, sizeof(SpendSum *), CompareSums);
	for (i = 0; i < n; i++)
	{
		days[i] = DateADTGetDatum(sums[i]->key.day);
		channels[i] = CStringGetTextDatum(sums[i]->key.channel);
		amounts[i] = NumericGetDatum(AmountToNumeric(sums[i]->amount));
	}
	values[0] = PointerGetDatum(construct_array(days, n, DATEOID, sizeof(DateADT), true, TYPALIGN_INT));
	values[1] = PointerGetDatum(construct_array(channels, n, TEXTOID, -1, false, TYPALIGN_INT));
	values[2] = PointerGetDatum(construct_array(amounts, n, NUMERICOID, -1, false, TYPALIGN_INT));
}

#define SAID "WITH said AS (SELECT * FROM unnest($2, $3, $4) AS s (day, channel, amount))"

static void
WriteSpend(const SpendRead *read)
{
	Oid			types[4] = {INT4OID, DATEARRAYOID, TEXTARRAYOID, NUMERICARRAYOID};
	Datum		values[4] = {Int32GetDatum(read->source->source_id)};

	SumsAsArrays(read, &values[1]);
	SpiRun(SAID " DELETE FROM custseg.spend_day d WHERE source_id = $1"
		   " AND NOT EXISTS (SELECT FROM said s WHERE s.day = d.day AND s.channel COLLATE \"C\" = d.channel)",
		   4, types, values, NULL);
	SpiRun(SAID " INSERT INTO custseg.spend_day (source_id, day, channel, amount) SELECT $1, day, channel, amount FROM said"
		   " ON CONFLICT (source_id, day, channel) DO UPDATE SET amount = excluded.amount"
		   " WHERE spend_day.amount <> excluded.amount", 4, types, values, NULL);
}

/* A read that has too few sums is held. */
static bool
IsHeld(Run *run, const SpendRead *read)
{
	Source	   *source = read->source;
	const ProfileTarget nobody = {0};
	Expectation expected;

	Expect(source, &nobody, false, &expected);
	if (source->last_read == DT_NOBEGIN || (run->asked.rebuild && run->asked.only_source == source->source_id) ||
		read->counts->customers >= LeastCustomers(&expected))
		return false;
	TellHeldOf(run, source, &expected, read->counts->customers, "sums by day and channel");
	return true;
}

static void
CollectOneSpend(Run *run, Source *source)
{
	SpendRead	read = {run, source, run->settings->time_zone};
	TimestampTz began = GetCurrentTimestamp();
	ErrorData  *error;

	RunActivity(run, "reading %s", SourceRelation(source));
	RunNoteRead(run, source->source_id, "whole", NULL);
	read.context = AllocSetContextCreate(run->context, "custseg spend", ALLOCSET_DEFAULT_SIZES);
	error = Attempt(ReadSpend, &read);
	if (error != NULL)
		TellFailure(run, source, error);
	run->reading = NULL;
	if (error == NULL)
	{
		if (read.adopted)
			TellAdopted(run, source);
		TellOddities(run, source, read.counts);
		if (!IsHeld(run, &read))
		{
			WriteSpend(&read);
			NoteRead(run, source, &(ReadRecord) {.began = began}, read.counts);
		}
	}
	MemoryContextDelete(read.context);
	RunCommit(run);
}

void
CollectSpend(Run *run)
{
	MemoryContext old = MemoryContextSwitchTo(run->context);
	List	   *sources = ListSources(SOURCE_SPEND);
	ListCell   *cell;

	MemoryContextSwitchTo(old);
	foreach(cell, sources)
	{
		Source	   *source = lfirst(cell);

		if (run->asked.only_source == 0 || run->asked.only_source == source->source_id)
			CollectOneSpend(run, source);
	}
}

/* ---------------------------------------------------------------- verifying */

uint64
VerifySpend(const char *time_zone, ReturnSetInfo *result)
{
	uint64		differ = 0;
	ListCell   *cell;

	foreach(cell, ListSources(SOURCE_SPEND))
	{
		SpendRead	read = {NULL, lfirst(cell), time_zone};
		Oid			types[4] = {INT4OID, DATEARRAYOID, TEXTARRAYOID, NUMERICARRAYOID};
		Datum		values[4] = {Int32GetDatum(read.source->source_id)};

		read.context = AllocSetContextCreate(CurrentMemoryContext, "custseg spend", ALLOCSET_DEFAULT_SIZES);
		ReadSpend(&read);
		SumsAsArrays(&read, &values[1]);
		SpiRun(SAID " SELECT NULL::bigint, 'spend of source ' || $1 || ' on ' || coalesce(s.day, d.day) || ' by '"
			   "  || pg_catalog.quote_literal(coalesce(s.channel, d.channel)), d.amount::text, s.amount::text"
			   " FROM said s FULL JOIN (SELECT * FROM custseg.spend_day WHERE source_id = $1) d"
			   "  ON s.day = d.day AND s.channel COLLATE \"C\" = d.channel"
			   " WHERE s.amount IS DISTINCT FROM d.amount ORDER BY coalesce(s.day, d.day), coalesce(s.channel, d.channel) COLLATE \"C\"",
			   4, types, values, NULL);
		for (uint64 row = 0; row < SPI_processed; row++)
			tuplestore_puttuple(result->setResult, SPI_tuptable->vals[row]);
		differ += SPI_processed;
		MemoryContextDelete(read.context);
	}
	return differ;
}
