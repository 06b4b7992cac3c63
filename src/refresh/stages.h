/*
 * stages.h
 *		The stages of a refresh, in their order.
 *
 * Each is called in a batch (RunBegin) and leaves one; it may commit in between.
 */
#ifndef CUSTSEG_STAGES_H
#define CUSTSEG_STAGES_H

#include "refresh/merge_profile.h"
#include "refresh/state.h"

/* What a refresh knows besides its run, from the stage on that finds it out. */
typedef struct Refresh
{
	Run		   *run;

	/* StageBegin */
	State		state;			/* as it was */
	List	   *sources;		/* of orders */
	List	   *event_sources;
	char	   *source_list;
	const char *sources_changed;	/* why so, or NULL */
	const char *zone_changed;
	bool		baseline;		/* nobody was evaluated yet */
	bool		backwards;		/* for an earlier day than the last */

	/* StageSettings */
	char	   *digest;			/* of the rules that everybody is evaluated by */
	Cause		pending;		/* why everybody is to be evaluated, or CAUSE_NONE */

	bool		parts;			/* each source's part is kept beside the profiles; from StageCollect on */
	StandingRun standing;		/* from StageCollect on, but for a baseline */

	/* StageQueue */
	ArrayType  *customers;		/* about whom tasks and outcomes may be; NULL: all */
	bool		settled;		/* nothing is left to be done about them */
	char	   *choices;
} Refresh;

/*
 * What there is to do. Copies of a database, other sources and another zone
 * mean that everything is read anew.
 */
extern void StageBegin(Refresh *refresh);

/*
 * Settings first, and for the day that was evaluated last: what changes now
 * changes for no other reason (CAUSE_SETTING). Also what a run that died left.
 */
extern void StageSettings(Refresh *refresh);

/*
 * Sources to profiles, by comparison. Customers whose profile changed are
 * evaluated in the same transaction (CAUSE_DATA; new sources and zones are
 * settings, not events).
 */
extern void StageCollect(Refresh *refresh);

/* The passing of time: customers whose next_eval_at has come (CAUSE_TIME). */
extern void StageDue(Refresh *refresh);

/* New cut points and models, when the last are old. */
extern void StageCalibrate(Refresh *refresh);

/*
 * Everybody, when the rules changed by that (CAUSE_CALIBRATION), or when nobody
 * was evaluated yet (CAUSE_BASELINE, which writes no transitions).
 */
extern void StageEvaluate(Refresh *refresh);

/* Tasks for today, within capacity; and what became of episodes. */
extern void StageQueue(Refresh *refresh);
extern void StageMeasure(Refresh *refresh);

/* Calibrate, whatever was done before. False in a shop without orders. */
extern bool CalibrateNow(Run *run);

/* Evaluate everybody by the run's rules, for a day. */
extern void EvaluateAllFor(Run *run, DateADT day, StandingRun *standing, Cause cause);

/* The shop's day of the run's moment, which must not lie ahead. */
extern DateADT RunDay(const Run *run);

#endif							/* CUSTSEG_STAGES_H */
