/*
 * stages.c
 *		The stages of a refresh.
 *
 * Each pass changes one thing alone, so that every transition has one true
 * cause: settings before the data move, data and time under the old cut points.
 * What is still to be done stands in custseg.refresh_state, never in memory
 * alone: a run that dies at any moment is followed by one that goes on from there.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

#include "common/choices.h"
#include "common/ids.h"
#include "common/spi.h"
#include "facts/event.h"
#include "measure/measure.h"
#include "person/person.h"
#include "queue/queue.h"
#include "refresh/calibrate.h"
#include "refresh/collect.h"
#include "refresh/collect_events.h"
#include "refresh/collect_handles.h"
#include "refresh/collect_lines.h"
#include "refresh/forget.h"
#include "refresh/moves.h"
#include "refresh/persons.h"
#include "refresh/reappear.h"
#include "refresh/spend.h"
#include "refresh/stages.h"
#include "refresh/trust.h"

static char *
DayText(DateADT day)
{
	return DatumGetCString(DirectFunctionCall1(date_out, DateADTGetDatum(day)));
}

/*
 * The shop's day of as_of, which must not lie ahead: what was concluded for a
 * day to come would stand, and be acted upon, until that day.
 */
DateADT
RunDay(const Run *run)
{
	DateADT		day = ShopDay(run->now.as_of, run->settings->time_zone);
	DateADT		today = ShopDay(GetCurrentTimestamp(), run->settings->time_zone);

	if (day > today)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("as_of must not be later than the end of today, %s in time zone %s",
						DayText(today), run->settings->time_zone),
				 errhint("To see how customers will stand on a day to come: SELECT * FROM custseg.customer_at(...).")));
	return day;
}

static bool
HasSource(List *sources, int source_id)
{
	ListCell   *cell;

	foreach(cell, sources)
		if (((Source *) lfirst(cell))->source_id == source_id)
			return true;
	return false;
}

static void
ReadSources(Refresh *refresh)
{
	Run		   *run = refresh->run;
	int			only = run->asked.only_source;
	MemoryContext old = MemoryContextSwitchTo(run->context);

	refresh->sources = ListReadSources();
	refresh->event_sources = ListEventSources();
	MemoryContextSwitchTo(old);
	if (only != 0 && !HasSource(refresh->sources, only) && !HasSource(refresh->event_sources, only) &&
		!HasSource(ListSources(SOURCE_SPEND), only) &&
		!(LinkRulesInUse() && HasSource(ListSources(SOURCE_CONTACT), only)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("source %d is not one that a refresh reads", only),
				 errhint("See custseg.source for the sources there are.")));
}

void
StageBegin(Refresh *refresh)
{
	Run		   *run = refresh->run;
	State	   *state = &refresh->state;

	MemoryContextSwitchTo(run->context);
	run->settings = ReadShopSettings();
	MemoryContextSwitchTo(run->batch);
	run->now.day = RunDay(run);
	StateRead(run, state);
	run->asked.rebuild |= state->moved;
	RunRecordStart(run);
	RunCommit(run);
	run->recorded = true;

	ReadSources(refresh);
	refresh->source_list = MemoryContextStrdup(run->context, SourceList(refresh->sources));
	if (refresh->sources == NIL && !state->exists)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("there is no source of orders to refresh from"),
				 errhint("Register the shop's order table first: SELECT custseg.add_orders('shop.orders', customer => 'customer_id', at => 'paid_at', amount => 'amount').")));

	SpiRun("SELECT FROM custseg.calibration LIMIT 1", 0, NULL, NULL, NULL);
	refresh->baseline = SPI_processed == 0 || state->pending == CAUSE_BASELINE;
	refresh->backwards = state->has_day && run->now.day < state->day;
	refresh->sources_changed = SourcesChanged(state, refresh->source_list);
	refresh->zone_changed = ZoneChanged(state, run->settings);
	if (state->moved)
		RunNote(run, "this database is a copy or was restored: everything is read and evaluated anew");
	if (refresh->sources_changed && !refresh->baseline)
		RunNote(run, refresh->sources_changed);
	if (refresh->zone_changed)
		RunNote(run, psprintf("%s: days are counted anew", refresh->zone_changed));
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
			run->counts.left_out += QueueFollow(&run->now, last_transition);
			run->touched.all = true;
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

	run->touched.all = true;
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
	run->counts.evaluated += standing->evaluated;
	run->counts.standings_written += standing->inserted + standing->updated + standing->deleted;
	run->counts.transitions += standing->transitions;
	memset(&standing->evaluated, 0, sizeof(*standing) - offsetof(StandingRun, evaluated));
}

void
EvaluateAllFor(Run *run, DateADT day, StandingRun *standing, Cause cause)
{
	Moment		now = run->now;

	now.day = day;
	StandingBegin(standing, &now, run->rules, run->context);
	EvaluateAll(run, standing, cause);
	CountStandings(run, standing);
}

