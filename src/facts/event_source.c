/*
 * event_source.c
 *		Adding a source of events.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "common/guard.h"
#include "common/spi.h"
#include "facts/event.h"
#include "source/register.h"
#include "track/add_source.h"

PG_FUNCTION_INFO_V1(custseg_add_events);

/* The arguments of custseg.add_events. */
enum
{
	ARG_RELATION,
	ARG_CUSTOMER,
	ARG_AT,
	ARG_EVENT,
	ARG_EVENTS,
	ARG_NAMED,
	ARG_VALUE,
	ARG_MEANING,
	ARG_MEANINGS,
	ARG_STATUS,
	ARG_ACCEPTED,
	ARG_NAMESPACE,
	ARG_TRACK,
	ARG_RESCAN_EVERY,
	ARG_REF,
	ARG_CLOSED
};

static void
CheckName(const char *name)
{
	if (name[0] == '\0' || strlen(name) > EVENT_MAX_LENGTH)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the name of an event must have 1 to %d bytes", EVENT_MAX_LENGTH),
				 errhint("List what the event column says, for example events => ARRAY['login', 'help'].")));
}

/* The names that the arguments list, as a text[]. */
static ArrayType *
ListedEvents(FunctionCallInfo fcinfo)
{
	Datum		one;
	ArrayType  *events;
	Datum	   *names;
	bool	   *nulls;
	int			n;

	if (PG_ARGISNULL(ARG_EVENT) != PG_ARGISNULL(ARG_EVENTS) || PG_ARGISNULL(ARG_EVENT) == PG_ARGISNULL(ARG_NAMED))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("either event and events must be given, or named"),
				 errhint("For example event => 'action', events => ARRAY['login', 'help'] where a column says what happened,"
						 " or named => 'complaint' where every row is the same.")));
	if (!PG_ARGISNULL(ARG_NAMED))
	{
		one = PG_GETARG_DATUM(ARG_NAMED);
		CheckName(TextDatumGetCString(one));
		return construct_array(&one, 1, TEXTOID, -1, false, TYPALIGN_INT);
	}
	events = PG_GETARG_ARRAYTYPE_P(ARG_EVENTS);
	deconstruct_array(events, TEXTOID, -1, false, TYPALIGN_INT, &names, &nulls, &n);
	if (n == 0 || n > MOST_EVENTS || array_contains_nulls(events))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("events must list 1 to %d names, and no null", MOST_EVENTS),
				 errhint("For example events => ARRAY['login', 'help'].")));
	for (int i = 0; i < n; i++)
		CheckName(TextDatumGetCString(names[i]));
	return construct_array(names, n, TEXTOID, -1, false, TYPALIGN_INT);
}

/* The meanings there are, for a hint. */
static char *
MeaningList(void)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; event_meanings[i]; i++)
		appendStringInfo(&list, "%s%s", i > 0 ? ", " : "", event_meanings[i]);
	return list.data;
}

/* Say what the events mean: an object of names. Inside SPI. */
static Jsonb *
MeaningsOf(FunctionCallInfo fcinfo, ArrayType *events)
{
	Jsonb	   *meanings = PG_ARGISNULL(ARG_MEANINGS) ? NULL : PG_GETARG_JSONB_P(ARG_MEANINGS);
	Oid			types[3] = {TEXTARRAYOID, TEXTOID, JSONBOID};
	Datum		values[3] = {PointerGetDatum(events), PG_ARGISNULL(ARG_MEANING) ? (Datum) 0 : PG_GETARG_DATUM(ARG_MEANING),
	PointerGetDatum(meanings)};
	const char *nulls = PG_ARGISNULL(ARG_MEANING) ? " n " : "   ";
	bool		isnull;

	if (PG_ARGISNULL(ARG_MEANING) && meanings == NULL)
		return NULL;
	if (!PG_ARGISNULL(ARG_MEANING))
	{
		if (meanings != NULL || ArrayGetNItems(ARR_NDIM(events), ARR_DIMS(events)) > 1)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("meaning is for a source of one event"),
					 errhint("Of several, say meanings => '{\"login\": \"login\", \"refused\": \"complaint\"}'.")));
		SpiRun("SELECT pg_catalog.jsonb_build_object(($1)[1], $2)", 2, types, values, NULL);
		meanings = DatumGetJsonbPCopy(SpiField(0, 1, &isnull));
	}
	else if (!JB_ROOT_IS_OBJECT(meanings))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("meanings must be an object of events"),
				 errhint("For example meanings => '{\"login\": \"login\", \"refused\": \"complaint\"}'.")));
	values[2] = PointerGetDatum(meanings);
	SpiRun("SELECT m.key FROM pg_catalog.jsonb_each_text($3) m WHERE m.key <> ALL ($1) ORDER BY 1", 3, types, values, nulls);
	if (SPI_processed > 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" has a meaning and is no event of the source", SpiText(0, 1)),
				 errhint("List it in events too.")));
	SpiRun("SELECT m.value FROM pg_catalog.jsonb_each_text($3) m ORDER BY 1", 3, types, values, nulls);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		const char *meaning = SpiText(row, 1);
		bool		known = meaning == NULL;

		for (int i = 0; event_meanings[i] && !known; i++)
			known = strcmp(meaning, event_meanings[i]) == 0;
		if (!known)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("\"%s\" is no meaning of an event", meaning),
					 errhint("The meanings are %s; an event that is none of them has no meaning.", MeaningList())));
	}
	return meanings;
}

