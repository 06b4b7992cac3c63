/*
 * standing.c
 *		Writing what we conclude about customers, where it changed.
 *
 * A batch is two streams in the order of the ids: the customers' profiles,
 * evaluated as they pass, and the standings they had. Merging them tells what
 * is new, what differs and what has no profile any more, and only that is
 * written, together with a transition for every label that changed.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "common/bulk.h"
#include "common/changes.h"
#include "common/ids.h"
#include "common/spi.h"
#include "common/stream.h"
#include "segment/standing.h"

#define COLUMNS (1 + EVALUATION_COLUMNS)

/* A customer's standing, as stored or as it should be. */
typedef struct Standing
{
	int64		customer_id;
	ItemPointerData place;		/* of one that is stored */
	Evaluation	evaluation;
} Standing;

typedef struct Standings
{
	StandingRun *run;
	MemoryContext context;
	Standing   *rows;
	int			n;
	int			size;
} Standings;

typedef enum Label
{
	LABEL_TIER,
	LABEL_LIFECYCLE,
	LABEL_QUADRANT,
	LABEL_ACTIVITY,
} Label;
#define LABELS 4

static const char *const label_columns[LABELS] = {"tier", "lifecycle", "quadrant", "activity"};

const char *const cause_names[CAUSES] = {
	[CAUSE_BASELINE] = "baseline",
	[CAUSE_DATA] = "data",
	[CAUSE_TIME] = "time",
	[CAUSE_CALIBRATION] = "calibration",
	[CAUSE_SETTING] = "setting",
	[CAUSE_IDENTITY] = "identity",
};

Cause
CauseNamed(const char *name)
{
	for (int cause = CAUSE_NONE + 1; name && cause < CAUSES; cause++)
		if (strcmp(cause_names[cause], name) == 0)
			return (Cause) cause;
	return CAUSE_NONE;
}

void
StandingBegin(StandingRun *run, const Moment *now, Datum rules, MemoryContext context)
{
	Relation	rel;
	MemoryContext old;

	memset(run, 0, sizeof(StandingRun));
	run->now = *now;
	run->relid = OwnRelation("standing");

	rel = table_open(run->relid, AccessShareLock);
	LoadLabelTypes(RelationGetDescr(rel), 1, &run->types);
	table_close(rel, AccessShareLock);

	old = MemoryContextSwitchTo(context);
	ParseRules(DatumGetHeapTupleHeader(rules), &run->rules);
	MemoryContextSwitchTo(old);
}

bool
StandingIsEmpty(void)
{
	SpiRun("SELECT 1 FROM custseg.standing LIMIT 1", 0, NULL, NULL, NULL);
	return SPI_processed == 0;
}

static void
EvaluateStanding(StandingRun *run, int64 customer_id, struct varlena *stored, Standing *standing)
{
	struct varlena *timeline = pg_detoast_datum_packed(stored);

	standing->customer_id = customer_id;
	EvaluateTimeline(&run->rules, timeline, run->now.day, &standing->evaluation);
	if (timeline != stored)
		pfree(timeline);
	run->evaluated++;
	if (run->evaluated % 1024 == 0)
		CHECK_FOR_INTERRUPTS();
}

/* A row of a customer's id and timeline. */
static void
EvaluateSlot(StandingRun *run, TupleTableSlot *slot, Standing *standing)
{
	EvaluateStanding(run, DatumGetInt64(slot->tts_values[0]),
			 (struct varlena *) DatumGetPointer(slot->tts_values[1]), standing);
}

typedef struct Baseline
{
	StandingRun *run;
	BulkWriter *writer;
} Baseline;

static void
BaselineRow(TupleTableSlot *slot, void *arg)
{
	Baseline   *baseline = arg;
	Standing	standing;
	Datum		values[COLUMNS];
	bool		nulls[COLUMNS];

	EvaluateSlot(baseline->run, slot, &standing);
	values[0] = Int64GetDatum(standing.customer_id);
	nulls[0] = false;
	EvaluationToColumns(&standing.evaluation, &baseline->run->types, values + 1, nulls + 1);
	BulkPut(baseline->writer, values, nulls);
}

int64
StandingBaseline(StandingRun *run)
{
	static SPIPlanPtr plan = NULL;
	Baseline	baseline = {run, BulkOpen(run->relid, COLUMNS)};
	int64		n;

	SpiKeep(&plan, "SELECT customer_id, timeline FROM custseg.profile", 0, NULL);
	SpiStream(plan, 0, NULL, NULL, BaselineRow, &baseline);
	n = BulkClose(baseline.writer);
	run->inserted += n;
	return n;
}

