/*
 * refresh.c
 *		CALL custseg.refresh(): the pipeline.
 *
 * The stages, each in batches of one transaction:
 *
 *	0. settings		everybody, for the day evaluated last, when settings changed
 *					since (cause: setting)
 *	1. collect		sources to profiles, by comparison; customers whose profile
 *					changed are evaluated in the same transaction (cause: data)
 *	2. due			customers whose next_eval_at has come (cause: time)
 *	3. calibrate	new cut points, when the last are old
 *	4. evaluate		everybody, when the cut points changed (cause: calibration)
 *					or nobody was evaluated yet (no transitions: a baseline)
 *	5. recall		tasks for today, within capacity
 *	6. measure		conversions
 *
 * Each pass changes one thing alone, so that every transition has one true
 * cause: settings before the data move, data and time under the old cut points. What is still to be done
 * stands in custseg.refresh_state, never in memory alone: a run that dies at
 * any moment is followed by one that goes on from there.
 *
 * Only one run at a time: it holds a session lock, and that lock is what says
 * that a run is alive.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/lock.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/array.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "common/home.h"
#include "common/spi.h"
#include "measure/measure.h"
#include "recall/recall.h"
#include "refresh/calibrate.h"
#include "refresh/collect.h"
#include "refresh/run.h"

PG_FUNCTION_INFO_V1(custseg_refresh);

/* What the last refresh left; see custseg.refresh_state. */
typedef struct State
{
	bool		exists;
	char	   *home;
	bool		has_day;
	DateADT		day;
	char	   *time_zone;
	char	   *sources;
	char	   *rules;
	char	   *pending;
} State;

/* ---------------------------------------------------------------- lock */

static void
RunLockTag(LOCKTAG *tag)
{
	/* An advisory lock of a class that SQL's advisory functions cannot take. */
	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, ExtensionOid(), 0, 0xC5);
}

/* --------------------------------------------------------------- state */

static char *
SourceList(List *sources)
{
	StringInfoData list;
	ListCell   *cell;

	initStringInfo(&list);
	appendStringInfoChar(&list, '{');
	foreach(cell, sources)
		appendStringInfo(&list, "%s%d", list.len > 1 ? "," : "", ((Source *) lfirst(cell))->source_id);
	appendStringInfoChar(&list, '}');
	return list.data;
}

static void
ReadState(Run *run, State *state)
{
	MemoryContext old;

	SpiRun("SELECT home, day, time_zone, sources::text, rules, pending, day IS NOT NULL FROM custseg.refresh_state",
		   0, NULL, NULL, NULL);
	memset(state, 0, sizeof(*state));
	if (SPI_processed == 0)
		return;
	old = MemoryContextSwitchTo(run->context);
	state->exists = true;
	state->home = pstrdup(SpiText(0, 1));
	state->day = SpiInt64(0, 2, 0);
	state->time_zone = SpiText(0, 3);
	state->sources = SpiText(0, 4);
	state->rules = SpiText(0, 5);
	state->pending = SpiText(0, 6);
	state->has_day = SpiInt64(0, 7, 0) != 0;
	MemoryContextSwitchTo(old);
}

/* A NULL leaves a column as it is; pending is always written. */
static void
WriteState(const char *day, const char *time_zone, const char *sources,
		   const char *rules, const char *pending)
{
	const char *fields[6] = {DatabaseHome(), day, time_zone, sources, rules, pending};
	Oid			types[6];
	Datum		values[6];
	char		nulls[6];

	for (int i = 0; i < lengthof(fields); i++)
	{
		types[i] = TEXTOID;
		nulls[i] = fields[i] ? ' ' : 'n';
		values[i] = fields[i] ? CStringGetTextDatum(fields[i]) : (Datum) 0;
	}
	SpiRun("INSERT INTO custseg.refresh_state AS s (home, day, time_zone, sources, rules, pending)"
		   " VALUES ($1, $2::date, $3, $4::integer[], $5, $6)"
		   " ON CONFLICT (one) DO UPDATE SET home = $1, day = coalesce($2::date, s.day),"
		   " time_zone = coalesce($3, s.time_zone), sources = coalesce($4::integer[], s.sources),"
		   " rules = coalesce($5, s.rules), pending = $6, updated_at = clock_timestamp()",
		   6, types, values, nulls);
}

static char *
RulesDigest(Run *run)
{
	char	   *digest;

	SpiRun("SELECT md5(custseg.rules()::text)", 0, NULL, NULL, NULL);
	digest = SpiText(0, 1);
	return MemoryContextStrdup(run->context, digest ? digest : "");
}

/* -------------------------------------------------------------- stages */

