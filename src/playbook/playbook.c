/*
 * playbook.c
 *		What a shop writes of its playbooks.
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
#include "utils/timestamp.h"

#include "common/spi.h"
#include "playbook/playbook.h"

PG_FUNCTION_INFO_V1(custseg_playbook_edit);

/* Columns of custseg.playbook that are not for UPDATE. */
static const char *const kept_columns[] = {"enabled", "enabled_at", "dry_run_at", "version"};

static bool
BoolColumn(HeapTuple tuple, TupleDesc desc, const char *name)
{
	bool		isnull;
	Datum		value = SPI_getbinval(tuple, desc, SPI_fnumber(desc, name), &isnull);

	return !isnull && DatumGetBool(value);
}

Datum
custseg_playbook_edit(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	TupleDesc	desc;
	HeapTuple	old;
	int			column;
	Datum		version;
	bool		isnull;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_INSTEAD(data->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("custseg.playbook_edit() can only be called as an INSTEAD OF trigger")));

	desc = RelationGetDescr(data->tg_relation);
	old = data->tg_trigtuple;

	if (TRIGGER_FIRED_BY_DELETE(data->tg_event))
	{
		if (BoolColumn(old, desc, "enabled"))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_IN_USE),
					 errmsg("playbook \"%s\" is enabled", SPI_getvalue(old, desc, SPI_fnumber(desc, "playbook"))),
					 errhint("Switch it off with custseg.disable() first.")));
		return PointerGetDatum(old);
	}

	for (int i = 0; i < lengthof(kept_columns); i++)
	{
		bool		oldnull = true,
					newnull;
		Datum		oldvalue = (Datum) 0,
					newvalue;
		Form_pg_attribute att;

		column = SPI_fnumber(desc, kept_columns[i]);
		att = TupleDescAttr(desc, column - 1);
		newvalue = SPI_getbinval(TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? data->tg_newtuple : old,
								 desc, column, &newnull);
		if (TRIGGER_FIRED_BY_UPDATE(data->tg_event))
			oldvalue = SPI_getbinval(old, desc, column, &oldnull);
		if (oldnull != newnull ||
			(!newnull && !datum_image_eq(oldvalue, newvalue, att->attbyval, att->attlen)))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("column \"%s\" of view \"playbook\" cannot be set", kept_columns[i]),
					 errhint("Use custseg.dry_run(), custseg.enable() and custseg.disable(); the version counts itself.")));
	}
	if (!TRIGGER_FIRED_BY_UPDATE(data->tg_event))
		return PointerGetDatum(old);

	column = SPI_fnumber(desc, "version");
	version = Int32GetDatum(DatumGetInt32(SPI_getbinval(old, desc, column, &isnull)) + 1);
	isnull = false;
	return PointerGetDatum(heap_modify_tuple_by_cols(data->tg_newtuple, desc, 1, &column, &version, &isnull));
}

bool
PlaybookIsEnabled(const char *playbook, bool *tried)
{
	Oid			types[] = {TEXTOID};
	Datum		values[] = {CStringGetTextDatum(playbook)};

	SpiRun("SELECT enabled, dry_run_at IS NOT NULL FROM custseg.playbook WHERE playbook = $1",
		   1, types, values, NULL);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("playbook \"%s\" does not exist", playbook),
				 errhint("See the view custseg.playbook for those that do.")));
	*tried = SpiInt64(0, 2, 0) != 0;
	return SpiInt64(0, 1, 0) != 0;
}

void
PlaybookNote(const char *playbook, const char *column, Datum value, Oid type)
{
	Oid			types[] = {TEXTOID, type};
	Datum		values[] = {CStringGetTextDatum(playbook), value};

	SpiRun(psprintf("INSERT INTO custseg.playbook_choice (playbook, %s) VALUES ($1, $2)"
					" ON CONFLICT (playbook) DO UPDATE SET %s = EXCLUDED.%s",
					quote_identifier(column), quote_identifier(column), quote_identifier(column)),
		   2, types, values, NULL);
}
