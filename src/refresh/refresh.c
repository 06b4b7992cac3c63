/*
 * refresh.c
 *		CALL custseg.refresh(), the pipeline, and CALL custseg.calibrate(), one
 *		stage of it alone.
 *
 * The stages, each in batches of one transaction:
 *
 *	0. settings		everybody, for the day evaluated last, when settings changed
 *					since (cause: setting)
 *	1. collect		sources to profiles, by comparison; customers whose profile
 *					changed are evaluated in the same transaction (cause: data)
 *	2. due			customers whose next_eval_at has come (cause: time)
 *	3. calibrate	new cut points and models, when the last are old
 *	4. evaluate		everybody, when the rules changed by it (cause: calibration)
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

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/memutils.h"

#include "common/choices.h"
#include "common/home.h"
#include "common/ids.h"
#include "common/spi.h"
#include "measure/measure.h"
#include "queue/queue.h"
#include "refresh/calibrate.h"
#include "refresh/collect.h"
#include "refresh/run.h"
#include "refresh/trust.h"

PG_FUNCTION_INFO_V1(custseg_refresh);
PG_FUNCTION_INFO_V1(custseg_calibrate);

/* What a shop cannot have, in place of what the profiles hold: see MarkMixture. */
#define MIXED_ZONE		""
#define MIXED_SOURCES	"{0}"

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
	TimestampTz settled_at;		/* DT_NOBEGIN: not */
	TimestampTz settled_until;
	char	   *settled_choices;
} State;

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
	bool		isnull;
	Datum		moment;

	SpiRun("SELECT home, day, time_zone, sources::text, rules, pending, day IS NOT NULL,"
		   " settled_at, coalesce(settled_until, 'infinity'), settled_choices FROM custseg.refresh_state",
		   0, NULL, NULL, NULL);
	memset(state, 0, sizeof(*state));
	state->settled_at = DT_NOBEGIN;
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
	moment = SpiField(0, 8, &isnull);
	if (!isnull)
		state->settled_at = DatumGetTimestampTz(moment);
	state->settled_until = DatumGetTimestampTz(SpiField(0, 9, &isnull));
	state->settled_choices = SpiText(0, 10);
	MemoryContextSwitchTo(old);

	/* Ours until the end: a run that dies leaves those it changed to be found by looking at everybody. */
	if (state->settled_at != DT_NOBEGIN)
		SpiRun("UPDATE custseg.refresh_state SET settled_at = NULL", 0, NULL, NULL, NULL);
}

/* Has everybody been looked at today, and can only those this run touched be different since? */
static bool
IsSettled(const Run *run, const State *state, const char *choices)
{
	return state->settled_at != DT_NOBEGIN && !run->rebuild && !run->touched_all &&
		state->settled_at <= run->as_of && run->as_of < state->settled_until &&
		ShopDay(state->settled_at, run->settings->time_zone) == run->day &&
		state->settled_choices != NULL && strcmp(state->settled_choices, choices) == 0;
}

static void
Settle(const Run *run, const State *state, bool all, const char *choices)
{
	Oid			types[2] = {TIMESTAMPTZOID, TEXTOID};
	Datum		values[2] = {TimestampTzGetDatum(all ? run->as_of : state->settled_at), CStringGetTextDatum(choices)};

	SpiRun(all ? "UPDATE custseg.refresh_state SET settled_at = $1, settled_choices = $2, settled_until ="
		   " (SELECT pg_catalog.min(expires_at) FROM custseg.task WHERE state IN ('open', 'claimed') AND expires_at > $1)" :
		   "UPDATE custseg.refresh_state SET settled_at = $1", 2, types, values, NULL);
}

/*
 * Tasks and outcomes: those of everybody once a day, and after that of the
 * customers whose profile changed. Of most refreshes nobody's did.
 */
static void
PlanAndMeasure(Run *run, const State *state)
{
	char	   *choices = state->settled_at != DT_NOBEGIN ? QueueChoices() : NULL;
	ArrayType  *customers = NULL;
	ErrorData  *unread;
	bool		done;

	if (choices && IsSettled(run, state, choices))
		customers = DatumGetArrayTypeP(IdArray(run->touched, run->n_touched));
	RunActivity(run, "planning recall tasks");
	done = QueuePlan(run->run_id, run->as_of, run->day, customers, state->settled_at, &unread);
	TellContacts(run, unread);
	RunStage(run, STAGE_MEASURE);
	MeasureOutcomes(run->run_id, run->day, customers);
	if (done)
		Settle(run, state, customers == NULL, choices ? choices : QueueChoices());
}

