/*
 * limits.c
 *		The days that orders can have.
 *
 * One order of 1970-01-01, which is what a lost time becomes, would move
 * everybody's P(alive), and one of 2999 would never be silent. So rows before
 * settings.first_day and more than a year ahead are rejected.
 *
 * A year ahead of what must not depend on when a row was read, or reading what
 * changed would not come to the same as reading everything. It is a year from
 * the latest day for which a refresh has read the source, which never goes
 * back; and with the source we remember the first day of the rows that lay
 * behind it. When that day comes within reach, all of the source is read.
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "common/spi.h"
#include "source/limits.h"

bool
ReadDayLimits(int source_id, DateADT day, DayLimits *limits)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[2] = {INT4OID, DATEOID};
	Datum		values[2] = {Int32GetDatum(source_id), DateADTGetDatum(day)};
	bool		isnull;

	/* A leap year, so that the same date next year always is within it. */
	SpiRunPlan(SpiKeep(&plan,
					   "SELECT s.first_day, l.last, coalesce(m.ahead_from <= l.last, false)"
					   " FROM custseg.settings s, custseg.source_mapping m,"
					   " LATERAL (SELECT greatest(m.read_until, $2 + 366) AS last) l WHERE m.source_id = $1",
					   2, types), values, NULL);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("source %d was dropped", source_id),
				 errhint("Refresh again.")));
	limits->first = DatumGetDateADT(SpiField(0, 1, &isnull));
	limits->last = DatumGetDateADT(SpiField(0, 2, &isnull));
	return SpiInt64(0, 3, 0) != 0;
}

void
NoteDayLimits(int source_id, const DayLimits *limits, DateADT ahead, bool whole)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[4] = {INT4OID, DATEOID, DATEOID, BOOLOID};
	Datum		values[4] = {Int32GetDatum(source_id), DateADTGetDatum(limits->last),
	DateADTGetDatum(ahead), BoolGetDatum(whole)};
	char		nulls[4] = {' ', ' ', ahead == DATEVAL_NOEND ? 'n' : ' ', ' '};

	SpiRunPlan(SpiKeep(&plan,
					   "UPDATE custseg.source_mapping m SET read_until = $2, ahead_from = n.ahead"
					   " FROM (SELECT source_id, CASE WHEN $4 THEN $3 ELSE least(ahead_from, $3) END AS ahead"
					   "  FROM custseg.source_mapping) n"
					   " WHERE m.source_id = $1 AND n.source_id = $1"
					   " AND (m.read_until, m.ahead_from) IS DISTINCT FROM ($2, n.ahead)",
					   4, types), values, nulls);
}
