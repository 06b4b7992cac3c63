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

#include "common/settings.h"
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

typedef struct OrderRead
{
	const KeyIndex *index;
	const DateADT *after;
	bool	   *ordered;
} OrderRead;

static void
OrderRow(TupleTableSlot *slot, void *arg)
{
	const OrderRead *read = arg;
	DateADT		day;
	int			at;

	if (slot->tts_isnull[0] || slot->tts_isnull[1])
		return;
	day = DatumGetDateADT(slot->tts_values[1]);
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

/* The shop's day of the source's moment "at", as SQL. */
static char *
DayOfMoment(const Source *source)
{
	if (source->type[COLUMN_AT] == TIMESTAMPTZOID)
		return psprintf("(at AT TIME ZONE %s)::pg_catalog.date", quote_literal_cstr(ReadShopSettings()->time_zone));
	return pstrdup("at::pg_catalog.date");
}

/*
 * The rows of the customers, as the collector sees them: each line below zero is
 * a refund on its day; the others of one number are an order on their first day,
 * unless what went back on that day took back all of it (OrderSumIsVoid).
 */
static void
AppendPurchases(StringInfo sql, const Source *source)
{
	/* Through its text: a real has then its shortest decimal. */
	const char *amount = source->type[COLUMN_AMOUNT] == FLOAT4OID || source->type[COLUMN_AMOUNT] == FLOAT8OID ?
		"%s::pg_catalog.text::pg_catalog.numeric" : "%s::pg_catalog.numeric";
	bool		grouped = source->column[COLUMN_ORDER_ID] != NULL;
	Oid			type = source->type[COLUMN_AMOUNT];

	appendStringInfo(sql, "rows AS (SELECT %s::pg_catalog.text COLLATE pg_catalog.\"C\" AS customer, %s AS at, ",
					 SourceColumn(source, COLUMN_CUSTOMER), SourceColumn(source, COLUMN_AT));
	appendStringInfo(sql, amount, SourceColumn(source, COLUMN_AMOUNT));
	appendStringInfo(sql, " AS amount, %s AS order_id FROM %s WHERE %s%s%s),",
					 grouped ? psprintf("%s::pg_catalog.text", SourceColumn(source, COLUMN_ORDER_ID)) : "NULL::pg_catalog.text",
					 SourceRelation(source), SourceCustomerIsAny(source, 1),
					 type == NUMERICOID || type == FLOAT4OID || type == FLOAT8OID ?
					 psprintf(" AND %1$s OPERATOR(pg_catalog.<) 'Infinity' AND %1$s OPERATOR(pg_catalog.>) '-Infinity'",
							  SourceColumn(source, COLUMN_AMOUNT)) : "",
					 SourceFilter(source, 2, " AND "));
	appendStringInfo(sql, "lines AS (SELECT customer, order_id, amount, %s AS day FROM rows"
					 " WHERE at < 'infinity' AND at > '-infinity'),", DayOfMoment(source));
	if (!grouped)
	{
		appendStringInfoString(sql, "purchases AS (SELECT customer, day, amount FROM lines)");
		return;
	}
	appendStringInfoString(sql,
						   "first AS (SELECT *, min(day) FILTER (WHERE amount >= 0) OVER (PARTITION BY customer, order_id) AS first_day"
						   " FROM lines WHERE order_id IS NOT NULL),"
						   "orders AS (SELECT customer, order_id, first_day, sum(amount) FILTER (WHERE amount >= 0) AS bought,"
						   "  coalesce(-sum(amount) FILTER (WHERE amount < 0 AND day = first_day), 0) AS taken_back"
						   " FROM first WHERE first_day IS NOT NULL GROUP BY customer, order_id, first_day),"
						   "purchases AS (SELECT customer, day, amount FROM lines WHERE order_id IS NULL"
						   " UNION ALL SELECT customer, first_day, bought FROM orders WHERE NOT (taken_back > 0 AND taken_back >= bought)"
						   " UNION ALL SELECT f.customer, f.day, f.amount FROM first f LEFT JOIN orders o USING (customer, order_id)"
						   "  WHERE f.amount < 0 AND NOT coalesce(f.day = o.first_day AND o.taken_back >= o.bought, false))");
}

void
ProbeSource(const Source *source, DayMapper *days, int n, char **keys, const DateADT *after, bool *ordered)
{
	OrderRead	read = {KeyIndexCreate(n, keys), after, ordered};
	Oid			types[2];
	Datum		values[2];
	StringInfoData sql;

	values[0] = KeyArray(source, n, keys, &types[0]);
	types[1] = TEXTARRAYOID;
	values[1] = source->accepted;

	/* A day on which all that was bought went back does not count: see TimelineIsVoid. */
	initStringInfo(&sql);
	appendStringInfoString(&sql, "WITH ");
	AppendPurchases(&sql, source);
	appendStringInfo(&sql,
					 " SELECT customer, max(day) FROM (SELECT customer, day FROM purchases WHERE day < '%s'"
					 "  GROUP BY customer, day HAVING bool_or(amount >= 0)"
					 "  AND NOT (sum(amount) = 0 AND bool_or(amount > 0))) d GROUP BY customer",
					 FirstDayTooLate(source, days));
	SourceQuery(source, sql.data, source->column[COLUMN_STATUS] ? 2 : 1, types, values, StreamTo(OrderRow, &read));
}
