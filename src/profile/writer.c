/*
 * writer.c
 *		Collected customers into custseg.profile, where they differ.
 *
 * A refresh that finds nothing new writes nothing. So the rows there are read
 * in the order of their key, compared byte by byte (a timeline has one
 * encoding), and only differences become statements.
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
#include "profile/writer.h"

typedef enum Statement
{
	READ_RANGE,
	READ_IDS,
	UPDATE_ROWS,
	DELETE_ROWS,
	LIST_IDS,
	ANY_ROW,
} Statement;

/* For the profile itself, and for a source's part of it: there the source is the last parameter. */
static const char *const statements[2][ANY_ROW + 1] = {
	{
		[READ_RANGE] = "SELECT customer_id, timeline FROM custseg.profile"
		" WHERE customer_id > $1 AND customer_id <= $2 ORDER BY customer_id",
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
		[READ_RANGE] = "SELECT customer_id, timeline FROM custseg.profile_part"
		" WHERE source_id = $3 AND customer_id > $1 AND customer_id <= $2 ORDER BY customer_id",
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

static bool
SameTimeline(Datum stored, const struct varlena *collected)
{
	struct varlena *timeline = PG_DETOAST_DATUM_PACKED(stored);
	Size		size = VARSIZE_ANY_EXHDR(timeline);

	return size == VARSIZE_ANY_EXHDR(collected) &&
		memcmp(VARDATA_ANY(timeline), VARDATA_ANY(collected), size) == 0;
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
Changed(ProfileChanges *changes, int64 id, struct varlena *timeline)
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
	loader->bulk = BulkOpen(OwnRelation(target->source_id ? "profile_part" : "profile"));
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
	Datum	   *ids;
	Datum	   *timelines;
	Oid			types[3] = {INT8ARRAYOID, InvalidOid};
	Datum		values[3];

	if (n == 0)
		return;
	types[1] = get_array_type(timeline);
	ids = palloc(n * sizeof(Datum));
	timelines = palloc(n * sizeof(Datum));
	for (int i = 0; i < n; i++)
	{
		ids[i] = Int64GetDatum(rows[i]->customer_id);
		timelines[i] = PointerGetDatum(rows[i]->timeline);
	}
	values[0] = PointerGetDatum(construct_array(ids, n, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	values[1] = PointerGetDatum(construct_array(timelines, n, timeline, -1, false, TYPALIGN_INT));
	Run(target, UPDATE_ROWS, 2, types, values);
}

/* What is given, beside what is stored, both sorted by customer. */
typedef struct Merge
{
	const Collected *customers;
	int			n;
	int			at;				/* the next that is given */
	MemoryContext context;
	const Collected **inserts;
	const Collected **updates;
	int64	   *gone;
	int			n_inserts;
	int			n_updates;
	int			n_gone;
	int			max_gone;
} Merge;

/* One stored row: those given before it are new. */
static void
MergeRow(TupleTableSlot *slot, void *arg)
{
	Merge	   *merge = arg;
	int64		id = DatumGetInt64(slot->tts_values[0]);

	while (merge->at < merge->n && merge->customers[merge->at].customer_id < id)
		merge->inserts[merge->n_inserts++] = &merge->customers[merge->at++];
	if (merge->at < merge->n && merge->customers[merge->at].customer_id == id)
	{
		const Collected *customer = &merge->customers[merge->at++];

		if (!SameTimeline(slot->tts_values[1], customer->timeline))
			merge->updates[merge->n_updates++] = customer;
		return;
	}
	if (merge->n_gone == merge->max_gone)
	{
		merge->max_gone = Max(1024, merge->max_gone * 2);
		merge->gone = merge->gone ? repalloc_huge(merge->gone, merge->max_gone * sizeof(int64)) :
			MemoryContextAllocHuge(merge->context, merge->max_gone * sizeof(int64));
	}
	merge->gone[merge->n_gone++] = id;
}

/* Read what is stored, compare it with what is given, and write the differences. */
static void
WriteDifferences(const ProfileTarget *target, Statement read, int nargs, Oid *types, Datum *values,
				 const Collected *customers, int n, ProfileChanges *changes)
{
	Merge		merge = {.customers = customers,.n = n,.context = CurrentMemoryContext};
	MemoryContext caller = CurrentMemoryContext;
	SPIPlanPtr	plan;
	int			level;

	merge.inserts = palloc(Max(n, 1) * sizeof(*merge.inserts));
	merge.updates = palloc(Max(n, 1) * sizeof(*merge.updates));
	plan = KeptPlan(target, read, &nargs, types, values);
	level = PlanByIndexBegin();
	SpiStream(plan, nargs, types, values, MergeRow, &merge);
	PlanByIndexEnd(level);
	MemoryContextSwitchTo(caller);
	while (merge.at < n)
		merge.inserts[merge.n_inserts++] = &customers[merge.at++];

	memset(changes, 0, sizeof(*changes));
	MakeRoomForChanges(changes, merge.n_inserts + merge.n_updates);
	for (int i = 0; i < merge.n_inserts; i++)
		Changed(changes, merge.inserts[i]->customer_id, merge.inserts[i]->timeline);
	for (int i = 0; i < merge.n_updates; i++)
		Changed(changes, merge.updates[i]->customer_id, merge.updates[i]->timeline);
	changes->written = merge.n_inserts + merge.n_updates;
	InsertRows(target, merge.inserts, merge.n_inserts);
	UpdateRows(target, merge.updates, merge.n_updates);
	if (merge.n_gone > 0)
		ProfileRemove(target, merge.gone, merge.n_gone, changes);
}

void
ProfileWriteRange(const ProfileTarget *target, const Collected *customers, int n,
				  int64 after, int64 last, ProfileChanges *changes)
{
	Oid			types[3] = {INT8OID, INT8OID};
	Datum		values[3] = {Int64GetDatum(after), Int64GetDatum(last)};

	WriteDifferences(target, READ_RANGE, 2, types, values, customers, n, changes);
}

void
ProfileWriteIds(const ProfileTarget *target, const int64 *ids, int n_ids, const Collected *customers, int n,
				ProfileChanges *changes)
{
	Oid			types[2] = {INT8ARRAYOID};
	Datum		values[2] = {IdArray(ids, n_ids)};

	WriteDifferences(target, READ_IDS, 1, types, values, customers, n, changes);
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
		Changed(changes, ids[i], NULL);
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
