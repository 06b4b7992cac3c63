/*
 * probe.c
 *		What the sources know of customers that no refresh has read yet.
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

#include "common/attempt.h"
#include "common/guard.h"
#include "common/settings.h"
#include "common/spi.h"
#include "common/stream.h"
#include "source/change_pending.h"
#include "source/identity.h"
#include "source/limits.h"
#include "source/probe.h"
#include "source/read.h"
#include "source/layout.h"
#include "timeline/day.h"

#define SMALL_PAGES		1000	/* a scan of so few takes a millisecond or two */
#define LONGEST_WAIT	1000	/* ms, for a lock */

/* By an index, or because the table is so small that none is needed. */
static bool
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

static void
ProbeSource(const Source *source, DayMapper *days, int n, const int64 *ids, const DateADT *after, bool *ordered)
{
	char	  **keys = IdentityKeys(source, n, ids);
	OrderRead	read = {source, KeyIndexCreate(n, keys), days, after, ordered};
	Oid			amount = source->type[COLUMN_AMOUNT];
	Oid			types[2];
	Datum		values[2];
	StringInfoData sql;

	values[0] = IdentityKeyArray(source, n, keys, &types[0]);
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

/* A look at one source. */
typedef struct Look
{
	Source	   *source;
	DayMapper  *days;
	int			n;
	const int64 *ids;
	const DateADT *after;
	bool	   *ordered;
	bool		looked;
} Look;

static void
LookAtSource(void *arg)
{
	Look	   *look = arg;

	SourceOpen(look->source);
	look->looked = ProbeIsCheap(look->source);
	if (look->looked)
		ProbeSource(look->source, look->days, look->n, look->ids, look->after, look->ordered);
}

/*
 * Look at one source. A source that cannot be read now, because its table was
 * dropped or is locked, or its owner may not read it, must not stop the desks: a
 * warning, and what is known of it is as old as its last read. True when it was
 * looked at.
 */
static bool
TrySource(Source *source, DayMapper *days, int n, const int64 *ids, const DateADT *after, bool *ordered)
{
	Look		look = {source, days, n, ids, after, ordered};
	ErrorData  *error;
	int			level = LimitLockWait(LONGEST_WAIT);

	error = Attempt(LookAtSource, &look);
	AtEOXact_GUC(false, level);

	if (error)
		ereport(WARNING,
				(errcode(error->sqlerrcode),
				 errmsg("could not look for new orders in %s: %s", SourceRelation(source), error->message),
				 error->hint ? errhint("%s", error->hint) : 0));
	return error == NULL && look.looked;
}

struct Probe
{
	List	   *queried;		/* sources whose own rows are looked at */
	TimestampTz checked_at;		/* now, or when one was read that could not be looked at */
	DayMapper  *days;
	ChangeLook *changes;		/* in those that are tracked; NULL without any */
	bool		shared;			/* every customer is one of each source */
};

Probe *
ProbeSources(void)
{
	Probe	   *probe = palloc0(sizeof(Probe));
	List	   *sources = ListSources(true);
	List	   *tracked = NIL;
	ListCell   *cell;

	probe->checked_at = GetCurrentTimestamp();
	probe->shared = true;
	foreach(cell, sources)
	{
		Source	   *source = lfirst(cell);

		probe->shared &= source->namespace == NULL || list_length(sources) == 1;
		source->tracked = TrackingIsLive(source);
		if (source->tracked)
			tracked = lappend(tracked, source);
		/* Where another table goes by its name now, the triggers are on the old one; the look says so. */
		if (!source->tracked || !SourceIsNamed(source) || !TriggersSeeAll(source))
			probe->queried = lappend(probe->queried, source);
		else if (source->read_here && !LayoutIsAsRead(source))
		{
			/* A partition was attached, or a trigger was off: there may be orders that no trigger saw. */
			if (TrySource(source, NULL, 0, NULL, NULL, NULL))
				probe->queried = lappend(probe->queried, source);
			else
				source->read_here = false;
		}
	}
	if (probe->queried != NIL)
		probe->days = DayMapperCreate(ReadShopSettings()->time_zone);
	if (tracked != NIL)
		probe->changes = ChangeLogLook(tracked);
	return probe;
}

void
ProbeChanges(Probe *probe, int n, const int64 *ids, bool *pending)
{
	if (probe->changes != NULL)
		ChangeLogPending(probe->changes, n, ids, pending);
	else
		memset(pending, 0, n * sizeof(bool));
}

bool
ProbeAllChanged(const Probe *probe)
{
	return probe->changes != NULL && probe->shared && ChangeLogAll(probe->changes);
}

bool
ProbeAheadPays(const Probe *probe)
{
	return probe->changes != NULL && ChangeLogIsLong();
}

void
ProbeOrders(Probe *probe, int n, const int64 *ids, const DateADT *after, bool *ordered, bool *pending,
			TimestampTz *checked_at)
{
	ListCell   *cell;

	memset(ordered, 0, n * sizeof(bool));
	foreach(cell, probe->queried)
	{
		Source	   *source = lfirst(cell);

		if (TrySource(source, probe->days, n, ids, after, ordered))
			continue;
		/* Nor will it be the next time. */
		probe->checked_at = Min(probe->checked_at, source->last_read);
		probe->queried = foreach_delete_current(probe->queried, cell);
	}
	ProbeChanges(probe, n, ids, pending);
	for (int i = 0; i < n; i++)
		checked_at[i] = probe->checked_at;
}