static Standing *
NextStanding(Standings *standings)
{
	if (standings->n == standings->size)
	{
		standings->size = Max(standings->size * 2, 1024);
		standings->rows = standings->rows == NULL ?
			MemoryContextAllocHuge(standings->context, standings->size * sizeof(Standing)) :
			repalloc_huge(standings->rows, standings->size * sizeof(Standing));
	}
	return &standings->rows[standings->n++];
}

static void
ProfileRow(TupleTableSlot *slot, void *arg)
{
	Standings  *now = arg;

	EvaluateSlot(now->run, slot, NextStanding(now));
}

static void
StandingRow(TupleTableSlot *slot, void *arg)
{
	Standings  *was = arg;
	Standing   *standing = NextStanding(was);

	standing->customer_id = DatumGetInt64(slot->tts_values[0]);
	EvaluationFromColumns(slot->tts_values + 1, slot->tts_isnull + 1, &was->run->types,
						  &standing->evaluation);
	standing->place = *(ItemPointer) DatumGetPointer(slot->tts_values[COLUMNS]);
}

static int
CompareStandings(const void *a, const void *b)
{
	int64		x = ((const Standing *) a)->customer_id;
	int64		y = ((const Standing *) b)->customer_id;

	return (x > y) - (x < y);
}

/* The name of a label's value, NULL when there is none. */
static const char *
LabelText(const Evaluation *evaluation, Label label)
{
	if (evaluation == NULL)
		return NULL;
	switch (label)
	{
		case LABEL_TIER:
			return evaluation->tier == NO_LABEL ? NULL : tier_names[evaluation->tier][0];
		case LABEL_LIFECYCLE:
			return lifecycle_names[evaluation->lifecycle][0];
		case LABEL_QUADRANT:
			return evaluation->quadrant == NO_LABEL ? NULL : quadrant_names[evaluation->quadrant][0];
		case LABEL_ACTIVITY:
			return activity_names[evaluation->activity][0];
	}
	return NULL;
}

/*
 * A pass for a new calibration, setting or person also meets customers whose silence
 * came by time alone. Only data and time start episodes, so they must not be
 * swallowed by the pass: what the old clocks say for today is by time.
 */
static Cause
CauseOf(Label label, Cause cause, const Evaluation *was, const Evaluation *now, DateADT day)
{
	Lifecycle	by_time;

	if ((cause != CAUSE_CALIBRATION && cause != CAUSE_SETTING && cause != CAUSE_IDENTITY) || was == NULL || now == NULL ||
		was->next_eval_at == NO_DAY || was->next_eval_at > day)
		return cause;
	if (label == LABEL_TIER)
		return cause;
	if (label == LABEL_ACTIVITY || was->lifecycle == LIFECYCLE_PROSPECT)
		return CAUSE_TIME;

	by_time = day >= was->lost_at ? LIFECYCLE_LOST :
		day >= was->silent_at ? LIFECYCLE_SILENT :
		day >= was->follow_up_at ? LIFECYCLE_AT_RISK : was->lifecycle;
	return by_time != was->lifecycle && by_time == now->lifecycle ? CAUSE_TIME : cause;
}

/* Note a transition for every label that differs. NULL: there was, or is, no standing. */
static void
NoteTransitions(StandingRun *run, Changes *transitions, int64 customer_id, Cause cause,
				const Evaluation *was, const Evaluation *now)
{
	if (cause == CAUSE_BASELINE)
		return;
	for (int label = 0; label < LABELS; label++)
	{
		const char *from = LabelText(was, label);
		const char *to = LabelText(now, label);
		const char *why;
		Datum		values[5];
		bool		nulls[5] = {0};

		/* The names are constants: the same name is the same pointer. */
		if (from == to)
			continue;
		why = cause_names[CauseOf(label, cause, was, now, run->now.day)];
		values[0] = Int64GetDatum(customer_id);
		values[1] = CStringGetTextDatum(label_columns[label]);
		values[2] = from ? CStringGetTextDatum(from) : (Datum) 0;
		nulls[2] = from == NULL;
		values[3] = to ? CStringGetTextDatum(to) : (Datum) 0;
		nulls[3] = to == NULL;
		values[4] = CStringGetTextDatum(why);
		AddChange(transitions, values, nulls);
	}
}

static void
WriteTransitions(StandingRun *run, Changes *transitions)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[3] = {TIMESTAMPTZOID, DATEOID, INT8OID};
	Datum		values[3];

	if (transitions->n == 0)
		return;
	values[0] = TimestampTzGetDatum(run->now.as_of);
	values[1] = DateADTGetDatum(run->now.day);
	values[2] = Int64GetDatum(run->now.run_id);
	run->transitions +=
		WriteChanges(&plan,
					 "INSERT INTO custseg.transition"
					 " (customer_id, label, from_value, to_value, cause, at, changed_on, run_id)"
					 " SELECT u.customer_id, u.label, u.from_value, u.to_value, u.cause, $6, $7, $8"
					 " FROM unnest($1, $2, $3, $4, $5)"
					 " AS u (customer_id, label, from_value, to_value, cause)",
					 transitions, 3, types, values);
}

