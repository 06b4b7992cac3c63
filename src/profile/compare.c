/*
 * compare.c
 *		What was collected, beside what is stored.
 *
 * A refresh that finds nothing new writes nothing. So the stored rows are read
 * in the order of their key and compared byte by byte (a timeline has one
 * encoding), and only differences go on to be written. A rebuild compares every
 * row: it reads a range of the key without a plan, in whichever process has
 * assembled the range.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "storage/lmgr.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "common/bulk.h"
#include "profile/compare.h"
#include "profile/writer.h"

void
CompareBegin(Comparison *comparison, const Collected *given, int n)
{
	memset(comparison, 0, sizeof(Comparison));
	comparison->given = given;
	comparison->n_given = n;
}

static Collected *
NewDifference(Comparison *comparison)
{
	if (comparison->n == comparison->max)
	{
		Size		max = Max(64, (Size) comparison->max * 2);

		comparison->differences = comparison->differences ?
			repalloc_huge(comparison->differences, max * sizeof(Collected)) :
			palloc_extended(max * sizeof(Collected), MCXT_ALLOC_HUGE);
		comparison->max = max;
	}
	return &comparison->differences[comparison->n++];
}

static bool
SameTimeline(Datum stored, const struct varlena *collected)
{
	struct varlena *timeline = PG_DETOAST_DATUM_PACKED(stored);
	Size		size = VARSIZE_ANY_EXHDR(timeline);
	bool		same = size == VARSIZE_ANY_EXHDR(collected) &&
		memcmp(VARDATA_ANY(timeline), VARDATA_ANY(collected), size) == 0;

	if ((Pointer) timeline != DatumGetPointer(stored))
		pfree(timeline);
	return same;
}

static void
NextIsNew(Comparison *comparison)
{
	Collected  *difference = NewDifference(comparison);

	*difference = comparison->given[comparison->at++];
	difference->stored = false;
}

/* Is the next that is given before what is stored (-1), of the same (0), or after it, as when there is none (1)? */
static inline int
GivenAgainst(const Comparison *comparison, int64 customer_id, int event_id)
{
	const Collected *given = &comparison->given[comparison->at];

	if (comparison->at == comparison->n_given)
		return 1;
	if (given->customer_id != customer_id)
		return given->customer_id < customer_id ? -1 : 1;
	return (given->event_id > event_id) - (given->event_id < event_id);
}

void
CompareStored(Comparison *comparison, int64 customer_id, int event_id, Datum timeline)
{
	Collected  *difference;

	while (GivenAgainst(comparison, customer_id, event_id) < 0)
		NextIsNew(comparison);
	if (GivenAgainst(comparison, customer_id, event_id) == 0)
	{
		const Collected *given = &comparison->given[comparison->at++];

		if (SameTimeline(timeline, given->timeline))
			return;
		difference = NewDifference(comparison);
		*difference = *given;
	}
	else
	{
		difference = NewDifference(comparison);
		memset(difference, 0, sizeof(Collected));
		difference->customer_id = customer_id;
		difference->event_id = event_id;
	}
	difference->stored = true;
}

void
CompareEnd(Comparison *comparison)
{
	while (comparison->at < comparison->n_given)
		NextIsNew(comparison);
}

/* Of the source's events? There may be those of others beside them. */
static bool
IsOfTarget(const ProfileTarget *target, int event_id)
{
	int			low = 0;
	int			high = target->n_events;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (target->events[middle].event_id < event_id)
			low = middle + 1;
		else
			high = middle;
	}
	return low < target->n_events && target->events[low].event_id == event_id;
}

void
CompareLock(const ProfileTarget *target)
{
	LockRelationOid(OwnRelation(target->table->name), AccessShareLock);
}

void
CompareRange(Comparison *comparison, const ProfileTarget *target, int64 from, int64 to)
{
	bool		part = target->source_id != 0 && target->events == NULL;
	Relation	rel = table_open(OwnRelation(target->table->name), AccessShareLock);
	Relation	index = index_open(OwnRelation(psprintf("%s_pkey", target->table->name)), AccessShareLock);
	AttrNumber	customer = part ? 2 : 1;
	int			n_keys = 0;
	ScanKeyData keys[3];
	SysScanDesc scan;
	HeapTuple	tuple;

	if (part)
		ScanKeyInit(&keys[n_keys++], 1, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(target->source_id));
	ScanKeyInit(&keys[n_keys++], customer, BTGreaterEqualStrategyNumber, F_INT8GE, Int64GetDatum(from));
	ScanKeyInit(&keys[n_keys++], customer, BTLessEqualStrategyNumber, F_INT8LE, Int64GetDatum(to));

	/* The table is no catalog, but this reads any table in the order of an index. */
	scan = systable_beginscan_ordered(rel, index, GetActiveSnapshot(), n_keys, keys);
	while ((tuple = systable_getnext_ordered(scan, ForwardScanDirection)) != NULL)
	{
		bool		isnull;
		int64		id = DatumGetInt64(heap_getattr(tuple, customer, RelationGetDescr(rel), &isnull));
		int			event_id = 0;

		if (target->events)
		{
			event_id = DatumGetInt32(heap_getattr(tuple, 2, RelationGetDescr(rel), &isnull));
			if (!IsOfTarget(target, event_id))
				continue;
		}
		CompareStored(comparison, id, event_id, heap_getattr(tuple, 3, RelationGetDescr(rel), &isnull));
	}
	systable_endscan_ordered(scan);
	index_close(index, NoLock);
	table_close(rel, NoLock);
	CompareEnd(comparison);
}