/* What the source can tell of. */
static void
StoreEvents(int source_id, ArrayType *events, Jsonb *meanings)
{
	Oid			types[3] = {INT4OID, TEXTARRAYOID, JSONBOID};
	Datum		values[3] = {Int32GetDatum(source_id), PointerGetDatum(events), PointerGetDatum(meanings)};
	const char *nulls = meanings ? "   " : "  n";

	SpiRun("SELECT e.event FROM pg_catalog.unnest($2) AS e (event) GROUP BY 1 HAVING count(*) > 1 ORDER BY 1",
		   3, types, values, nulls);
	if (SPI_processed > 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("events lists \"%s\" twice", SpiText(0, 1)),
				 errhint("List each event once.")));
	SpiRun("INSERT INTO custseg.event (source_id, event, meaning)"
		   " SELECT $1, e.event, m.value FROM pg_catalog.unnest($2) WITH ORDINALITY AS e (event, n)"
		   " LEFT JOIN pg_catalog.jsonb_each_text($3) m ON m.key = e.event ORDER BY e.n", 3, types, values, nulls);
}

/* One table may tell of several things, by several columns, but of none twice. */
static void
CheckOnce(const Source *source, int source_id)
{
	Oid			types[2] = {INT4OID, OIDOID};
	Datum		values[2] = {Int32GetDatum(source_id), ObjectIdGetDatum(source->relation)};

	SpiRun("SELECT m.source_id, e.event, m.relation::text FROM custseg.source_mapping m JOIN custseg.event e USING (source_id)"
		   " JOIN custseg.event n ON n.source_id = $1 AND n.event = e.event"
		   " WHERE m.kind = 'events' AND m.relation = $2 AND m.source_id <> $1 AND NOT EXISTS"
		   "  (SELECT FROM custseg.source_column a WHERE a.source_id = $1 AND a.role IN ('customer', 'at', 'event')"
		   "   AND NOT EXISTS (SELECT FROM custseg.source_column b WHERE b.source_id = m.source_id"
		   "    AND (b.role, b.name, b.column_name) = (a.role, a.name, a.column_name)))"
		   " ORDER BY 1, e.event_id LIMIT 1", 2, types, values, NULL);
	if (SPI_processed > 0)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("%s is already a source of the event \"%s\"", SpiText(0, 3), SpiText(0, 2)),
				 errhint("See custseg.source and custseg.event; drop_source(%d) forgets it.", (int) SpiInt64(0, 1, 0))));
}

Datum
custseg_add_events(PG_FUNCTION_ARGS)
{
	Source		source = {.kind = SOURCE_EVENTS};
	ArrayType  *events;
	Guard		guard;
	int			id;

	source.relation = RelationArgument(fcinfo, ARG_RELATION, "the table that says what happened, for example 'crm.complaint'");
	source.column[COLUMN_CUSTOMER] = NameArgument(fcinfo, ARG_CUSTOMER, "customer", true);
	source.column[COLUMN_AT] = NameArgument(fcinfo, ARG_AT, "at", true);
	source.column[COLUMN_EVENT] = NameArgument(fcinfo, ARG_EVENT, "event", false);
	source.column[COLUMN_VALUE] = NameArgument(fcinfo, ARG_VALUE, "value", false);
	source.column[COLUMN_REF] = NameArgument(fcinfo, ARG_REF, "ref", false);
	source.column[COLUMN_CLOSED] = NameArgument(fcinfo, ARG_CLOSED, "closed", false);
	FilterArguments(fcinfo, ARG_STATUS, ARG_ACCEPTED, &source);
	source.namespace = PG_ARGISNULL(ARG_NAMESPACE) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(ARG_NAMESPACE));
	events = ListedEvents(fcinfo);

	id = RegisterSource(&source);
	OwnerBegin(&guard);
	StoreEvents(id, events, MeaningsOf(fcinfo, events));
	CheckOnce(&source, id);
	OwnerEnd(&guard);
	FollowArguments(fcinfo, ARG_TRACK, ARG_RESCAN_EVERY, id);
	PG_RETURN_INT32(id);
}
