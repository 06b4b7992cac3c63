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
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/rel.h"
#include "utils/typcache.h"

#include "common/guard.h"
#include "common/spi.h"

PG_FUNCTION_INFO_V1(custseg_overlay);

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
	Oid			types[64];
	Datum		args[64];
	char		nulls[64];
	int			nargs = 0;
	const char *table;
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
	if (desc->natts > lengthof(args))
		elog(ERROR, "view \"%s\" has too many columns", RelationGetRelationName(data->tg_relation));
	table = quote_qualified_identifier("custseg", trigger->tgargs[0]);

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

		args[nargs] = heap_getattr(new ? new : old, attno, desc, &isnull);
		nulls[nargs] = isnull ? 'n' : ' ';
		types[nargs] = att->atttypid;
		if (TRIGGER_FIRED_BY_INSERT(data->tg_event) && isnull)
			continue;
		nargs++;

		appendStringInfo(&columns, "%s%s", columns.len ? ", " : "", name);
		appendStringInfo(&values, "%s$%d", values.len ? ", " : "", nargs);
		if (key)
			appendStringInfo(&match, "%s%s = $%d", match.len ? " AND " : "", name, nargs);
		else
			appendStringInfo(&sets, "%s%s = EXCLUDED.%s", sets.len ? ", " : "", name, name);
	}

	if (nargs == 0 && TRIGGER_FIRED_BY_INSERT(data->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("a new row of view \"%s\" must have a value for column \"%s\"",
						RelationGetRelationName(data->tg_relation), trigger->tgargs[1])));

	SPI_connect();
	GuardEnter(&guard, ExtensionOwner());
	if (TRIGGER_FIRED_BY_DELETE(data->tg_event))
		SpiRun(psprintf("DELETE FROM %s WHERE %s", table, match.len ? match.data : "true"),
			   nargs, types, args, nulls);
	else if (TRIGGER_FIRED_BY_INSERT(data->tg_event))
		SpiRun(psprintf("INSERT INTO %s (%s) VALUES (%s)", table, columns.data, values.data),
			   nargs, types, args, nulls);
	else if (sets.len > 0)
	{
		StringInfoData keys;

		initStringInfo(&keys);
		for (int i = 1; i < trigger->tgnargs; i++)
			appendStringInfo(&keys, "%s%s", i > 1 ? ", " : "", quote_identifier(trigger->tgargs[i]));
		SpiRun(psprintf("INSERT INTO %s (%s) VALUES (%s) ON CONFLICT (%s) DO UPDATE SET %s",
						table, columns.data, values.data,
						keys.len ? keys.data : "one", sets.data),
			   nargs, types, args, nulls);
	}
	GuardLeave(&guard);
	SPI_finish();

	return PointerGetDatum(new ? new : old);
}
