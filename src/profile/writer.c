/*
 * writer.c
 *		Collected customers into custseg.profile, or another table of timelines,
 *		where they differ.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "common/bulk.h"
#include "common/ids.h"
#include "common/spi.h"
#include "common/stream.h"
#include "person/forgotten.h"
#include "profile/compare.h"
#include "profile/writer.h"

static SPIPlanPtr profile_plans[TARGET_STATEMENTS];
static SPIPlanPtr part_plans[TARGET_STATEMENTS];

static const TargetTable profile_table = {
	"profile",
	{
		[READ_IDS] = "SELECT customer_id, timeline FROM custseg.profile"
		" WHERE customer_id = ANY ($1) ORDER BY customer_id",
		[UPDATE_ROWS] = "UPDATE custseg.profile p SET timeline = n.timeline"
		" FROM unnest($1, $2) n (customer_id, timeline) WHERE p.customer_id = n.customer_id",
		[DELETE_ROWS] = "DELETE FROM custseg.profile WHERE customer_id = ANY ($1)",
		[LIST_IDS] = "SELECT customer_id FROM custseg.profile"
		" WHERE customer_id > $1 ORDER BY customer_id LIMIT $2",
		[ANY_ROW] = "SELECT FROM custseg.profile LIMIT 1",
	},
	profile_plans
};

/* There the source is the last parameter. */
static const TargetTable part_table = {
	"profile_part",
	{
		[READ_IDS] = "SELECT customer_id, timeline FROM custseg.profile_part"
		" WHERE source_id = $2 AND customer_id = ANY ($1) ORDER BY customer_id",
		[UPDATE_ROWS] = "UPDATE custseg.profile_part p SET timeline = n.timeline"
		" FROM unnest($1, $2) n (customer_id, timeline) WHERE p.source_id = $3 AND p.customer_id = n.customer_id",
		[DELETE_ROWS] = "DELETE FROM custseg.profile_part WHERE source_id = $2 AND customer_id = ANY ($1)",
		[LIST_IDS] = "SELECT customer_id FROM custseg.profile_part"
		" WHERE source_id = $3 AND customer_id > $1 ORDER BY customer_id LIMIT $2",
		[ANY_ROW] = "SELECT FROM custseg.profile_part WHERE source_id = $1 LIMIT 1",
	},
	part_plans
};

void
TargetOrders(ProfileTarget *target, int source_id)
{
	memset(target, 0, sizeof(*target));
	target->table = source_id ? &part_table : &profile_table;
	target->source_id = source_id;
}

Datum
TargetEvents(const ProfileTarget *target)
{
	Datum	   *ids = palloc(target->n_events * sizeof(Datum));

	for (int i = 0; i < target->n_events; i++)
		ids[i] = Int32GetDatum(target->events[i].event_id);
	return PointerGetDatum(construct_array(ids, target->n_events, INT4OID, sizeof(int32), true, TYPALIGN_INT));
}

/* Those of rows. */
static Datum
RowEvents(const Collected *const *rows, int n)
{
	Datum	   *ids = palloc_extended(Max(n, 1) * sizeof(Datum), MCXT_ALLOC_HUGE);

	for (int i = 0; i < n; i++)
		ids[i] = Int32GetDatum(rows[i]->event_id);
	return PointerGetDatum(construct_array(ids, n, INT4OID, sizeof(int32), true, TYPALIGN_INT));
}

/* The kept plan of a statement; adds the source or its events to the parameters where there are any. */
static SPIPlanPtr
KeptPlan(const ProfileTarget *target, TargetStatement statement, int *nargs, Oid *types, Datum *values)
{
	if (target->events)
	{
		types[*nargs] = INT4ARRAYOID;
		values[(*nargs)++] = TargetEvents(target);
	}
	else if (target->source_id)
	{
		types[*nargs] = INT4OID;
		values[(*nargs)++] = Int32GetDatum(target->source_id);
	}
	return SpiKeep(&target->table->plans[statement], target->table->statements[statement], *nargs, types);
}

static uint64
Run(const ProfileTarget *target, TargetStatement statement, int nargs, Oid *types, Datum *values)
{
	return SpiRunPlan(KeptPlan(target, statement, &nargs, types, values), values, NULL);
}

