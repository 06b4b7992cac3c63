/*
 * probe.c
 *		A look for newer orders of some customers in one source.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "common/spi.h"
#include "common/stream.h"
#include "source/keys.h"
#include "source/limits.h"
#include "source/probe.h"
#include "source/read.h"
#include "timeline/day.h"

#define SMALL_PAGES		1000	/* a scan of so few takes a millisecond or two */

bool
ProbeIsCheap(const Source *source)
{
	Relation	rel = relation_open(source->relation, AccessShareLock);
	char		kind = rel->rd_rel->relkind;
	bool		cheap;

	/* What inherits from a table is read with it, and has indexes of its own. */
	cheap = !(rel->rd_rel->relhassubclass && kind == RELKIND_RELATION) &&
		(((kind == RELKIND_RELATION || kind == RELKIND_MATVIEW) && RelationGetNumberOfBlocks(rel) <= SMALL_PAGES) ||
		 HasCustomerIndex(source));
	relation_close(rel, NoLock);
	return cheap;
}

static bool
MomentDay(Oid type, Datum at, DayMapper *days, DateADT *day)
{
	if (type == TIMESTAMPTZOID)
		return DayMapperDay(days, DatumGetTimestampTz(at), day);
	if (type == TIMESTAMPOID)
		return DayOfTimestamp(DatumGetTimestamp(at), day);
	return DayOfDate(DatumGetDateADT(at), day);
}

typedef struct OrderRead
{
	const Source *source;
	const KeyIndex *index;
	DayMapper  *days;
	const DateADT *after;
	bool	   *ordered;
} OrderRead;

static void
OrderRow(TupleTableSlot *slot, void *arg)
{
	const OrderRead *read = arg;
	DateADT		day;
	int			at;

	if (slot->tts_isnull[0] || slot->tts_isnull[1] ||
		!MomentDay(read->source->type[COLUMN_AT], slot->tts_values[1], read->days, &day))
		return;
	for (int i = KeyIndexFirst(read->index, TextDatumGetCString(slot->tts_values[0]), &at); i >= 0;
		 i = KeyIndexNext(read->index, &at))
		if (day > read->after[i])
			read->ordered[i] = true;
}

/* What lies behind it is no order to a refresh either. */
static const char *
FirstDayTooLate(const Source *source, DayMapper *days)
{
	DayLimits	limits;
	DateADT		today = 0;

	if (days == NULL)
		return "infinity";		/* nobody is looked for */
	(void) DayMapperDay(days, GetCurrentTimestamp(), &today);
	(void) ReadDayLimits(source->source_id, today, &limits);
	return DatumGetCString(DirectFunctionCall1(date_out, DateADTGetDatum(limits.last + 1)));
}

void
ProbeSource(const Source *source, DayMapper *days, int n, char **keys, const DateADT *after, bool *ordered)
{
	OrderRead	read = {source, KeyIndexCreate(n, keys), days, after, ordered};
	Oid			amount = source->type[COLUMN_AMOUNT];
	Oid			types[2];
	Datum		values[2];
	StringInfoData sql;

	values[0] = KeyArray(source, n, keys, &types[0]);
	types[1] = TEXTARRAYOID;
	values[1] = source->accepted;

	initStringInfo(&sql);
	appendStringInfo(&sql,
					 "SELECT %1$s::pg_catalog.text COLLATE pg_catalog.\"C\", pg_catalog.max(%2$s) FROM %3$s"
					 " WHERE %7$s AND %2$s OPERATOR(pg_catalog.<) '%8$s'"
					 " AND %4$s OPERATOR(pg_catalog.>=) 0%5$s%6$s GROUP BY 1",
					 SourceColumn(source, COLUMN_CUSTOMER), SourceColumn(source, COLUMN_AT),
					 SourceRelation(source), SourceColumn(source, COLUMN_AMOUNT),
					 amount == NUMERICOID || amount == FLOAT4OID || amount == FLOAT8OID ?
					 psprintf(" AND %s OPERATOR(pg_catalog.<) 'NaN'", SourceColumn(source, COLUMN_AMOUNT)) : "",
					 SourceFilter(source, 2, " AND "), SourceCustomerIsAny(source, 1),
					 FirstDayTooLate(source, days));
	SourceQuery(source, sql.data, source->column[COLUMN_STATUS] ? 2 : 1, types, values, StreamTo(OrderRow, &read));
}