/* Those who are not at their place any more, or all where an update has to be a statement. */
static void
WriteUpdates(StandingRun *run, Changes *updates)
{
	static SPIPlanPtr plan = NULL;

	if (updates->n == 0)
		return;
	(void) WriteChanges(&plan,
						"UPDATE custseg.standing s"
						" SET r_score = u.r_score, f_score = u.f_score, m_score = u.m_score,"
						" tier = u.tier, lifecycle = u.lifecycle, quadrant = u.quadrant,"
						" activity = u.activity, follow_up_at = u.follow_up_at,"
						" silent_at = u.silent_at, lost_at = u.lost_at, next_eval_at = u.next_eval_at"
						" FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
						" AS u (customer_id, r_score, f_score, m_score, tier, lifecycle, quadrant,"
						" activity, follow_up_at, silent_at, lost_at, next_eval_at)"
						" WHERE s.customer_id = u.customer_id", updates, 0, NULL, NULL);
	run->updated += updates->n;
}

static void
WriteDeletes(StandingRun *run, Changes *deletes)
{
	static SPIPlanPtr plan = NULL;

	if (deletes->n == 0)
		return;
	run->deleted += WriteChanges(&plan,
								 "DELETE FROM custseg.standing WHERE customer_id = ANY ($1)",
								 deletes, 0, NULL, NULL);
}

/* Merge what is so with what was written, and write the difference. */
static void
WriteDifference(StandingRun *run, Standings *now, Standings *was, Cause cause)
{
	BulkWriter *writer = NULL;
	Changes		updates = {COLUMNS};
	Changes		deletes = {1};
	Changes		transitions = {5};
	Oid			columns[COLUMNS] = {INT8OID, INT2OID, INT2OID, INT2OID, 0, 0, 0, 0,
	DATEOID, DATEOID, DATEOID, DATEOID};
	int64		replaced = 0;
	int			i = 0;
	int			j = 0;

	for (int c = 0; c < COLUMNS; c++)
		updates.columns[c].type = columns[c] ? columns[c] : run->types.types[c - 4];
	deletes.columns[0].type = INT8OID;
	transitions.columns[0].type = INT8OID;
	for (int c = 1; c < 5; c++)
		transitions.columns[c].type = TEXTOID;

	while (i < now->n || j < was->n)
	{
		Standing   *new = i < now->n ? &now->rows[i] : NULL;
		Standing   *old = j < was->n ? &was->rows[j] : NULL;
		Datum		values[COLUMNS];
		bool		nulls[COLUMNS] = {0};

		if (new && old && new->customer_id != old->customer_id)
		{
			if (new->customer_id < old->customer_id)
				old = NULL;
			else
				new = NULL;
		}
		i += new != NULL;
		j += old != NULL;
		if (new && old && memcmp(&new->evaluation, &old->evaluation, sizeof(Evaluation)) == 0)
			continue;

		values[0] = Int64GetDatum(new ? new->customer_id : old->customer_id);
		NoteTransitions(run, &transitions, DatumGetInt64(values[0]), cause,
						old ? &old->evaluation : NULL, new ? &new->evaluation : NULL);
		if (new == NULL)
		{
			AddChange(&deletes, values, nulls);
			continue;
		}
		EvaluationToColumns(&new->evaluation, &run->types, values + 1, nulls + 1);
		if (writer == NULL)
			writer = BulkOpen(run->relid, COLUMNS);
		if (old == NULL)
			BulkPut(writer, values, nulls);
		else if (BulkReplace(writer, &old->place, values, nulls))
			replaced++;
		else
			AddChange(&updates, values, nulls);
	}

	if (writer)
		run->inserted += BulkClose(writer) - replaced;
	run->updated += replaced;
	WriteUpdates(run, &updates);
	WriteDeletes(run, &deletes);
	WriteTransitions(run, &transitions);
}

/* A batch's memory and planner settings. */
typedef struct Batch
{
	MemoryContext context;
	MemoryContext saved;
	int			level;
	Standings	now;
	Standings	was;
} Batch;

static void
BatchBegin(Batch *batch, StandingRun *run)
{
	memset(batch, 0, sizeof(Batch));
	batch->context = AllocSetContextCreate(CurrentMemoryContext, "custseg standing batch",
										   ALLOCSET_DEFAULT_SIZES);
	batch->saved = MemoryContextSwitchTo(batch->context);
	batch->level = PlanInOrderBegin();
	batch->now.run = batch->was.run = run;
	batch->now.context = batch->was.context = batch->context;
}

