/*
 * standing.c
 *		Writing what we conclude about customers, where it changed.
 *
 * A batch is two streams in the order of the ids: the customers' profiles,
 * evaluated as they pass, and the standings they had. Merging them tells what
 * is new, what differs and what has no profile any more, and only that is
 * written, together with a transition for every label that changed.
 *
 * Where the shop has sources of events that labels depend on, those of the batch
 * to whom such an event happened are evaluated again, with it. Most shops have
 * none, and most customers of the others neither.
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
#include "facts/event.h"
#include "segment/standing.h"
#include "segment/transition.h"

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
	run->with_events = EventsMoveLabels();
}

bool
StandingIsEmpty(void)
{
	SpiRun("SELECT 1 FROM custseg.standing LIMIT 1", 0, NULL, NULL, NULL);
	return SPI_processed == 0;
}

#define HAPPENED	7			/* timelines that an evaluation is made of */

/* "stored" are orders, and what the view custseg.label_event has. */
static void
EvaluateStanding(StandingRun *run, int64 customer_id, struct varlena *const *stored, int n, Standing *standing)
{
	struct varlena *timelines[HAPPENED] = {NULL};
	Happened	happened;

	for (int i = 0; i < n; i++)
		timelines[i] = stored[i] ? pg_detoast_datum_packed(stored[i]) : NULL;
	happened = (Happened) {timelines[0], timelines[1], timelines[2], timelines[3], timelines[4], timelines[5], timelines[6]};
	standing->customer_id = customer_id;
	EvaluateHappened(&run->rules, &happened, run->now.day, &standing->evaluation);
	for (int i = 0; i < n; i++)
		if (timelines[i] != stored[i])
			pfree(timelines[i]);
	run->evaluated++;
	if (run->evaluated % 1024 == 0)
		CHECK_FOR_INTERRUPTS();
}

/* A row of a customer's id and timelines: of orders, and perhaps the others. */
static void
EvaluateSlot(StandingRun *run, TupleTableSlot *slot, Standing *standing)
{
	struct varlena *stored[HAPPENED];
	int			n = slot->tts_tupleDescriptor->natts - 1;

	for (int i = 0; i < n; i++)
		stored[i] = slot->tts_isnull[i + 1] ? NULL : (struct varlena *) DatumGetPointer(slot->tts_values[i + 1]);
	EvaluateStanding(run, DatumGetInt64(slot->tts_values[0]), stored, n, standing);
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
	static SPIPlanPtr plans[2];
	SPIPlanPtr *plan = &plans[run->with_events];
	Baseline	baseline = {run, BulkOpen(run->relid, COLUMNS)};
	int64		n;

	SpiKeep(plan, run->with_events ?
			"SELECT p.customer_id, p.timeline, " LABEL_EVENTS " FROM custseg.profile p"
			" LEFT JOIN custseg.label_event h USING (customer_id)" :
			"SELECT customer_id, timeline FROM custseg.profile", 0, NULL);
	SpiStream(*plan, 0, NULL, NULL, BaselineRow, &baseline);
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
						" activity = u.activity, recall_class = u.recall_class, follow_up_at = u.follow_up_at,"
						" silent_at = u.silent_at, lost_at = u.lost_at, next_eval_at = u.next_eval_at"
						" FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
						" AS u (customer_id, r_score, f_score, m_score, tier, lifecycle, quadrant,"
						" activity, recall_class, follow_up_at, silent_at, lost_at, next_eval_at)"
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
	Changes		transitions;
	Oid			columns[COLUMNS] = {INT8OID, INT2OID, INT2OID, INT2OID, 0, 0, 0, 0, 0,
	DATEOID, DATEOID, DATEOID, DATEOID};
	int64		replaced = 0;
	int			i = 0;
	int			j = 0;

	for (int c = 0; c < COLUMNS; c++)
		updates.columns[c].type = columns[c] ? columns[c] : run->types.types[c - 4];
	deletes.columns[0].type = INT8OID;
	TransitionsBegin(&transitions);

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
	"customer_id, r_score, f_score, m_score, tier, lifecycle, quadrant, activity, recall_class," \
	" follow_up_at, silent_at, lost_at, next_eval_at, ctid"

static void
SortStandings(Standings *standings)
{
	if (standings->n > 1)
		qsort(standings->rows, standings->n, sizeof(Standing), CompareStandings);
}

/* A customer of the batch to whom something happened. */
static void
EventRow(TupleTableSlot *slot, void *arg)
{
	Standings  *now = arg;
	Standing	wanted = {.customer_id = DatumGetInt64(slot->tts_values[0])};
	Standing   *standing = bsearch(&wanted, now->rows, now->n, sizeof(Standing), CompareStandings);

	if (standing == NULL)
		return;
	now->run->evaluated--;		/* again */
	EvaluateSlot(now->run, slot, standing);
}

#define CUSTOMERS_WITH_EVENTS \
	"SELECT customer_id, p.timeline, " LABEL_EVENTS \
	" FROM custseg.label_event h JOIN custseg.profile p USING (customer_id) WHERE "

/* Those evaluated, sorted, some of whose ids are in an array, ... */
static void
EvaluateEvents(Standings *now, Datum ids)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[1] = {INT8ARRAYOID};

	if (!now->run->with_events || now->n == 0)
		return;
	SpiKeep(&plan, CUSTOMERS_WITH_EVENTS "h.customer_id = ANY ($1)", 1, types);
	SpiStream(plan, 1, types, &ids, EventRow, now);
}