/* Room for that many more. */
static void
MakeRoomForChanges(ProfileChanges *changes, int more)
{
	Size		n = Max(changes->n + more, 1);

	changes->ids = changes->ids ? repalloc_huge(changes->ids, n * sizeof(int64)) :
		palloc_extended(n * sizeof(int64), MCXT_ALLOC_HUGE);
	changes->timelines = changes->timelines ? repalloc_huge(changes->timelines, n * sizeof(struct varlena *)) :
		palloc_extended(n * sizeof(struct varlena *), MCXT_ALLOC_HUGE);
}

static void
NoteChanged(ProfileChanges *changes, int64 id, struct varlena *timeline)
{
	changes->ids[changes->n] = id;
	changes->timelines[changes->n++] = timeline;
}

static void
NoteRemoved(const int64 *ids, int n, ProfileChanges *changes)
{
	changes->removed += n;
	MakeRoomForChanges(changes, n);
	for (int i = 0; i < n; i++)
		NoteChanged(changes, ids[i], NULL);
}

struct ProfileLoader
{
	ProfileTarget target;
	BulkWriter *bulk;
};

ProfileLoader *
ProfileLoadBegin(const ProfileTarget *target)
{
	ProfileLoader *loader = palloc(sizeof(ProfileLoader));

	loader->target = *target;
	loader->bulk = BulkOpen(OwnRelation(target->table->name), 3);
	return loader;
}

void
ProfileLoadPut(ProfileLoader *loader, const Collected *row)
{
	Datum		values[3];
	bool		nulls[3] = {false};
	Datum		key = (Datum) 0;

	if (loader->target.events)
	{
		values[0] = Int64GetDatum(row->customer_id);
		values[1] = Int32GetDatum(row->event_id);
	}
	else if (loader->target.source_id)
	{
		values[0] = Int32GetDatum(loader->target.source_id);
		values[1] = Int64GetDatum(row->customer_id);
	}
	else
	{
		if (row->key)
			key = CStringGetTextDatum(row->key);
		values[0] = Int64GetDatum(row->customer_id);
		values[1] = key;
		nulls[1] = row->key == NULL;
	}
	values[2] = PointerGetDatum(row->timeline);
	BulkPut(loader->bulk, values, nulls);
	if (key)
		pfree(DatumGetPointer(key));
}

void
ProfileLoadEnd(ProfileLoader *loader)
{
	BulkClose(loader->bulk);
	pfree(loader);
}

static void
InsertRows(const ProfileTarget *target, const Collected **rows, int n)
{
	ProfileLoader *loader;

	if (n == 0)
		return;
	loader = ProfileLoadBegin(target);
	for (int i = 0; i < n; i++)
		ProfileLoadPut(loader, rows[i]);
	ProfileLoadEnd(loader);
}

static void
UpdateRows(const ProfileTarget *target, const Collected **rows, int n)
{
	Oid			timeline = get_atttype(OwnRelation("profile"), 3);
	int64	   *ids;
	Datum	   *timelines;
	Oid			types[4] = {INT8ARRAYOID, InvalidOid, INT4ARRAYOID};
	Datum		values[4];

	if (n == 0)
		return;
	types[1] = get_array_type(timeline);
	ids = palloc(n * sizeof(int64));
	timelines = palloc(n * sizeof(Datum));
	for (int i = 0; i < n; i++)
	{
		ids[i] = rows[i]->customer_id;
		timelines[i] = PointerGetDatum(rows[i]->timeline);
	}
	values[0] = IdArray(ids, n);
	values[1] = PointerGetDatum(construct_array(timelines, n, timeline, -1, false, TYPALIGN_INT));

	if (target->events)
		values[2] = RowEvents(rows, n);

	/* A rebuild compares in one transaction and writes in later ones. */
	if (Run(target, UPDATE_ROWS, target->events ? 3 : 2, types, values) != n && !ForgettingGoesOn())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("rows of custseg.%s vanished while it was refreshed", target->table->name),
				 errhint("Only a refresh should write there. Refresh again.")));
}

