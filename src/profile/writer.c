/*
 * writer.c
 *		Collected customers into custseg.profile, where they differ.
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
#include "profile/compare.h"
#include "profile/writer.h"

typedef enum Statement
{
	READ_IDS,
	UPDATE_ROWS,
	DELETE_ROWS,
	LIST_IDS,
	ANY_ROW,
} Statement;

/* For the profile itself, and for a source's part of it: there the source is the last parameter. */
static const char *const statements[2][ANY_ROW + 1] = {
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
};

/* The kept plan of a statement; adds the source to its parameters where there is one. */
static SPIPlanPtr
KeptPlan(const ProfileTarget *target, Statement statement, int *nargs, Oid *types, Datum *values)
{
	static SPIPlanPtr plans[2][ANY_ROW + 1];
	int			kind = target->source_id != 0;

	if (kind)
	{
		types[*nargs] = INT4OID;
		values[(*nargs)++] = Int32GetDatum(target->source_id);
	}
	return SpiKeep(&plans[kind][statement], statements[kind][statement], *nargs, types);
}

static uint64
Run(const ProfileTarget *target, Statement statement, int nargs, Oid *types, Datum *values)
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
	loader->bulk = BulkOpen(OwnRelation(target->source_id ? "profile_part" : "profile"), 3);
	return loader;
}

void
ProfileLoadPut(ProfileLoader *loader, const Collected *row)
{
	Datum		values[3];
	bool		nulls[3] = {false};
	Datum		key = (Datum) 0;

	if (loader->target.source_id)
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
	Oid			types[3] = {INT8ARRAYOID, InvalidOid};
	Datum		values[3];

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

	/* A rebuild compares in one transaction and writes in later ones. */
	if (Run(target, UPDATE_ROWS, 2, types, values) != n)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("rows of custseg.profile vanished while it was refreshed"),
				 errhint("Only a refresh should write there. Refresh again.")));
}

void
ProfileWrite(const ProfileTarget *target, const Collected *differences, int n, ProfileChanges *changes)
{
	const Collected **inserts = palloc_extended(Max(n, 1) * sizeof(*inserts), MCXT_ALLOC_HUGE);
	const Collected **updates = palloc_extended(Max(n, 1) * sizeof(*updates), MCXT_ALLOC_HUGE);
	int64	   *gone = palloc_extended(Max(n, 1) * sizeof(int64), MCXT_ALLOC_HUGE);
	int			n_inserts = 0;
	int			n_updates = 0;
	int			n_gone = 0;

	for (int i = 0; i < n; i++)
		if (differences[i].timeline == NULL)
			gone[n_gone++] = differences[i].customer_id;
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
	if (n_gone > 0)
		ProfileRemove(target, gone, n_gone, changes);
}

static void
CompareRow(TupleTableSlot *slot, void *comparison)
{
	CompareStored(comparison, DatumGetInt64(slot->tts_values[0]), slot->tts_values[1]);
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
	changes->removed += n;
	MakeRoomForChanges(changes, n);
	for (int i = 0; i < n; i++)
		NoteChanged(changes, ids[i], NULL);
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
