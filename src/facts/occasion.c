/*
 * occasion.c
 *		What happened to some customers lately, one by one, from the source itself.
 *
 * A timeline knows how often something happened on a day, and that is all a label
 * needs. Who is to answer a ticket has to know which, and whether it is still
 * open. That stands in the shop's table and changes there; so it is read when it
 * is asked for, of the customers in question, and not stored.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "common/attempt.h"
#include "common/guard.h"
#include "common/ids.h"
#include "common/settings.h"
#include "common/spi.h"
#include "common/stream.h"
#include "facts/event.h"
#include "facts/occasion.h"
#include "person/identity.h"
#include "person/person.h"
#include "profile/status.h"
#include "source/follow.h"
#include "source/keys.h"
#include "source/read.h"

PG_FUNCTION_INFO_V1(custseg_occasions);

#define LONGEST_WAIT	1000	/* ms, for a lock */
#define MOST_ASKED		1000	/* customers */

/* What is read, column by column. */
enum
{
	PLACE_CUSTOMER,
	PLACE_AT,
	PLACE_EVENT,
	PLACE_REF,
	PLACE_CLOSED,
	PLACE_STATUS,
};

typedef struct OccasionRead
{
	const Source *source;
	const KeyIndex *index;
	StatusCounts *statuses;		/* NULL: no status is mapped */
	TimestampTz since;
	TimestampTz until;
	MemoryContext row;
	void		(*found) (const Occasion *occasion, void *arg);
	void	   *arg;
} OccasionRead;

/* The event of that name, or the only one there is. */
static const SourceEvent *
EventNamed(const Source *source, const char *name)
{
	if (source->column[COLUMN_EVENT] == NULL)
		return &source->events[0];
	for (int i = 0; name && i < source->n_events; i++)
		if (strcmp(source->events[i].name, name) == 0)
			return &source->events[i];
	return NULL;
}

static char *
TextAt(const TupleTableSlot *slot, int place)
{
	return slot->tts_isnull[place] ? NULL : TextDatumGetCString(slot->tts_values[place]);
}

static bool
IsClosed(const TupleTableSlot *slot, TimestampTz until)
{
	TimestampTz closed;

	if (slot->tts_isnull[PLACE_CLOSED])
		return false;
	closed = DatumGetTimestampTz(slot->tts_values[PLACE_CLOSED]);
	return closed <= until && !TIMESTAMP_IS_NOEND(closed);
}

/* What the row shows counts, whatever it said to the conditions. */
static void
OccasionRow(TupleTableSlot *slot, void *arg)
{
	const OccasionRead *read = arg;
	MemoryContext old = MemoryContextSwitchTo(read->row);
	Occasion	occasion = {.event = EventNamed(read->source, TextAt(slot, PLACE_EVENT))};
	char	   *key = TextAt(slot, PLACE_CUSTOMER);
	int			at;

	if (occasion.event && key && !slot->tts_isnull[PLACE_AT] &&
		(read->statuses == NULL || StatusCount(read->statuses, slot->tts_isnull[PLACE_STATUS], slot->tts_values[PLACE_STATUS])))
	{
		occasion.at = DatumGetTimestampTz(slot->tts_values[PLACE_AT]);
		occasion.ref = TextAt(slot, PLACE_REF);
		occasion.closed = IsClosed(slot, read->until);
		if (!TIMESTAMP_NOT_FINITE(occasion.at) && occasion.at >= read->since && occasion.at <= read->until)
			for (int i = KeyIndexFirst(read->index, key, &at); i >= 0; i = KeyIndexNext(read->index, &at))
			{
				occasion.customer = i;
				read->found(&occasion, read->arg);
			}
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(read->row);
}

/* A column of moments as one of timestamptz. */
static char *
MomentOf(const Source *source, MappedColumn column)
{
	const char *name = SourceColumn(source, column);

	if (source->type[column] == BOOLOID)
		return psprintf("CASE WHEN %s THEN '-infinity'::pg_catalog.timestamptz END", name);
	if (source->type[column] == TIMESTAMPTZOID)
		return pstrdup(name);
	return psprintf("(%s::pg_catalog.timestamp AT TIME ZONE %s)", name, quote_literal_cstr(ReadShopSettings()->time_zone));
}

static char *
AsText(const Source *source, MappedColumn column)
{
	return source->column[column] ? psprintf("%s::pg_catalog.text", SourceColumn(source, column)) : "NULL::pg_catalog.text";
}

/* Parameters: keys, from when and until when, accepted statuses. */
static char *
OccasionStatement(const Source *source)
{
	char	   *at = MomentOf(source, COLUMN_AT);
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT %s::pg_catalog.text, %s, %s, %s, %s, %s FROM %s WHERE %s"
					 " AND %s OPERATOR(pg_catalog.>=) $2 AND %s OPERATOR(pg_catalog.<=) $3%s",
					 SourceColumn(source, COLUMN_CUSTOMER), at, AsText(source, COLUMN_EVENT), AsText(source, COLUMN_REF),
					 source->column[COLUMN_CLOSED] ? MomentOf(source, COLUMN_CLOSED) : "NULL::pg_catalog.timestamptz",
					 AsText(source, COLUMN_STATUS), SourceRelation(source), SourceCustomerIsAny(source, 1),
					 at, at, SourceFilter(source, 4, " AND "));
	return sql.data;
}