void
StageSettings(Refresh *refresh)
{
	Run		   *run = refresh->run;
	State	   *state = &refresh->state;
	Cause		pending = state->pending;

	refresh->digest = RulesDigest(run->context, &run->rules);
	if (!refresh->baseline && state->has_day &&
		(pending != CAUSE_NONE || state->rules == NULL || strcmp(refresh->digest, state->rules) != 0))
	{
		Moment		then = run->now;

		if (pending == CAUSE_NONE)
			pending = CAUSE_SETTING;
		StateWrite(&(StateChange) {.pending = pending});
		RunCommit(run);
		then.day = state->day;
		StandingBegin(&refresh->standing, &then, run->rules, run->context);
		EvaluateDue(run, &refresh->standing);	/* those to whom that run did not come */
		EvaluateAll(run, &refresh->standing, pending == CAUSE_CALIBRATION ? CAUSE_CALIBRATION : CAUSE_SETTING);
		CountStandings(run, &refresh->standing);
		StateWrite(&(StateChange) {.rules = refresh->digest});
	}

	refresh->pending = refresh->baseline ? CAUSE_BASELINE : CAUSE_NONE;
	if (refresh->backwards)
	{
		RunNote(run, psprintf("the last refresh was for %s, a later day: everybody is evaluated for the earlier one,"
							  " and no task is planned", DayText(state->day)));
		if (!refresh->baseline)
			refresh->pending = CAUSE_SETTING;
	}
}

/* Why all sources are to be read whole, or NULL; "orders": those of orders, which are merged. */
static const char *
RereadBecause(const Refresh *refresh, bool orders)
{
	const RunRequest *asked = &refresh->run->asked;

	return refresh->baseline ? "nothing is known yet" :
		orders && refresh->sources_changed ? refresh->sources_changed :
		refresh->zone_changed ? refresh->zone_changed :
		refresh->state.moved ? "this database is a copy or was restored" :
		asked->rebuild && asked->only_source == 0 ? "a rebuild was asked for" : NULL;
}

/* People who were forgotten since a refresh looked, and whom one that was running may have written since. */
static void
KeepForgotten(Run *run)
{
	RunStage(run, STAGE_WRITE);
	if (EraseStragglers())
		RunCommit(run);
}

/* Who has no order left is one with who has them now; that needs the parts, which a single source has none of until then. */
static void
FollowMoves(Refresh *refresh, const ChangeFollower *follower)
{
	Run		   *run = refresh->run;

	RunStage(run, STAGE_WRITE);
	if (!refresh->parts && (refresh->sources_changed || refresh->baseline))
		return;
	if (!MovesLink(run, refresh->parts))
		return;
	if (!refresh->parts)
	{
		KeepAsPart();
		refresh->parts = true;
		StateKeepsParts(true);
	}
	RunCommit(run);
	FollowLinks(run, follower);
}

void
StageCollect(Refresh *refresh)
{
	Run		   *run = refresh->run;
	bool		anew = refresh->sources_changed || refresh->zone_changed;
	bool		moved;
	ChangeFollower follower = {
		.standing = refresh->baseline ? NULL : &refresh->standing,
		.cause = anew ? CAUSE_SETTING : CAUSE_DATA
	};

	StateWrite(&(StateChange) {.day = &run->now.day, .pending = refresh->pending});
	BeginLinkRules(run);
	refresh->parts = PartsAreWanted(run, refresh->sources, refresh->state.parts);
	if (!refresh->baseline)
	{
		if (refresh->parts && !refresh->state.parts)
			KeepAsPart();
		if (!refresh->parts && refresh->state.parts && !refresh->sources_changed)
			ForgetParts();
		StateMarkMixture(refresh->sources_changed != NULL, refresh->zone_changed != NULL);
	}
	StateKeepsParts(refresh->parts);
	moved = MovesBegin();
	RunCommit(run);				/* what is seen of us while we read */
	KeepForgotten(run);

	if (!refresh->baseline)
		StandingBegin(&refresh->standing, &run->now, run->rules, run->context);
	LimitOrders(run, refresh->sources, refresh->event_sources);
	CollectEvents(run, refresh->event_sources, RereadBecause(refresh, false), &follower);
	if (RereadBecause(refresh, true))
	{
		PersonsNoteWrong();
		if (run->link_rules)
			LinksNoteAll();
	}
	/* Who was linked since parts are wanted or not was decided has to wait for the next refresh. */
	if (refresh->parts)
		FollowLinks(run, &follower);
	CollectSources(run, refresh->sources, refresh->parts, RereadBecause(refresh, true),
				   !refresh->sources_changed && refresh->state.sources != NULL, &follower);
	if (moved)
		FollowMoves(refresh, &follower);
	ForgetProposals();
	FollowLinkRules(run, refresh->sources, refresh->parts, &follower);
	CollectSpend(run);
	KeepForgotten(run);

	/* Days of a source that could not be read are still those of the other zone or first day. */
	StateWrite(&(StateChange) {
		.time_zone = refresh->zone_changed && run->counts.left > 0 ? NULL : run->settings->day_rule,
		.sources = refresh->source_list, .pending = refresh->pending
	});
	RunTell(run, "profiles: " INT64_FORMAT " customers, " INT64_FORMAT " written, " INT64_FORMAT " removed",
			run->counts.customers, run->counts.profiles_written, run->counts.profiles_removed);
}