/*
 * Take new cut points if it is time: the last are old, or the settings they
 * depend on changed. True when they differ. For the same day, with the same
 * settings and no profile changed since, they cannot.
 */
static bool
CalibrateIfDue(Run *run, bool force)
{
	Oid			types[3] = {DATEOID, INT4OID, TEXTOID};
	Datum		values[3] = {DateADTGetDatum(run->day), Int32GetDatum(run->settings->calibrate_every_days)};
	bool		changed;

	SpiRun("SELECT md5(row(tier_high_share, tier_mid_share, quadrant_m_percentile, activity_value_share)::text)"
		   " FROM custseg.settings", 0, NULL, NULL, NULL);
	values[2] = CStringGetTextDatum(SpiText(0, 1));
	SpiRun("SELECT s.cut_day IS NOT DISTINCT FROM $1,"
		   " coalesce(s.calibrated_on <= $1 AND $1 - s.calibrated_on < $2, false)"
		   " FROM custseg.refresh_state s WHERE s.cut_settings = $3",
		   3, types, values, NULL);
	if (SPI_processed > 0 && (SpiInt64(0, 1, 0) != 0 || (!force && SpiInt64(0, 2, 0) != 0)))
		return false;

	RunActivity(run, "taking cut points");
	changed = Calibrate(run->day, run->as_of, run->run_id);
	types[1] = TEXTOID;
	values[1] = values[2];
	SpiRun("UPDATE custseg.refresh_state SET cut_day = $1, calibrated_on = $1, cut_settings = $2", 2, types, values, NULL);
	RunTell(run, changed ? "new cut points" : "cut points did not change");
	return changed;
}

static void
EvaluateDue(Run *run, StandingRun *standing)
{
	int64		n;

	do
	{
		int64		last_transition;

		RunStage(run, STAGE_EVALUATE);
		SpiRun("SELECT coalesce(max(transition_id), 0) FROM custseg.transition", 0, NULL, NULL, NULL);
		last_transition = SpiInt64(0, 1, 0);
		n = StandingEvaluateDue(standing, custseg_batch_size);
		RunStage(run, STAGE_RECALL);
		if (n > 0)
			RecallFollow(run->run_id, run->as_of, run->day, last_transition);
		RunActivity(run, "evaluating due customers, " INT64_FORMAT " customers", standing->evaluated);
		if (n > 0)
			RunCommit(run);
	} while (n > 0);
}

static void
EvaluateAll(Run *run, StandingRun *standing, Cause cause)
{
	int64		last = PG_INT64_MIN;

	RunStage(run, STAGE_EVALUATE);
	RunActivity(run, "evaluating all customers");
	if (cause == CAUSE_BASELINE && StandingIsEmpty())
	{
		StandingBaseline(standing);
		RunCommit(run);
		return;
	}
	while (StandingEvaluateRange(standing, last, custseg_batch_size, cause, &last) > 0)
	{
		RunActivity(run, "evaluating all customers, " INT64_FORMAT " customers", standing->evaluated);
		RunCommit(run);
		RunStage(run, STAGE_EVALUATE);
	}
}

/* Add what a pass over standings did to the run's counts. */
static void
CountStandings(Run *run, StandingRun *standing)
{
	run->evaluated += standing->evaluated;
	run->standings_written += standing->inserted + standing->updated + standing->deleted;
	run->transitions += standing->transitions;
	memset(&standing->evaluated, 0, sizeof(*standing) - offsetof(StandingRun, evaluated));
}

static List *
ReadSources(Run *run)
{
	MemoryContext old = MemoryContextSwitchTo(run->context);
	List	   *sources = ListSources(true);

	MemoryContextSwitchTo(old);
	if (run->only_source != 0)
	{
		ListCell   *cell;

		foreach(cell, sources)
			if (((Source *) lfirst(cell))->source_id == run->only_source)
				return sources;
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("source %d is not a source of orders", run->only_source),
				 errhint("See custseg.source for the sources there are.")));
	}
	return sources;
}

static char *
DayText(DateADT day)
{
	return DatumGetCString(DirectFunctionCall1(date_out, DateADTGetDatum(day)));
}