/*
 * A NULL leaves a column as it is; pending is always written. The database is
 * this row's home from the moment that all sources were read in it.
 */
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
		   " ON CONFLICT (one) DO UPDATE SET"
		   " home = CASE WHEN $4 IS NULL THEN s.home ELSE $1 END, day = coalesce($2::date, s.day),"
		   " time_zone = coalesce($3, s.time_zone), sources = coalesce($4::integer[], s.sources),"
		   " rules = coalesce($5, s.rules), pending = $6, updated_at = clock_timestamp()",
		   6, types, values, nulls);
}

/*
 * Until a read for other sources or another zone is done, the profiles are a
 * mixture, and the next refresh must see a change whatever they are by then.
 * This is no read of all sources yet, so the row's home stays what it is.
 */
static void
MarkMixture(bool sources, bool zone)
{
	if (sources)
		SpiRun("UPDATE custseg.refresh_state SET sources = '" MIXED_SOURCES "'", 0, NULL, NULL, NULL);
	if (zone)
		SpiRun("UPDATE custseg.refresh_state SET time_zone = '" MIXED_ZONE "'", 0, NULL, NULL, NULL);
}

/* -------------------------------------------------------------- stages */

/* Calibrate, and note for which day and settings. False in a shop without orders. */
static bool
CalibrateNow(Run *run)
{
	Oid			types[3] = {DATEOID, TEXTOID, TEXTOID};
	Datum		values[3] = {DateADTGetDatum(run->day)};
	bool		added;

	RunActivity(run, "calibrating");
	values[1] = CStringGetTextDatum(ChoicesDigest(MOVES_CALIBRATION));
	added = Calibrate(run->day, run->as_of, run->run_id);
	if (added)
	{
		/* What changed meanwhile is not in it, or in a part of it: calibrate again. */
		values[2] = CStringGetTextDatum(ChoicesDigest(MOVES_CALIBRATION));
		SpiRun("UPDATE custseg.refresh_state SET cut_day = $1, calibrated_on = $1,"
			   " cut_settings = CASE WHEN $2 = $3 THEN $2 END", 3, types, values, NULL);
		SpiRun("SELECT verdict FROM custseg.calibration ORDER BY calibration_id DESC LIMIT 1",
			   0, NULL, NULL, NULL);
		RunTell(run, "calibrated: %s", SpiText(0, 1));
	}
	return added;
}

/*
 * Calibrate if it is time: the last is old, or the settings it depends on
 * changed. For the same day, with the same settings and no profile changed
 * since, nothing could come out different.
 */
static bool
CalibrateIfDue(Run *run, bool force)
{
	Oid			types[3] = {DATEOID, INT4OID, TEXTOID};
	Datum		values[3] = {DateADTGetDatum(run->day), Int32GetDatum(run->settings->calibrate_every_days),
	CStringGetTextDatum(ChoicesDigest(MOVES_CALIBRATION))};

	SpiRun("SELECT s.cut_day IS NOT DISTINCT FROM $1,"
		   " coalesce(s.calibrated_on <= $1 AND $1 - s.calibrated_on < $2, false)"
		   " FROM custseg.refresh_state s WHERE s.cut_settings = $3",
		   3, types, values, NULL);
	if (SPI_processed > 0 && (SpiInt64(0, 1, 0) != 0 || (!force && SpiInt64(0, 2, 0) != 0)))
		return false;
	return CalibrateNow(run);
}

static void
EvaluateDue(Run *run, StandingRun *standing)
{
	int			limit = custseg_batch_size;
	int64		n;

	do
	{
		int64		last_transition;

		RunStage(run, STAGE_EVALUATE);
		SpiRun("SELECT coalesce(max(transition_id), 0) FROM custseg.transition", 0, NULL, NULL, NULL);
		last_transition = SpiInt64(0, 1, 0);
		n = StandingEvaluateDue(standing, limit);
		RunStage(run, STAGE_RECALL);
		if (n > 0)
		{
			run->left_out += QueueFollow(run->run_id, run->as_of, run->day, last_transition);
			run->touched_all = true;
		}
		RunActivity(run, "evaluating due customers, " INT64_FORMAT " customers", standing->evaluated);
		if (n > 0)
			RunCommit(run);
	} while (n == limit);
}