void
SourceReadOccasions(Source *source, int n, const int64 *ids, TimestampTz since, TimestampTz until,
					void (*found) (const Occasion *occasion, void *arg), void *arg)
{
	OccasionRead read = {.source = source,.since = since,.until = until,.found = found,.arg = arg};
	Oid			types[4] = {InvalidOid, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTARRAYOID};
	Datum		values[4] = {(Datum) 0, TimestampTzGetDatum(since), TimestampTzGetDatum(until), source->accepted};
	char	  **keys;
	int			level;

	(void) SourceFollow(source);
	SourceOpen(source);
	keys = IdentityKeys(source, n, ids);
	read.index = KeyIndexCreate(n, keys);
	values[0] = KeyArray(source, n, keys, &types[0]);
	read.row = AllocSetContextCreate(CurrentMemoryContext, "custseg occasion", ALLOCSET_SMALL_SIZES);
	if (source->column[COLUMN_STATUS])
		read.statuses = StatusCountsCreate(CurrentMemoryContext, DatumGetArrayTypeP(source->accepted));
	level = PlanBySortedIndexBegin();
	SourceQuery(source, OccasionStatement(source), source->column[COLUMN_STATUS] ? 4 : 3, types, values,
				StreamTo(OccasionRow, &read));
	PlanByIndexEnd(level);
	MemoryContextDelete(read.row);
}

/* --------------------------------------------------------------------- SQL */

/* A look at one source, for custseg.occasions(). */
typedef struct OccasionLook
{
	Source	   *source;
	int			n;
	const int64 *ids;			/* accounts */
	const int64 *persons;		/* whom of those asked for each belongs to */
	TimestampTz since;
	TimestampTz until;
	ReturnSetInfo *result;
} OccasionLook;

static void
ReturnOccasion(const Occasion *occasion, void *arg)
{
	const OccasionLook *look = arg;
	Datum		values[6];
	bool		nulls[6] = {false};

	values[0] = Int64GetDatum(look->persons[occasion->customer]);
	values[1] = Int32GetDatum(look->source->source_id);
	values[2] = CStringGetTextDatum(occasion->event->name);
	values[3] = TimestampTzGetDatum(occasion->at);
	values[4] = occasion->ref ? CStringGetTextDatum(occasion->ref) : (Datum) 0;
	nulls[4] = occasion->ref == NULL;
	values[5] = BoolGetDatum(occasion->closed);
	nulls[5] = look->source->column[COLUMN_CLOSED] == NULL;
	tuplestore_putvalues(look->result->setResult, look->result->setDesc, values, nulls);
}

static void
LookForOccasions(void *arg)
{
	OccasionLook *look = arg;

	SourceReadOccasions(look->source, look->n, look->ids, look->since, look->until, ReturnOccasion, look);
}

/* A source that cannot be read is said, and the others are looked at. */
static void
LookAt(OccasionLook *look)
{
	int			level = LimitLockWait(LONGEST_WAIT);
	ErrorData  *error = Attempt(LookForOccasions, look);

	AtEOXact_GUC(false, level);
	if (error)
		ereport(WARNING,
				(errcode(error->sqlerrcode),
				 errmsg("could not read the events of %s: %s", SourceRelation(look->source), error->message),
				 error->hint ? errhint("%s", error->hint) : 0));
}

Datum
custseg_occasions(PG_FUNCTION_ARGS)
{
	OccasionLook look = {.since = PG_GETARG_TIMESTAMPTZ(1),.until = PG_GETARG_TIMESTAMPTZ(2)};
	int64	   *persons;
	int64	   *owner_ids;
	int		   *owners;
	int			n;
	Guard		guard;
	ListCell   *cell;

	persons = IdsOfArray(PG_GETARG_ARRAYTYPE_P(0), MOST_ASKED, &n);
	InitMaterializedSRF(fcinfo, 0);
	look.result = (ReturnSetInfo *) fcinfo->resultinfo;
	OwnerBegin(&guard);
	look.ids = MembersOf(persons, n, &look.n, &owners);
	owner_ids = palloc(Max(look.n, 1) * sizeof(int64));
	for (int i = 0; i < look.n; i++)
		owner_ids[i] = persons[i < n ? i : owners[i - n]];
	look.persons = owner_ids;
	foreach(cell, ListEventSources())
	{
		look.source = lfirst(cell);
		/* Lines of orders are events too, and nothing that somebody answers. */
		if (look.source->kind == SOURCE_EVENTS)
			LookAt(&look);
	}
	OwnerEnd(&guard);
	return (Datum) 0;
}