/* Not inlined, so that nothing of it lives in the frame of PG_TRY. */
static pg_noinline void
Refresh(Run *run)
{
	StandingRun standing;
	State		state;
	List	   *sources;
	char	   *source_list;
	char	   *digest;
	bool		baseline;
	bool		moved;
	bool		sources_changed;
	bool		zone_changed;
	ChangeFollower follower;
	const char *pending;

	RunBegin(run);
	MemoryContextSwitchTo(run->context);
	run->settings = ReadShopSettings();
	MemoryContextSwitchTo(run->batch);
	run->day = ShopDay(run->as_of, run->settings->time_zone);
	ReadState(run, &state);
	moved = state.exists && strcmp(state.home, DatabaseHome()) != 0;
	run->rebuild |= moved;
	RunRecordStart(run);
	RunCommit(run);
	run->recorded = true;

	sources = ReadSources(run);
	source_list = MemoryContextStrdup(run->context, SourceList(sources));
	if (sources == NIL && !state.exists)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("there is no source of orders to refresh from"),
				 errhint("Register the shop's order table first: SELECT custseg.add_orders('shop.orders', customer => 'customer_id', at => 'paid_at', amount => 'amount').")));

	SpiRun("SELECT FROM custseg.calibration LIMIT 1", 0, NULL, NULL, NULL);
	baseline = SPI_processed == 0 || (state.pending && strcmp(state.pending, "baseline") == 0);
	sources_changed = state.exists && (state.sources == NULL || strcmp(state.sources, source_list) != 0);
	zone_changed = state.time_zone && strcmp(state.time_zone, run->settings->time_zone) != 0;
	if (moved)
		RunNote(run, "this database is a copy or was restored: everything is read and evaluated anew");
	if (sources_changed && !baseline)
		RunNote(run, "the sources changed");
	if (zone_changed)
		RunNote(run, "the time zone changed: days are counted anew");

	/*
	 * Settings first, and for the day that was evaluated last: what changes
	 * now changes for no other reason. Also what a run that died left.
	 */
	digest = RulesDigest(run);
	if (!baseline && state.has_day &&
		(state.pending || state.rules == NULL || strcmp(digest, state.rules) != 0))
	{
		Cause		cause = state.pending && strcmp(state.pending, "calibration") == 0 ?
			CAUSE_CALIBRATION : CAUSE_SETTING;

		StandingBegin(&standing, run->run_id, run->as_of, state.day);
		EvaluateDue(run, &standing);	/* those to whom that run did not come */
		EvaluateAll(run, &standing, cause);
		CountStandings(run, &standing);
		WriteState(NULL, NULL, NULL, digest, NULL);
		state.pending = NULL;
	}
	pending = baseline ? "baseline" : NULL;
	if (!baseline && state.has_day && run->day < state.day)
	{
		RunNote(run, "as_of lies before the last refresh: everybody is evaluated for the earlier day");
		pending = "setting";
	}
	WriteState(DayText(run->day), NULL, NULL, NULL, pending);
	RunStage(run, STAGE_COLLECT);	/* what is seen of us while we read */
	RunCommit(run);

	/* 1. Sources to profiles. New sources and zones are settings, not events. */
	if (!baseline)
		StandingBegin(&standing, run->run_id, run->as_of, run->day);
	follower.standing = baseline ? NULL : &standing;
	follower.cause = sources_changed || zone_changed ? CAUSE_SETTING : CAUSE_DATA;
	CollectSources(run, sources, run->only_source == 0 || baseline || sources_changed || zone_changed || run->rebuild,
				   &follower);
	WriteState(NULL, run->settings->time_zone, source_list, NULL, pending);
	RunTell(run, "profiles: " INT64_FORMAT " customers, " INT64_FORMAT " written, " INT64_FORMAT " removed",
			run->customers, run->profiles_written, run->profiles_removed);

	/* 2. The passing of time. */
	if (pending == NULL)
		EvaluateDue(run, &standing);

	/* 3. Cut points. */
	RunStage(run, STAGE_CALIBRATE);
	run->calibrated = CalibrateIfDue(run, baseline || run->rebuild || sources_changed || zone_changed);
	if (run->calibrated)
	{
		if (!baseline)
			pending = "calibration";
		digest = RulesDigest(run);
	}

	/* 4. Everybody, when the cut points changed, or for the first time. */
	if (pending)
	{
		WriteState(NULL, NULL, NULL, NULL, pending);
		RunCommit(run);
		if (!baseline)
			CountStandings(run, &standing);
		StandingBegin(&standing, run->run_id, run->as_of, run->day);
		EvaluateAll(run, &standing, baseline ? CAUSE_BASELINE :
					strcmp(pending, "calibration") == 0 ? CAUSE_CALIBRATION : CAUSE_SETTING);
	}
	CountStandings(run, &standing);
	WriteState(NULL, NULL, NULL, digest, NULL);
	RunTell(run, "standings: " INT64_FORMAT " evaluated, " INT64_FORMAT " written, " INT64_FORMAT " label changes",
			run->evaluated, run->standings_written, run->transitions);
	RunCommit(run);

	/* 5 and 6. Tasks and outcomes. */
	RunStage(run, STAGE_RECALL);
	RunActivity(run, "planning recall tasks");
	RecallPlan(run->run_id, run->as_of, run->day);
	RunStage(run, STAGE_MEASURE);
	MeasureOutcomes(run->run_id, run->day);

	RunStage(run, STAGE_END);
	RunRecordFinish(run, "succeeded", NULL);
	RunEnd(run);
}

