/*
 * overlay.c
 *		Defaults in code, changes in a table, one view over both.
 *
 * What custseg ships (settings, tier policy, channels, templates, playbooks)
 * is written in the views themselves; a table beside each holds only what the
 * shop changed. So an upgrade can improve a default without touching a shop
 * that chose its own value, and a dump carries the choices alone.
 *
 * This is the INSTEAD OF trigger of all those views. Its arguments are the
 * table and its key columns. An UPDATE stores the columns that changed, with
 * NULL meaning "back to the default"; an INSERT stores a row of the shop's
 * own; a DELETE forgets what the shop stored.
 *
 * What a column may hold is said by check constraints of the table, and the
 * comment of such a constraint says it in a sentence: that is what somebody
 * reads who sets anything else.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_type.h"
#include "commands/comment.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/typcache.h"

#include "common/attempt.h"
#include "common/guard.h"
#include "common/spi.h"

PG_FUNCTION_INFO_V1(custseg_overlay);

#define MOST_COLUMNS 64

static bool
IsKey(Trigger *trigger, const char *name)
{
	for (int i = 1; i < trigger->tgnargs; i++)
		if (strcmp(trigger->tgargs[i], name) == 0)
			return true;
	return false;
}

static bool
SameValue(HeapTuple a, HeapTuple b, TupleDesc desc, int attno)
{
	Form_pg_attribute att = TupleDescAttr(desc, attno - 1);
	bool		anull,
				bnull;
	Datum		avalue = heap_getattr(a, attno, desc, &anull);
	Datum		bvalue = heap_getattr(b, attno, desc, &bnull);

	if (anull || bnull)
		return anull == bnull;
	return datum_image_eq(avalue, bvalue, att->attbyval, att->attlen);
}

/* A statement that stores a choice, and its parameters. */
typedef struct Choice
{
	const char *view;
	const char *table;
	const char *statement;
	bool		update;
	int			nargs;
	const char *columns[MOST_COLUMNS];
	Oid			types[MOST_COLUMNS];
	Datum		args[MOST_COLUMNS];
	char		nulls[MOST_COLUMNS];
} Choice;

static void
StoreChoice(void *arg)
{
	Choice	   *choice = arg;

	SpiRun(choice->statement, choice->nargs, choice->types, choice->args, choice->nulls);
}

/* ", not 7": what a column was to be set to; empty where it was none. */
static const char *
NotThis(const Choice *choice, const char *column)
{
	for (int i = 0; column != NULL && i < choice->nargs; i++)
	{
		Oid			output;
		bool		varlena;
		char	   *value;
		const char *quote;

		if (strcmp(choice->columns[i], column) != 0 || choice->nulls[i] == 'n')
			continue;
		getTypeOutputInfo(choice->types[i], &output, &varlena);
		value = OidOutputFunctionCall(output, choice->args[i]);
		quote = choice->types[i] == TEXTOID ? "\"" : "";
		return psprintf(", not %s%.*s%s", quote, pg_mbcliplen(value, strlen(value), NAMEDATALEN), value,
						quote);
	}
	return "";
}

/* Say in words what a value of a column has to be, where an error tells which it had not to be. */
static void
ExplainRefusal(const Choice *choice, ErrorData *error)
{
	Oid			table;
	Oid			constraint;
	Bitmapset  *columns;
	int			column;
	char	   *sentence;

	if (error->table_name == NULL || strcmp(error->table_name, choice->table) != 0 ||
		error->constraint_name == NULL)
		return;
	if (error->sqlerrcode == ERRCODE_UNIQUE_VIOLATION)
		ereport(ERROR,
				(errcode(ERRCODE_UNIQUE_VIOLATION),
				 errmsg("view \"%s\" has such a row already", choice->view),
				 errhint("Change it with UPDATE.")));
	if (error->sqlerrcode != ERRCODE_CHECK_VIOLATION)
		return;

	table = get_relname_relid(choice->table, get_namespace_oid("custseg", false));
	columns = get_relation_constraint_attnos(table, error->constraint_name, true, &constraint);
	sentence = OidIsValid(constraint) ? GetComment(constraint, ConstraintRelationId, 0) : NULL;
	if (sentence == NULL)
		return;
	if (!bms_get_singleton_member(columns, &column))
		column = -1;
	ereport(ERROR,
			(errcode(ERRCODE_CHECK_VIOLATION),
			 errmsg("%s%s", sentence,
					NotThis(choice, column < 0 ? NULL :
							get_attname(table, column + FirstLowInvalidHeapAttributeNumber, true))),
			 choice->update ? errhint("Set a column to NULL to go back to its default.") : 0));
}

