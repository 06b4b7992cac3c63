/*
 * playbook.c
 *		Switching playbooks on and off.
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

#include "common/guard.h"
#include "common/settings.h"
#include "common/spi.h"
#include "recall/follow.h"
#include "recall/input.h"
#include "recall/lease.h"
#include "recall/message.h"
#include "recall/playbook.h"
#include "recall/recall.h"

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

static Datum
Enable(FunctionCallInfo fcinfo, int first, TimestampTz as_of)
{
	char	   *playbook = ArgText(fcinfo, first, "playbook");
	bool		force = !PG_ARGISNULL(first + 1) && PG_GETARG_BOOL(first + 1);
	MemoryContext caller = CurrentMemoryContext;
	Oid			types[] = {TEXTOID};
	Datum		values[] = {CStringGetTextDatum(playbook)};
	ShopSettings *settings;
	DateADT		day;
	int64		episodes,
				controls,
				tasks;
	bool		tried;
	text	   *result;
	Guard		guard;

	SPI_connect();
	GuardEnter(&guard, ExtensionOwner());
	RecallLock();
	settings = ReadShopSettings();
	day = ShopDay(as_of, settings->time_zone);

	if (PlaybookIsEnabled(playbook, &tried))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("playbook \"%s\" is enabled already", playbook)));
	if (!tried && !force)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("playbook \"%s\" has not been looked at yet", playbook),
				 errhint("See with SELECT custseg.dry_run(%s) what it would do, or pass force => true.",
						 quote_literal_cstr(playbook))));

	PlaybookNote(playbook, "enabled", BoolGetDatum(true), BOOLOID);
	PlaybookNote(playbook, "enabled_at", TimestampTzGetDatum(as_of), TIMESTAMPTZOID);
	OpenBacklog(playbook, as_of, day, &episodes, &controls);
	RecallPlanAll(0, as_of, day);

	SpiRun("SELECT count(*) FROM custseg.task WHERE playbook = $1 AND state IN ('open', 'claimed')",
		   1, types, values, NULL);
	tasks = SpiInt64(0, 1, 0);
	MemoryContextSwitchTo(caller);
	result = cstring_to_text(psprintf(Words(settings->chinese,
											"方案%s已启用：从积压中开启%lld个沉默周期，其中对照组%lld个；现有%lld个待办任务",
											"playbook %s is on: %lld episodes opened from the backlog, %lld of them controls; %lld tasks to do"),
									  playbook, (long long) episodes, (long long) controls, (long long) tasks));
	GuardLeave(&guard);
	SPI_finish();
	PG_RETURN_TEXT_P(result);
}

static Datum
Disable(FunctionCallInfo fcinfo, int first, TimestampTz as_of)
{
	char	   *playbook = ArgText(fcinfo, first, "playbook");
	MemoryContext caller = CurrentMemoryContext;
	Oid			types[] = {TEXTOID, TIMESTAMPTZOID};
	Datum		values[] = {CStringGetTextDatum(playbook), TimestampTzGetDatum(as_of)};
	int64		tasks;
	bool		chinese;
	bool		tried;
	text	   *result;
	Guard		guard;

	SPI_connect();
	GuardEnter(&guard, ExtensionOwner());
	RecallLock();
	chinese = ReadShopSettings()->chinese;
	if (!PlaybookIsEnabled(playbook, &tried))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("playbook \"%s\" is not enabled", playbook)));

	PlaybookNote(playbook, "enabled", BoolGetDatum(false), BOOLOID);
	EndLeases(as_of);

	/*
	 * A task that a worker is just claiming is seen by claim() or the next
	 * plan, and so is an episode that one is just reporting on.
	 */
	SpiRun("WITH gone AS ("
		   "UPDATE custseg.task u SET state = 'withdrawn', outcome = 'disabled', closed_at = $2,"
		   " lease_until = NULL, wake_at = NULL,"
		   " slot = CASE WHEN u.token IS NOT NULL OR u.attempts > 0 THEN u.slot END"
		   " FROM (SELECT task_id FROM custseg.task"
		   "  WHERE playbook = $1 AND (state = 'open' OR (state = 'claimed' AND lease_until <= $2))"
		   "  FOR UPDATE SKIP LOCKED) o"
		   " WHERE u.task_id = o.task_id RETURNING u.episode_id),"
		   "back AS ("
		   "UPDATE custseg.episode u SET state = 'waiting', reason = 'disabled'"
		   " FROM (SELECT e.episode_id FROM gone JOIN custseg.episode e USING (episode_id)"
		   "  WHERE e.state = 'contacting' FOR NO KEY UPDATE OF e SKIP LOCKED) o"
		   " WHERE u.episode_id = o.episode_id)"
		   "SELECT count(*) FROM gone", 2, types, values, NULL);
	tasks = SpiInt64(0, 1, 0);
	MemoryContextSwitchTo(caller);
	result = cstring_to_text(psprintf(Words(chinese,
											"方案%s已停用：撤回%lld个尚未领取的任务",
											"playbook %s is off: %lld tasks nobody had claimed withdrawn"),
									  playbook, (long long) tasks));
	GuardLeave(&guard);
	SPI_finish();
	PG_RETURN_TEXT_P(result);
}

CLOCK_AND_REPLAY(enable, Enable)
CLOCK_AND_REPLAY(disable, Disable)