static void
BatchEnd(Batch *batch)
{
	PlanByIndexEnd(batch->level);
	MemoryContextSwitchTo(batch->saved);
	MemoryContextDelete(batch->context);
}

#define STANDING_COLUMNS \
	"customer_id, r_score, f_score, m_score, tier, lifecycle, quadrant, activity," \
	" follow_up_at, silent_at, lost_at, next_eval_at, ctid"

static void
SortStandings(Standings *standings)
{
	if (standings->n > 1)
		qsort(standings->rows, standings->n, sizeof(Standing), CompareStandings);
}

int64
StandingEvaluateChanged(StandingRun *run, const int64 *ids, struct varlena *const *timelines, int n,
						Cause cause)
{
	static SPIPlanPtr read_standing = NULL;
	Oid			types[1] = {INT8ARRAYOID};
	Datum		array;
	Batch		batch;

	if (n == 0)
		return 0;
	BatchBegin(&batch, run);
	for (int i = 0; i < n; i++)
		if (timelines[i])
			EvaluateStanding(run, ids[i], timelines[i], NextStanding(&batch.now));
	SpiKeep(&read_standing,
			"SELECT " STANDING_COLUMNS " FROM custseg.standing WHERE customer_id = ANY ($1)",
			1, types);
	array = IdArray(ids, n);
	SpiStream(read_standing, 1, types, &array, StandingRow, &batch.was);
	SortStandings(&batch.now);
	SortStandings(&batch.was);
	WriteDifference(run, &batch.now, &batch.was, cause);
	BatchEnd(&batch);
	return n;
}

int64
StandingEvaluateDue(StandingRun *run, int limit)
{
	static SPIPlanPtr read_standing = NULL;
	static SPIPlanPtr read_profile = NULL;
	Oid			types[2] = {DATEOID, INT4OID};
	Oid			ids_type[1] = {INT8ARRAYOID};
	Datum		values[2] = {DateADTGetDatum(run->now.day), Int32GetDatum(limit)};
	Batch		batch;
	int			n;

	BatchBegin(&batch, run);
	SpiKeep(&read_standing,
			"SELECT " STANDING_COLUMNS " FROM custseg.standing WHERE next_eval_at <= $1"
			" ORDER BY next_eval_at LIMIT $2",
			2, types);
	SpiStream(read_standing, 2, types, values, StandingRow, &batch.was);
	n = batch.was.n;
	if (n > 0)
	{
		int64	   *ids = palloc_extended(n * sizeof(int64), MCXT_ALLOC_HUGE);
		Datum		array;

		SortStandings(&batch.was);
		for (int i = 0; i < n; i++)
			ids[i] = batch.was.rows[i].customer_id;
		SpiKeep(&read_profile,
				"SELECT customer_id, timeline FROM custseg.profile WHERE customer_id = ANY ($1)",
				1, ids_type);
		array = IdArray(ids, n);
		SpiStream(read_profile, 1, ids_type, &array, ProfileRow, &batch.now);
		SortStandings(&batch.now);
		WriteDifference(run, &batch.now, &batch.was, CAUSE_TIME);
	}
	BatchEnd(&batch);
	return n;
}

int64
StandingEvaluateRange(StandingRun *run, int64 after, int limit, Cause cause, int64 *last)
{
	static SPIPlanPtr read_profile = NULL;
	static SPIPlanPtr read_standing = NULL;
	Oid			profile_types[2] = {INT8OID, INT4OID};
	Oid			standing_types[2] = {INT8OID, INT8OID};
	Datum		values[2];
	Batch		batch;
	int64		seen;

	BatchBegin(&batch, run);
	SpiKeep(&read_profile,
			"SELECT customer_id, timeline FROM custseg.profile WHERE customer_id > $1"
			" ORDER BY customer_id LIMIT $2",
			2, profile_types);
	SpiKeep(&read_standing,
			"SELECT " STANDING_COLUMNS " FROM custseg.standing"
			" WHERE customer_id > $1 AND customer_id <= $2 ORDER BY customer_id",
			2, standing_types);

	values[0] = Int64GetDatum(after);
	values[1] = Int32GetDatum(limit);
	SpiStream(read_profile, 2, profile_types, values, ProfileRow, &batch.now);

	/* A last, short batch answers for every id that is left. */
	seen = batch.now.n;
	*last = seen == 0 ? after : batch.now.rows[seen - 1].customer_id;
	values[1] = Int64GetDatum(seen < limit ? PG_INT64_MAX : *last);
	SpiStream(read_standing, 2, standing_types, values, StandingRow, &batch.was);
	WriteDifference(run, &batch.now, &batch.was, cause);
	BatchEnd(&batch);
	return seen;
}
