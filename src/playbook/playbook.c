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
#include "utils/array.h"
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

#define PLAYBOOK_COLUMNS \
	"b.playbook, b.enabled, b.dry_run_at IS NOT NULL, b.holdout, b.task_days, b.retry_days, b.max_attempts"

static void
PlaybookFromRow(uint64 row, Playbook *playbook)
{
	bool		isnull;

	playbook->name = SpiText(row, 1);
	playbook->enabled = SpiInt64(row, 2, 0) != 0;
	playbook->tried = SpiInt64(row, 3, 0) != 0;
	playbook->holdout = DatumGetFloat8(SpiField(row, 4, &isnull));
	playbook->task_days = (int) SpiInt64(row, 5, 0);
	playbook->retry_days = (int) SpiInt64(row, 6, 0);
	playbook->max_attempts = (int) SpiInt64(row, 7, 1);
}

bool
ReadPlaybook(const char *name, bool missing_ok, Playbook *playbook)
{
	Oid			types[] = {TEXTOID};
	Datum		values[] = {CStringGetTextDatum(name)};

	SpiRun("SELECT " PLAYBOOK_COLUMNS " FROM custseg.playbook b WHERE b.playbook = $1", 1, types, values, NULL);
	if (SPI_processed == 0)
	{
		if (missing_ok)
			return false;
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("playbook \"%s\" does not exist", name),
				 errhint("See the view custseg.playbook for those that do.")));
	}
	PlaybookFromRow(0, playbook);
	SPI_freetuptable(SPI_tuptable);
	return true;
}

Playbook *
ReadPlaybooksInUse(int *n)
{
	Playbook   *playbooks;

	*n = (int) SpiRun("SELECT " PLAYBOOK_COLUMNS " FROM custseg.playbook b WHERE b.enabled"
					  " ORDER BY b.playbook COLLATE \"C\"", 0, NULL, NULL, NULL);
	playbooks = palloc0(sizeof(Playbook) * Max(*n, 1));
	for (int i = 0; i < *n; i++)
		PlaybookFromRow(i, &playbooks[i]);
	SPI_freetuptable(SPI_tuptable);
	return playbooks;
}

Datum
PlaybookNames(const Playbook *playbooks, int n)
{
	Datum	   *names = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		names[i] = CStringGetTextDatum(playbooks[i].name);
	return PointerGetDatum(construct_array(names, n, TEXTOID, -1, false, TYPALIGN_INT));
}

Datum
PlaybooksInUse(void)
{
	static SPIPlanPtr kept = NULL;

	return SpiRunOne(SpiKeep(&kept, "SELECT ARRAY(SELECT b.playbook FROM custseg.playbook_choice b WHERE b.enabled)", 0, NULL));
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