/*
 * After an error: abort what is open, close files, and write down why the run
 * failed, in a transaction of its own. The abort has put back the caller's
 * user and settings, and ends every SPI connection. Leaves a fresh transaction
 * for the error to be thrown into.
 */
static void
RecordFailure(Run *run)
{
	AbortCurrentTransaction();
	StartTransactionCommand();
	PG_TRY();
	{
		RunHoldExtension(run);
		PushActiveSnapshot(GetTransactionSnapshot());
		SPI_connect();
		GuardEnter(&run->guard, ExtensionOwner());
		RunRecordFinish(run, "failed", run->failure);
		GuardLeave(&run->guard);
		SPI_finish();
		PopActiveSnapshot();
		CommitTransactionCommand();
	}
	PG_CATCH();
	{
		/* The extension itself may be gone; the first error is the one to tell. */
		MemoryContextSwitchTo(run->context);
		FlushErrorState();
		AbortCurrentTransaction();
	}
	PG_END_TRY();
	StartTransactionCommand();
}

Datum
custseg_refresh(PG_FUNCTION_ARGS)
{
	bool		atomic = fcinfo->context == NULL || !IsA(fcinfo->context, CallContext) ||
		castNode(CallContext, fcinfo->context)->atomic || IsSubTransaction();
	MemoryContext context;
	Run		   *run;
	LOCKTAG		lock;

	if (atomic)
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("custseg.refresh() cannot run inside a transaction block"),
				 errdetail("It commits between batches."),
				 errhint("Turn on auto-commit and CALL it alone, or let the worker do it: SELECT custseg.request_refresh().")));
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("custseg.refresh() cannot run on a standby"),
				 errhint("Run it on the primary; what it writes arrives here by replication.")));
	PreventCommandIfReadOnly("custseg.refresh()");
	if (XactIsoLevel > XACT_READ_COMMITTED || DefaultXactIsoLevel > XACT_READ_COMMITTED)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("custseg.refresh() needs isolation level READ COMMITTED"),
				 errhint("SET default_transaction_isolation = 'read committed'.")));
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("as_of must not be null"),
				 errhint("Leave it out for now().")));

	/* Lives across commits, and across the abort of a run that fails. */
	context = AllocSetContextCreate(TopMemoryContext, "custseg refresh", ALLOCSET_DEFAULT_SIZES);
	run = MemoryContextAllocZero(context, sizeof(Run));
	run->context = context;
	run->batch = AllocSetContextCreate(context, "custseg refresh batch", ALLOCSET_DEFAULT_SIZES);
	run->as_of = PG_GETARG_TIMESTAMPTZ(0);
	run->rebuild = !PG_ARGISNULL(1) && PG_GETARG_BOOL(1);
	run->verbose = !PG_ARGISNULL(2) && PG_GETARG_BOOL(2);
	run->only_source = PG_ARGISNULL(3) ? 0 : PG_GETARG_INT32(3);
	run->extension = ExtensionOid();
	run->synchronous_commit = MemoryContextStrdup(context, GetConfigOption("synchronous_commit", false, false));
	INSTR_TIME_SET_CURRENT(run->stage_began);

	RunLockTag(&lock);
	PG_TRY();
	{
		if (LockAcquire(&lock, ExclusiveLock, true, true) == LOCKACQUIRE_NOT_AVAIL)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_IN_USE),
					 errmsg("another refresh of this database is running"),
					 errhint("See custseg.progress; a refresh asked for with custseg.request_refresh() waits its turn.")));
		run->locked = true;
		SPI_connect_ext(SPI_OPT_NONATOMIC);
		Refresh(run);
		SPI_finish();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		if (run->collector)
			CollectorClose(run->collector);
		run->failure = psprintf("%s%s%s%s%s%s%s",
								run->reading ? "reading " : "", run->reading ? run->reading : "",
								run->reading ? ": " : "", error->message,
								error->hint ? " (" : "", error->hint ? error->hint : "", error->hint ? ")" : "");
		if (run->recorded)
			RecordFailure(run);
		if (run->locked)
			LockRelease(&lock, ExclusiveLock, true);
		pgstat_report_activity(STATE_RUNNING, debug_query_string);
		MemoryContextSetParent(context, TopTransactionContext);
		ReThrowError(error);
	}
	PG_END_TRY();

	LockRelease(&lock, ExclusiveLock, true);
	pgstat_report_activity(STATE_RUNNING, debug_query_string);
	MemoryContextDelete(context);
	PG_RETURN_VOID();
}