void
StageDue(Refresh *refresh)
{
	if (refresh->pending == CAUSE_NONE)
		EvaluateDue(refresh->run, &refresh->standing);
}

/* And note for which day and settings. */
bool
CalibrateNow(Run *run)
{
	Oid			types[3] = {DATEOID, TEXTOID, TEXTOID};
	Datum		values[3] = {DateADTGetDatum(run->now.day)};
	bool		added;

	RunActivity(run, "calibrating");
	values[1] = CStringGetTextDatum(ChoicesDigest(MOVES_CALIBRATION));
	added = Calibrate(&run->now);
	if (added)
	{
		values[2] = CStringGetTextDatum(ChoicesDigest(MOVES_CALIBRATION));
		/* What changed meanwhile is not in it, or in a part of it: calibrate again. */
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
	Datum		values[3] = {DateADTGetDatum(run->now.day), Int32GetDatum(run->settings->calibrate_every_days),
	CStringGetTextDatum(ChoicesDigest(MOVES_CALIBRATION))};

	SpiRun("SELECT s.cut_day IS NOT DISTINCT FROM $1,"
		   " coalesce(s.calibrated_on <= $1 AND $1 - s.calibrated_on < $2, false)"
		   " FROM custseg.refresh_state s WHERE s.cut_settings = $3",
		   3, types, values, NULL);
	if (SPI_processed > 0 && (SpiInt64(0, 1, 0) != 0 || (!force && SpiInt64(0, 2, 0) != 0)))
		return false;
	return CalibrateNow(run);
}

void
StageCalibrate(Refresh *refresh)
{
	Run		   *run = refresh->run;

	run->calibrated = CalibrateIfDue(run, refresh->baseline || run->asked.rebuild ||
									 refresh->sources_changed != NULL || refresh->zone_changed != NULL);
	if (run->calibrated)
		RelearnProducts(run, refresh->event_sources, refresh->baseline ? NULL : &refresh->standing);
	if (run->calibrated)
	{
		char	   *digest = RulesDigest(run->context, &run->rules);

		if (!refresh->baseline && strcmp(digest, refresh->digest) != 0)
			refresh->pending = CAUSE_CALIBRATION;
		refresh->digest = digest;
	}
}

void
StageEvaluate(Refresh *refresh)
{
	Run		   *run = refresh->run;

	if (refresh->pending != CAUSE_NONE)
	{
		StateWrite(&(StateChange) {.pending = refresh->pending});
		RunCommit(run);
		if (!refresh->baseline)
			CountStandings(run, &refresh->standing);
		EvaluateAllFor(run, run->now.day, &refresh->standing, refresh->pending);
	}
	else
		CountStandings(run, &refresh->standing);
	StateWrite(&(StateChange) {.rules = refresh->digest});
	RunTell(run, "standings: " INT64_FORMAT " evaluated, " INT64_FORMAT " written, " INT64_FORMAT " label changes",
			run->counts.evaluated, run->counts.standings_written, run->counts.transitions);
	RunCommit(run);

	if (run->counts.left_out > 0)
		RunNote(run, psprintf(INT64_FORMAT " customers who came to light had been silent for longer than"
							  " settings.backlog_days, and got no episode", run->counts.left_out));
	if (run->counts.left_out_sudden > 0)
		RunNote(run, psprintf(INT64_FORMAT " customers are silent by what a source had or lost all at once, and got no episode",
							  run->counts.left_out_sudden));
}

/*
 * Tasks and outcomes: those of everybody once a day, and after that of the
 * customers whose profile changed. Of most refreshes nobody's did.
 */
void
StageQueue(Refresh *refresh)
{
	Run		   *run = refresh->run;
	State	   *state = &refresh->state;
	ErrorData  *unread;

	if (refresh->backwards)
		return;
	refresh->choices = state->settled_at != DT_NOBEGIN ? QueueChoices() : NULL;
	if (refresh->choices && StateIsSettled(state, run, refresh->choices))
		refresh->customers = DatumGetArrayTypeP(IdArray(run->touched.ids, run->touched.n));
	FollowContacts(run);
	RunActivity(run, "planning recall tasks");
	refresh->settled = QueuePlan(&run->now, refresh->customers, state->settled_at, &unread);
	TellContacts(run, unread);
}

void
StageMeasure(Refresh *refresh)
{
	Run		   *run = refresh->run;

	if (refresh->backwards)
		return;
	MeasureOutcomes(&run->now, refresh->customers);
	if (refresh->settled)
		StateSettle(&refresh->state, run, refresh->customers == NULL,
					refresh->choices ? refresh->choices : QueueChoices());
}
