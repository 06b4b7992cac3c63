/*
 * refresh.c
 *		CALL custseg.refresh(), the pipeline, and CALL custseg.calibrate(), one
 *		stage of it alone.
 *
 * The stages (stages.h says what each does) run in batches of one transaction.
 * Only one run at a time: it holds a session lock, and that lock is what says
 * that a run is alive.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/memutils.h"

#include "facts/event.h"
#include "refresh/collect_lines.h"
#include "refresh/stages.h"

PG_FUNCTION_INFO_V1(custseg_refresh);
PG_FUNCTION_INFO_V1(custseg_calibrate);

/* The order of the work, and as which stage its time is counted. */
static const struct
{
	Stage		stage;
	void		(*work) (Refresh *refresh);
}			stages[] = {
	{STAGE_START, StageBegin},
	{STAGE_START, StageSettings},
	{STAGE_COLLECT, StageCollect},
	{STAGE_EVALUATE, StageDue},
	{STAGE_CALIBRATE, StageCalibrate},
	{STAGE_EVALUATE, StageEvaluate},
	{STAGE_RECALL, StageQueue},
	{STAGE_MEASURE, StageMeasure},
};

/* Not inlined, so that nothing of it lives in the frame of PG_TRY. */
static pg_noinline void
RefreshAll(Run *run)
{
	Refresh		refresh = {run};

	RunBegin(run);
	for (int i = 0; i < lengthof(stages); i++)
	{
		RunStage(run, stages[i].stage);
		stages[i].work(&refresh);
	}
	RunStage(run, STAGE_END);
	RunRecordFinish(run, run->counts.left > 0 ? "partial" : "succeeded", NULL);
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
	List	   *sources;
	bool		evaluated;

	RunBegin(run);
	MemoryContextSwitchTo(run->context);
	run->settings = ReadShopSettings();
	MemoryContextSwitchTo(run->batch);
	run->now.day = RunDay(run);
	StateRead(run, &state);
	if (!state.exists || !state.has_day || state.moved)
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
	evaluated = state.pending == CAUSE_NONE && state.rules != NULL && strcmp(before, state.rules) == 0;
	if (evaluated)
	{
		Moment		then = run->now;

		then.day = state.day;
		StandingBegin(&standing, &then, run->rules, run->context);
	}
	MemoryContextSwitchTo(run->context);
	sources = ListEventSources();
	MemoryContextSwitchTo(run->batch);
	RelearnProducts(run, sources, evaluated ? &standing : NULL);
	after = RulesDigest(run->context, &run->rules);
	if (evaluated && strcmp(before, after) != 0)
	{
		StateWrite(&(StateChange) {.pending = CAUSE_CALIBRATION});
		RunCommit(run);
		EvaluateAllFor(run, state.day, &standing, CAUSE_CALIBRATION);
		StateWrite(&(StateChange) {.rules = after});
		RunTell(run, "standings: " INT64_FORMAT " evaluated, " INT64_FORMAT " written",
				run->counts.evaluated, run->counts.standings_written);
	}
	RunStage(run, STAGE_END);
	RunRecordFinish(run, run->counts.left > 0 ? "partial" : "succeeded", NULL);
	RunEnd(run);
}

Datum
custseg_refresh(PG_FUNCTION_ARGS)
{
	Run		   *run;

	RunCheckCaller(fcinfo, "custseg.refresh()", "SELECT custseg.request_refresh()");
	run = RunCreate(PG_GETARG_TIMESTAMPTZ(0));
	run->asked.rebuild = !PG_ARGISNULL(1) && PG_GETARG_BOOL(1);
	run->asked.verbose = !PG_ARGISNULL(2) && PG_GETARG_BOOL(2);
	run->asked.only_source = PG_ARGISNULL(3) ? 0 : PG_GETARG_INT32(3);
	RunAlone(run, RefreshAll);
	PG_RETURN_VOID();
}

Datum
custseg_calibrate(PG_FUNCTION_ARGS)
{
	Run		   *run;

	RunCheckCaller(fcinfo, "custseg.calibrate()", "SELECT custseg.schedule('calibrate')");
	run = RunCreate(PG_GETARG_TIMESTAMPTZ(0));
	run->asked.verbose = !PG_ARGISNULL(1) && PG_GETARG_BOOL(1);
	RunAlone(run, CalibrateAlone);
	PG_RETURN_VOID();
}
