/*
 * note_read.c
 *		How the complete read of a source went.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/json.h"

#include "common/spi.h"
#include "person/forgotten.h"
#include "profile/counts.h"
#include "refresh/incremental.h"
#include "refresh/note_read.h"
#include "refresh/trust.h"

/* What a row showed in the mapped columns it was read by; NULL if that was nothing. */
static char *
SampleAsJson(const Source *source, const RejectSample *sample)
{
	const struct
	{
		MappedColumn column;
		const char *text;
	}			fields[] = {
		{COLUMN_CUSTOMER, sample->customer},
		{COLUMN_AT, sample->at},
		{COLUMN_AMOUNT, sample->amount},
		{COLUMN_VALUE, sample->amount},
		{COLUMN_PRODUCT, sample->amount},
		{COLUMN_ORDER_ID, sample->order_id},
		{COLUMN_EVENT, sample->order_id},
	};
	StringInfoData json;
	bool		any = false;

	initStringInfo(&json);
	for (int i = 0; i < lengthof(fields); i++)
	{
		if (source->column[fields[i].column] == NULL)
			continue;
		appendStringInfo(&json, "%s\"%s\": ", json.len ? ", " : "{", ColumnRole(fields[i].column));
		if (fields[i].text)
			escape_json(&json, fields[i].text);
		else
			appendStringInfoString(&json, "null");
		any |= fields[i].text != NULL;
	}
	appendStringInfoChar(&json, '}');
	return any ? json.data : NULL;
}

/* A row of somebody who was forgotten is not shown; nor, then, is one whose key is not shown to its end. */
static bool
OfForgotten(const Forgotten *forgotten, const Source *source, const RejectSample *sample)
{
	return sample->customer != NULL &&
		(strlen(sample->customer) > SHOWN_MOST - MAX_MULTIBYTE_CHAR_LEN || IsForgotten(forgotten, source->namespace, sample->customer));
}

void
NoteReason(const Source *source, const char *reason, int64 rows)
{
	Oid			types[3] = {INT4OID, TEXTOID, INT8OID};
	Datum		values[3] = {Int32GetDatum(source->source_id), CStringGetTextDatum(reason), Int64GetDatum(rows)};

	SpiRun("INSERT INTO custseg.rejected VALUES ($1, $2, $3)", 3, types, values, NULL);
}

void
NoteRead(Run *run, const Source *source, const ReadRecord *read, const CollectCounts *counts)
{
	Oid			types[8] = {INT4OID, TIMESTAMPTZOID, INT8OID, INT8OID, INT8OID, TEXTOID, INT8OID, INT8OID};
	char		no_layout[8] = {' ', ' ', ' ', ' ', ' ', read->layout ? ' ' : 'n', counts->statuses || source->column[COLUMN_EVENT] || source->kind == SOURCE_LINES ? ' ' : 'n', ' '};
	Datum		values[8];
	Forgotten  *forgotten = NULL;

	values[0] = Int32GetDatum(source->source_id);
	values[1] = TimestampTzGetDatum(read->began);
	values[2] = Int64GetDatum(counts->rows);
	values[3] = Int64GetDatum(RejectedRows(counts));
	values[4] = Int64GetDatum(counts->customers);
	values[5] = read->layout ? CStringGetTextDatum(read->layout) : (Datum) 0;
	values[6] = Int64GetDatum(CountsLeftOut(counts));
	values[7] = Int64GetDatum(counts->forgotten);
	SpiRun("UPDATE custseg.source_mapping SET last_read = $2, rows_read = $3, rows_accepted = $3 - $4,"
		   " rows_rejected = $4, customers = $5, tracked_layout = $6, rows_left_out = $7, rows_forgotten = $8,"
		   " problem = NULL, failed_at = NULL, read_home = custseg.home() WHERE source_id = $1",
		   8, types, values, no_layout);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("source %d was dropped while it was read", source->source_id),
				 errhint("Refresh again.")));
	SpiRun("DELETE FROM custseg.rejected_sample WHERE source_id = $1", 1, types, values, NULL);
	SpiRun("DELETE FROM custseg.rejected WHERE source_id = $1", 1, types, values, NULL);
	NoteStatuses(source, counts->statuses);
	if (RejectedRows(counts) > 0)
		forgotten = ForgottenRead(CurrentMemoryContext);

	for (int reason = 0; reason < REJECT_REASONS; reason++)
	{
		int			n = 0;

		if (counts->rejected[reason] == 0)
			continue;
		NoteReason(source, reject_reasons[reason], counts->rejected[reason]);
		types[1] = TEXTOID;
		values[1] = CStringGetTextDatum(reject_reasons[reason]);
		for (int i = 0; i < Min(counts->rejected[reason], REJECT_SAMPLES); i++)
		{
			char	   *shown = SampleAsJson(source, &counts->samples[reason][i]);

			if (forgotten && OfForgotten(forgotten, source, &counts->samples[reason][i]))
				continue;
			if (shown == NULL && reason == REJECT_TOTAL_RANGE)
				break;			/* found by sums, not by a row */
			types[2] = INT4OID;
			values[2] = Int32GetDatum(++n);
			types[3] = TEXTOID;
			values[3] = CStringGetTextDatum(shown ? shown : "{}");
			SpiRun("INSERT INTO custseg.rejected_sample VALUES ($1, $2, $3, $4::jsonb)", 4, types, values, NULL);
		}
	}
	CountRows(run, source, counts);
}

void
MarkSourceMixed(const Source *source)
{
	Oid			types[1] = {INT4OID};
	Datum		values[1] = {Int32GetDatum(source->source_id)};

	SpiRun("UPDATE custseg.source_mapping SET tracked_layout = '" MIXED_LAYOUT "'"
		   " WHERE source_id = $1 AND tracked_layout IS NOT NULL", 1, types, values, NULL);
}