/* ... or from one id to another. */
static void
EvaluateEventsOf(Standings *now, int64 after, int64 last)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[2] = {INT8OID, INT8OID};
	Datum		values[2] = {Int64GetDatum(after), Int64GetDatum(last)};

	if (!now->run->with_events || now->n == 0)
		return;
	SpiKeep(&plan, CUSTOMERS_WITH_EVENTS "h.customer_id > $1 AND h.customer_id <= $2", 2, types);
	SpiStream(plan, 2, types, values, EventRow, now);
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
			EvaluateStanding(run, ids[i], &timelines[i], 1, NextStanding(&batch.now));
	SpiKeep(&read_standing,
			"SELECT " STANDING_COLUMNS " FROM custseg.standing WHERE customer_id = ANY ($1)",
			1, types);
	array = IdArray(ids, n);
	SpiStream(read_standing, 1, types, &array, StandingRow, &batch.was);
	SortStandings(&batch.now);
	SortStandings(&batch.was);
	EvaluateEvents(&batch.now, array);
	WriteDifference(run, &batch.now, &batch.was, cause);
	BatchEnd(&batch);
	return n;
}

/* Evaluate the customers of standings that were found, sorted, and write the difference. */
static void
EvaluateFound(Batch *batch, Cause cause)
{
	static SPIPlanPtr read_profile = NULL;
	Oid			types[1] = {INT8ARRAYOID};
	int64	   *ids = palloc_extended(Max(batch->was.n, 1) * sizeof(int64), MCXT_ALLOC_HUGE);
	Datum		array;

	for (int i = 0; i < batch->was.n; i++)
		ids[i] = batch->was.rows[i].customer_id;
	SpiKeep(&read_profile,
			"SELECT customer_id, timeline FROM custseg.profile WHERE customer_id = ANY ($1)",
			1, types);
	array = IdArray(ids, batch->was.n);
	SpiStream(read_profile, 1, types, &array, ProfileRow, &batch->now);
	SortStandings(&batch->now);
	EvaluateEvents(&batch->now, array);
	WriteDifference(batch->now.run, &batch->now, &batch->was, cause);
}

void
StandingEvaluateCustomers(StandingRun *run, const int64 *ids, int n, Cause cause)
{
	static SPIPlanPtr read_standing = NULL;
	Oid			types[1] = {INT8ARRAYOID};
	Datum		array;
	Batch		batch;

	if (n == 0)
		return;
	BatchBegin(&batch, run);
	SpiKeep(&read_standing,
			"SELECT " STANDING_COLUMNS " FROM custseg.standing WHERE customer_id = ANY ($1)",
			1, types);
	array = IdArray(ids, n);
	SpiStream(read_standing, 1, types, &array, StandingRow, &batch.was);
	SortStandings(&batch.was);
	EvaluateFound(&batch, cause);
	BatchEnd(&batch);
}

int64
StandingEvaluateDue(StandingRun *run, int limit)
{
	static SPIPlanPtr read_standing = NULL;
	Oid			types[2] = {DATEOID, INT4OID};
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
		SortStandings(&batch.was);
		EvaluateFound(&batch, CAUSE_TIME);
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
	EvaluateEventsOf(&batch.now, after, *last);
	WriteDifference(run, &batch.now, &batch.was, cause);
	BatchEnd(&batch);
	return seen;
}