Datum
custseg_overlay(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	Trigger    *trigger;
	TupleDesc	desc;
	HeapTuple	old;
	HeapTuple	new;
	StringInfoData columns,
				values,
				sets,
				match;
	Choice		choice = {0};
	const char *table;
	ErrorData  *error;
	Guard		guard;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_INSTEAD(data->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("custseg.overlay() can only be called as an INSTEAD OF trigger")));

	trigger = data->tg_trigger;
	desc = RelationGetDescr(data->tg_relation);
	old = data->tg_trigtuple;
	new = TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? data->tg_newtuple :
		TRIGGER_FIRED_BY_DELETE(data->tg_event) ? NULL : data->tg_trigtuple;
	if (desc->natts > MOST_COLUMNS)
		elog(ERROR, "view \"%s\" has too many columns", RelationGetRelationName(data->tg_relation));
	choice.view = RelationGetRelationName(data->tg_relation);
	choice.table = trigger->tgargs[0];
	choice.update = TRIGGER_FIRED_BY_UPDATE(data->tg_event);
	table = quote_qualified_identifier("custseg", choice.table);

	initStringInfo(&columns);
	initStringInfo(&values);
	initStringInfo(&sets);
	initStringInfo(&match);

	for (int attno = 1; attno <= desc->natts; attno++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, attno - 1);
		const char *name = quote_identifier(NameStr(att->attname));
		bool		key = IsKey(trigger, NameStr(att->attname));
		bool		isnull;
		int			nargs;

		if (TRIGGER_FIRED_BY_UPDATE(data->tg_event))
		{
			bool		same = SameValue(old, new, desc, attno);

			if (key && !same)
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 errmsg("column \"%s\" of view \"%s\" identifies the row and cannot be changed",
								NameStr(att->attname), RelationGetRelationName(data->tg_relation)),
						 errhint("Insert a new row instead.")));
			if (!key && same)
				continue;
		}
		else if (TRIGGER_FIRED_BY_DELETE(data->tg_event) && !key)
			continue;

		nargs = choice.nargs;
		choice.columns[nargs] = NameStr(att->attname);
		choice.args[nargs] = heap_getattr(new ? new : old, attno, desc, &isnull);
		choice.nulls[nargs] = isnull ? 'n' : ' ';
		choice.types[nargs] = att->atttypid;
		if (TRIGGER_FIRED_BY_INSERT(data->tg_event) && isnull)
		{
			if (key)
				ereport(ERROR,
						(errcode(ERRCODE_NOT_NULL_VIOLATION),
						 errmsg("a new row of view \"%s\" must have a value for column \"%s\"",
								choice.view, NameStr(att->attname))));
			continue;
		}
		nargs = ++choice.nargs;

		appendStringInfo(&columns, "%s%s", columns.len ? ", " : "", name);
		appendStringInfo(&values, "%s$%d", values.len ? ", " : "", nargs);
		if (key)
			appendStringInfo(&match, "%s%s = $%d", match.len ? " AND " : "", name, nargs);
		else
			appendStringInfo(&sets, "%s%s = EXCLUDED.%s", sets.len ? ", " : "", name, name);
	}

	if (TRIGGER_FIRED_BY_DELETE(data->tg_event))
		choice.statement = psprintf("DELETE FROM %s WHERE %s", table, match.len ? match.data : "true");
	else if (TRIGGER_FIRED_BY_INSERT(data->tg_event))
		choice.statement = psprintf("INSERT INTO %s (%s) VALUES (%s)", table, columns.data, values.data);
	else if (sets.len > 0)
	{
		StringInfoData keys;

		initStringInfo(&keys);
		for (int i = 1; i < trigger->tgnargs; i++)
			appendStringInfo(&keys, "%s%s", i > 1 ? ", " : "", quote_identifier(trigger->tgargs[i]));
		choice.statement = psprintf("INSERT INTO %s (%s) VALUES (%s) ON CONFLICT (%s) DO UPDATE SET %s",
									table, columns.data, values.data,
									keys.len ? keys.data : "one", sets.data);
	}
	else
		return PointerGetDatum(new);

	OwnerBegin(&guard);
	error = Attempt(StoreChoice, &choice);
	if (error != NULL)
	{
		ExplainRefusal(&choice, error);
		ReThrowError(error);
	}
	OwnerEnd(&guard);

	return PointerGetDatum(new ? new : old);
}