static void
EvaluateAll(Run *run, StandingRun *standing, Cause cause)
{
	int64		last = PG_INT64_MIN;

	run->touched_all = true;
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

/*
 * The shop's day of as_of, which must not lie ahead: what was concluded for a
 * day to come would stand, and be acted upon, until that day.
 */
static DateADT
RunDay(const Run *run)
{
	DateADT		day = ShopDay(run->as_of, run->settings->time_zone);
	DateADT		today = ShopDay(GetCurrentTimestamp(), run->settings->time_zone);

	if (day > today)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("as_of must not be later than the end of today, %s in time zone %s",
						DayText(today), run->settings->time_zone),
				 errhint("To see how customers will stand on a day to come: SELECT * FROM custseg.customer_at(...).")));
	return day;
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
	bool		backwards;
	const char *sources_changed = NULL; /* why so, or NULL */
	const char *zone_changed = NULL;
	ChangeFollower follower;
	const char *pending;

	RunBegin(run);
	MemoryContextSwitchTo(run->context);
	run->settings = ReadShopSettings();
	MemoryContextSwitchTo(run->batch);
	run->day = RunDay(run);
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
	if (state.exists && (state.sources == NULL || strcmp(state.sources, source_list) != 0))
		sources_changed = state.sources && strcmp(state.sources, MIXED_SOURCES) == 0 ?
			"reading changed sources was interrupted" : "the sources changed";
	if (state.time_zone && strcmp(state.time_zone, run->settings->day_rule) != 0)
	{
		int			n = strlen(run->settings->time_zone);

		zone_changed = strcmp(state.time_zone, MIXED_ZONE) == 0 ?
			"counting days anew was interrupted" :
			strncmp(state.time_zone, run->settings->day_rule, n + 1) == 0 ?
			"first_day changed" : "the time zone changed";
	}
	if (moved)
		RunNote(run, "this database is a copy or was restored: everything is read and evaluated anew");
	if (sources_changed && !baseline)
		RunNote(run, sources_changed);
	if (zone_changed)
		RunNote(run, psprintf("%s: days are counted anew", zone_changed));

	/*
	 * Settings first, and for the day that was evaluated last: what changes
	 * now changes for no other reason. Also what a run that died left.
	 */
	digest = RulesDigest(run->context, &run->rules);
	if (!baseline && state.has_day &&
		(state.pending || state.rules == NULL || strcmp(digest, state.rules) != 0))
	{
		Cause		cause = state.pending && strcmp(state.pending, "calibration") == 0 ?
			CAUSE_CALIBRATION : CAUSE_SETTING;

		WriteState(NULL, NULL, NULL, NULL, state.pending ? state.pending : "setting");
		RunCommit(run);
		StandingBegin(&standing, run->run_id, run->as_of, state.day, run->rules, run->context);
		EvaluateDue(run, &standing);	/* those to whom that run did not come */
		EvaluateAll(run, &standing, cause);
		CountStandings(run, &standing);
		WriteState(NULL, NULL, NULL, digest, NULL);
		state.pending = NULL;
	}
	pending = baseline ? "baseline" : NULL;
	backwards = state.has_day && run->day < state.day;
	if (backwards)
		RunNote(run, psprintf("the last refresh was for %s, a later day: everybody is evaluated for the earlier one,"
							  " and no task is planned", DayText(state.day)));
	if (backwards && !baseline)
		pending = "setting";
	WriteState(DayText(run->day), NULL, NULL, NULL, pending);
	if (!baseline)
	{
		if (sources_changed && list_length(sources) > 1)
			KeepAsPart();
		MarkMixture(sources_changed != NULL, zone_changed != NULL);
	}
	RunStage(run, STAGE_COLLECT);	/* what is seen of us while we read */
	RunCommit(run);

	/* 1. Sources to profiles. New sources and zones are settings, not events. */
	if (!baseline)
		StandingBegin(&standing, run->run_id, run->as_of, run->day, run->rules, run->context);
	follower.standing = baseline ? NULL : &standing;
	follower.cause = sources_changed || zone_changed ? CAUSE_SETTING : CAUSE_DATA;
	follower.sudden = false;
	CollectSources(run, sources,
				   baseline ? "nothing is known yet" :
				   sources_changed ? sources_changed :
				   zone_changed ? zone_changed :
				   moved ? "this database is a copy or was restored" :
				   run->rebuild && run->only_source == 0 ? "a rebuild was asked for" : NULL,
				   !sources_changed && state.sources != NULL,
				   &follower);

	/* Days of a source that could not be read are still those of the other zone or first day. */
	WriteState(NULL, zone_changed && run->left > 0 ? NULL : run->settings->day_rule, source_list, NULL, pending);
	RunTell(run, "profiles: " INT64_FORMAT " customers, " INT64_FORMAT " written, " INT64_FORMAT " removed",
			run->customers, run->profiles_written, run->profiles_removed);

	/* 2. The passing of time. */
	if (pending == NULL)
		EvaluateDue(run, &standing);

	/* 3. Cut points and models. */
	RunStage(run, STAGE_CALIBRATE);
	run->calibrated = CalibrateIfDue(run, baseline || run->rebuild || sources_changed != NULL || zone_changed != NULL);
	if (run->calibrated)
	{
		char	   *now = RulesDigest(run->context, &run->rules);

		if (!baseline && strcmp(now, digest) != 0)
			pending = "calibration";
		digest = now;
	}

	/* 4. Everybody, when the cut points changed, or for the first time. */
	if (pending)
	{
		WriteState(NULL, NULL, NULL, NULL, pending);
		RunCommit(run);
		if (!baseline)
			CountStandings(run, &standing);
		StandingBegin(&standing, run->run_id, run->as_of, run->day, run->rules, run->context);
		EvaluateAll(run, &standing, baseline ? CAUSE_BASELINE :
					strcmp(pending, "calibration") == 0 ? CAUSE_CALIBRATION : CAUSE_SETTING);
	}
	CountStandings(run, &standing);
	WriteState(NULL, NULL, NULL, digest, NULL);
	RunTell(run, "standings: " INT64_FORMAT " evaluated, " INT64_FORMAT " written, " INT64_FORMAT " label changes",
			run->evaluated, run->standings_written, run->transitions);
	RunCommit(run);

	if (run->left_out > 0)
		RunNote(run, psprintf(INT64_FORMAT " customers who came to light had been silent for longer than"
							  " settings.backlog_days, and got no episode", run->left_out));

	if (run->left_out_sudden > 0)
		RunNote(run, psprintf(INT64_FORMAT " customers are silent by what a source had or lost all at once, and got no episode",
							  run->left_out_sudden));

	/* 5 and 6. Tasks and outcomes. */
	RunStage(run, STAGE_RECALL);
	if (!backwards)
		PlanAndMeasure(run, &state);

	RunStage(run, STAGE_END);
	RunRecordFinish(run, run->left > 0 ? "partial" : "succeeded", NULL);
	RunEnd(run);
}

