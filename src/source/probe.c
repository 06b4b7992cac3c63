/*
 * probe.c
 *		Has a customer ordered since the source was last read?
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"

#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "common/guard.h"
#include "common/settings.h"
#include "common/spi.h"
#include "source/identity.h"
#include "source/probe.h"
#include "source/read.h"
#include "timeline/day.h"

#define SMALL_PAGES		1000	/* a scan of so few takes a millisecond or two */

/* An index whose first column is the customer, or so small a table that none is needed. */
static bool
ProbeIsCheap(const Source *source)
{
	Relation	rel = relation_open(source->relation, AccessShareLock);
	bool		cheap = false;
	ListCell   *cell;

	if (rel->rd_rel->relkind == RELKIND_RELATION || rel->rd_rel->relkind == RELKIND_MATVIEW)
		cheap = RelationGetNumberOfBlocks(rel) <= SMALL_PAGES;
	if (!cheap && rel->rd_rel->relkind != RELKIND_VIEW && rel->rd_rel->relkind != RELKIND_FOREIGN_TABLE)
		foreach(cell, RelationGetIndexList(rel))
		{
			HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(cell)));
			Form_pg_index index;

			if (!HeapTupleIsValid(tuple))
				continue;
			index = (Form_pg_index) GETSTRUCT(tuple);
			cheap |= index->indisvalid && index->indnatts > 0 &&
				index->indkey.values[0] == source->attno[COLUMN_CUSTOMER] &&
				heap_attisnull(tuple, Anum_pg_index_indpred, NULL);
			ReleaseSysCache(tuple);
		}
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

static void
ProbeSource(const Source *source, DayMapper *days, int n, const int64 *ids, const DateADT *after, bool *ordered)
{
	char	  **keys = IdentityKeys(source, n, ids);
	KeyIndex   *index = KeyIndexCreate(n, keys);
	Oid			amount = source->type[COLUMN_AMOUNT];
	Oid			types[2];
	Datum		values[2];
	StringInfoData sql;

	values[0] = IdentityKeyArray(source, n, keys, &types[0]);
	types[1] = TEXTARRAYOID;
	values[1] = source->accepted;

	initStringInfo(&sql);
	appendStringInfo(&sql,
					 "SELECT %1$s::pg_catalog.text, pg_catalog.max(%2$s) FROM %3$s"
					 " WHERE %1$s OPERATOR(pg_catalog.=) ANY ($1) AND %2$s OPERATOR(pg_catalog.<) 'infinity'"
					 " AND %4$s OPERATOR(pg_catalog.>=) 0%5$s%6$s GROUP BY 1",
					 SourceColumn(source, COLUMN_CUSTOMER), SourceColumn(source, COLUMN_AT),
					 SourceRelation(source), SourceColumn(source, COLUMN_AMOUNT),
					 amount == NUMERICOID || amount == FLOAT4OID || amount == FLOAT8OID ?
					 psprintf(" AND %s OPERATOR(pg_catalog.<) 'NaN'", SourceColumn(source, COLUMN_AMOUNT)) : "",
					 SourceFilter(source, 2, " AND "));
	SourceQuery(source, sql.data, source->column[COLUMN_STATUS] ? 2 : 1, types, values, NULL);

	for (uint64 row = 0; row < SPI_processed; row++)
	{
		bool		isnull;
		Datum		moment = SpiField(row, 2, &isnull);
		DateADT		day;
		int			at;

		if (isnull || !MomentDay(source->type[COLUMN_AT], moment, days, &day))
			continue;
		for (int i = KeyIndexFirst(index, SpiText(row, 1), &at); i >= 0; i = KeyIndexNext(index, &at))
			if (day > after[i])
				ordered[i] = true;
	}
	SPI_freetuptable(SPI_tuptable);
}

void
ProbeOrders(int n, const int64 *ids, const DateADT *after, bool *ordered, TimestampTz *checked_at)
{
	DayMapper  *days = DayMapperCreate(ReadShopSettings()->time_zone);
	TimestampTz oldest = GetCurrentTimestamp();
	ListCell   *cell;

	memset(ordered, 0, n * sizeof(bool));
	foreach(cell, ListSources(true))
	{
		Source	   *source = lfirst(cell);

		SourceOpen(source);
		if (ProbeIsCheap(source))
			ProbeSource(source, days, n, ids, after, ordered);
		else
			oldest = Min(oldest, source->last_read);
	}
	for (int i = 0; i < n; i++)
		checked_at[i] = oldest;
}
