/*
 * collect_lines.c
 *		The sources of lines of orders, in a refresh: their products.
 *
 * Lines are read as events are (collect_events.c), and are judged by what their
 * products usually cost. That is learnt before the first read and then with each
 * calibration only. Where it comes out different the lines are read anew at once,
 * so that all of them are judged by the same.
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "common/attempt.h"
#include "common/spi.h"
#include "facts/event.h"
#include "facts/product.h"
#include "refresh/collect.h"
#include "refresh/collect_lines.h"
#include "refresh/incremental.h"
#include "refresh/trust.h"
#include "source/read.h"
#include "track/change_log.h"

typedef struct Learning
{
	Run		   *run;
	Source	   *source;
	bool		changed;
} Learning;

static void
Learn(void *arg)
{
	Learning   *learning = arg;
	Run		   *run = learning->run;
	Source	   *source = learning->source;

	RunActivity(run, "learning the products of %s", SourceRelation(source));
	SourceOpen(source);
	run->reading = SourceShown(source);
	learning->changed = ProductsLearn(source, run->settings->time_zone, run->now.day);
	if (learning->changed)
	{
		Oid			types[1] = {INT4OID};
		Datum		values[1] = {Int32GetDatum(source->source_id)};

		/* If this run dies, the next has to read it, whole. */
		SpiRun("UPDATE custseg.source_mapping SET problem = 'its products were learnt anew, and its lines were not read by them yet',"
			   " tracked_layout = CASE WHEN tracked_layout IS NOT NULL THEN '" MIXED_LAYOUT "' END"
			   " WHERE source_id = $1 AND last_read IS NOT NULL", 1, types, values, NULL);
	}
}

/* True if it went well. */
static bool
TryToLearn(Learning *learning)
{
	Run		   *run = learning->run;
	Source	   *source = learning->source;
	ErrorData  *error = Attempt(Learn, learning);

	source->products = NULL;	/* those it had are not those that are stored */
	if (error != NULL)
	{
		RunNoteRead(run, source->source_id, reading_names[READ_NOT], NULL);
		TellFailure(run, source, error);
	}
	run->reading = NULL;
	RunCommit(run);
	return error == NULL;
}

bool
LearnFirstProducts(Run *run, Source *source)
{
	Learning	learning = {run, source};

	if (source->kind != SOURCE_LINES || source->last_read != DT_NOBEGIN ||
		(run->asked.only_source != 0 && run->asked.only_source != source->source_id))
		return true;
	return TryToLearn(&learning);
}

void
LimitOrders(Run *run, List *orders, List *lines)
{
	char	   *now = NULL;
	ListCell   *cell;
	ListCell   *other;

	foreach(cell, lines)
		foreach(other, orders)
		{
			const Source *source = lfirst(cell);
			Source	   *of = lfirst(other);

			if (!source->tracked || source->orders_source != of->source_id)
				continue;
			if (now == NULL)
				now = MemoryContextStrdup(run->context, ChangeLogSnapshot());
			of->changes_until = now;
		}
}

void
NoteLinesRead(Run *run, const Source *source, bool went_well)
{
	int			only = run->asked.only_source;

	if (source->orders_source == 0 || !source->tracked || (only != 0 && only != source->orders_source && only != source->source_id) ||
		(went_well && (only == 0 || only == source->source_id)))
		return;
	SpiRun(psprintf("UPDATE custseg.source_mapping SET tracked_layout = '" MIXED_LAYOUT "' WHERE source_id = %d"
					" AND tracked_layout IS NOT NULL AND (EXISTS (SELECT FROM custseg.change_log WHERE source_id = %d)"
					"  OR EXISTS (SELECT FROM custseg.change_gap WHERE source_id = %d))",
					source->source_id, source->orders_source, source->orders_source), 0, NULL, NULL, NULL);
	RunCommit(run);
}

void
RelearnProducts(Run *run, List *sources, StandingRun *standing)
{
	ListCell   *cell;

	foreach(cell, sources)
	{
		Source	   *source = lfirst(cell);
		Learning	learning = {run, source};
		ChangeFollower follower = {.standing = standing,.cause = CAUSE_CALIBRATION};
		ProfileTarget target;
		char	   *snapshot = NULL;

		/* One that was never read learns before that. */
		if (source->kind != SOURCE_LINES || source->last_read == DT_NOBEGIN || !TryToLearn(&learning) || !learning.changed)
			continue;
		TargetOfEvents(&target, source);
		CollectOne(run, source, &target, &follower, "what its products cost, or which are bestsellers, changed", true, &snapshot);
		if (snapshot)
			ChangeLogForget(source->source_id, snapshot);
	}
}