/*
 * Only calibrate, and evaluate everybody if the rules changed by it. What a
 * refresh would first do for another reason (settings, a batch that died) is
 * left to it, and it evaluates everybody anyway.
 */
static pg_noinline void
CalibrateAlone(Run *run)
{
	StandingRun standing;
	State		state;
	char	   *before;
	char	   *after;

	RunBegin(run);
	MemoryContextSwitchTo(run->context);
	run->settings = ReadShopSettings();
	MemoryContextSwitchTo(run->batch);
	run->day = RunDay(run);
	ReadState(run, &state);
	if (!state.exists || !state.has_day || strcmp(state.home, DatabaseHome()) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("there is nothing to calibrate on: no refresh has been made in this database"),
				 errhint("CALL custseg.refresh() first; it calibrates too.")));
	RunRecordStart(run);
	RunNote(run, "calibration alone");
	RunStage(run, STAGE_CALIBRATE);
	RunCommit(run);
	run->recorded = true;

	before = RulesDigest(run->context, &run->rules);
	run->calibrated = CalibrateNow(run);
	if (!run->calibrated)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("there is nothing to calibrate on: nobody has an order up to that day"),
				 errhint("Pass the moment to calibrate for: CALL custseg.calibrate(as_of => ...).")));
	after = RulesDigest(run->context, &run->rules);
	if (state.pending == NULL && state.rules != NULL && strcmp(before, state.rules) == 0 &&
		strcmp(before, after) != 0)
	{
		WriteState(NULL, NULL, NULL, NULL, "calibration");
		RunCommit(run);
		StandingBegin(&standing, run->run_id, run->as_of, state.day, run->rules, run->context);
		EvaluateAll(run, &standing, CAUSE_CALIBRATION);
		CountStandings(run, &standing);
		WriteState(NULL, NULL, NULL, after, NULL);
		RunTell(run, "standings: " INT64_FORMAT " evaluated, " INT64_FORMAT " written",
				run->evaluated, run->standings_written);
	}
	RunStage(run, STAGE_END);
	RunRecordFinish(run, "succeeded", NULL);
	RunEnd(run);
}

Datum
custseg_refresh(PG_FUNCTION_ARGS)
{
	Run		   *run;

	RunCheckCaller(fcinfo, "custseg.refresh()", "SELECT custseg.request_refresh()");
	run = RunCreate(PG_GETARG_TIMESTAMPTZ(0));
	run->rebuild = !PG_ARGISNULL(1) && PG_GETARG_BOOL(1);
	run->verbose = !PG_ARGISNULL(2) && PG_GETARG_BOOL(2);
	run->only_source = PG_ARGISNULL(3) ? 0 : PG_GETARG_INT32(3);
	RunAlone(run, Refresh);
	PG_RETURN_VOID();
}

Datum
custseg_calibrate(PG_FUNCTION_ARGS)
{
	Run		   *run;

	RunCheckCaller(fcinfo, "custseg.calibrate()", "SELECT custseg.schedule('calibrate')");
	run = RunCreate(PG_GETARG_TIMESTAMPTZ(0));
	run->verbose = !PG_ARGISNULL(1) && PG_GETARG_BOOL(1);
	RunAlone(run, CalibrateAlone);
	PG_RETURN_VOID();
}