static void
RemoveRows(const ProfileTarget *target, const Collected **rows, int n, ProfileChanges *changes)
{
	int64	   *ids;
	Oid			types[3] = {INT8ARRAYOID, INT4ARRAYOID};
	Datum		values[3];

	if (n == 0)
		return;
	ids = palloc_extended(n * sizeof(int64), MCXT_ALLOC_HUGE);
	for (int i = 0; i < n; i++)
		ids[i] = rows[i]->customer_id;
	if (target->events == NULL)
	{
		ProfileRemove(target, ids, n, changes);
		return;
	}
	values[0] = IdArray(ids, n);
	values[1] = RowEvents(rows, n);
	Run(target, DELETE_PAIRS, 2, types, values);
	NoteRemoved(ids, n, changes);
}

void
ProfileWrite(const ProfileTarget *target, const Collected *differences, int n, ProfileChanges *changes)
{
	const Collected **inserts = palloc_extended(Max(n, 1) * sizeof(*inserts), MCXT_ALLOC_HUGE);
	const Collected **updates = palloc_extended(Max(n, 1) * sizeof(*updates), MCXT_ALLOC_HUGE);
	const Collected **gone = palloc_extended(Max(n, 1) * sizeof(*gone), MCXT_ALLOC_HUGE);
	int			n_inserts = 0;
	int			n_updates = 0;
	int			n_gone = 0;

	for (int i = 0; i < n; i++)
		if (differences[i].timeline == NULL)
			gone[n_gone++] = &differences[i];
		else if (differences[i].stored)
			updates[n_updates++] = &differences[i];
		else
			inserts[n_inserts++] = &differences[i];

	memset(changes, 0, sizeof(*changes));
	MakeRoomForChanges(changes, n_inserts + n_updates);
	for (int i = 0; i < n_inserts; i++)
		NoteChanged(changes, inserts[i]->customer_id, inserts[i]->timeline);
	for (int i = 0; i < n_updates; i++)
		NoteChanged(changes, updates[i]->customer_id, updates[i]->timeline);
	changes->written = n_inserts + n_updates;
	InsertRows(target, inserts, n_inserts);
	UpdateRows(target, updates, n_updates);
	RemoveRows(target, gone, n_gone, changes);
}

static void
CompareRow(TupleTableSlot *slot, void *comparison)
{
	int			event_id = slot->tts_tupleDescriptor->natts > 2 ? DatumGetInt32(slot->tts_values[2]) : 0;

	CompareStored(comparison, DatumGetInt64(slot->tts_values[0]), event_id, slot->tts_values[1]);
}

void
ProfileWriteIds(const ProfileTarget *target, const int64 *ids, int n_ids, const Collected *customers, int n,
				ProfileChanges *changes)
{
	Oid			types[2] = {INT8ARRAYOID};
	Datum		values[2] = {IdArray(ids, n_ids)};
	int			nargs = 1;
	Comparison	comparison;
	MemoryContext caller = CurrentMemoryContext;
	SPIPlanPtr	plan = KeptPlan(target, READ_IDS, &nargs, types, values);
	int			level = PlanByIndexBegin();

	CompareBegin(&comparison, customers, n);
	SpiStream(plan, nargs, types, values, CompareRow, &comparison);
	PlanByIndexEnd(level);
	MemoryContextSwitchTo(caller);
	CompareEnd(&comparison);
	ProfileWrite(target, comparison.differences, comparison.n, changes);
}

void
ProfileRemove(const ProfileTarget *target, int64 *ids, int n, ProfileChanges *changes)
{
	Oid			types[2] = {INT8ARRAYOID};
	Datum		values[2] = {IdArray(ids, n)};

	Run(target, DELETE_ROWS, 1, types, values);
	NoteRemoved(ids, n, changes);
}

int
ProfileIds(const ProfileTarget *target, int64 after, int limit, int64 *ids)
{
	Oid			types[3] = {INT8OID, INT8OID};
	Datum		values[3] = {Int64GetDatum(after), Int64GetDatum(limit)};
	int			n = Run(target, LIST_IDS, 2, types, values);

	for (int i = 0; i < n; i++)
		ids[i] = SpiInt64(i, 1, 0);
	SPI_freetuptable(SPI_tuptable);
	return n;
}

bool
ProfileTargetIsEmpty(const ProfileTarget *target)
{
	Oid			types[1];
	Datum		values[1];

	return Run(target, ANY_ROW, 0, types, values) == 0;
}
