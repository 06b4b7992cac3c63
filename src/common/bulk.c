/*
 * bulk.c
 *		Many rows into one of our own tables, fast: new ones, and new versions.
 *
 * An INSERT ... SELECT costs about as much again in passing rows around as in
 * storing them, so the passes over a whole shop write the way COPY does: a
 * thousand rows at a time go into heap pages together, one WAL record a page,
 * and then into the indexes. Constraints are checked and triggers on rows fire
 * as they would for an INSERT, those on statements do not; permissions are not
 * checked, since the code that calls chose the table.
 *
 * An index entry of its own costs more than the row it points to. So when the
 * table is empty, which is when a shop is read for the first time, the
 * indexes are left alone until the end and then built from the sorted whole,
 * in a third of the time. Nobody can see the table in between, since its rows
 * belong to a transaction that has not committed.
 *
 * A new version of a row whose place is known is written as logical replication
 * does it. An UPDATE would join rows to places first, for half as much again.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "common/bulk.h"
#include "common/compat.h"
#include "common/settings.h"

#define BULK_ROWS	1000
#define BULK_BYTES	65536
#define BUILD_ROWS	20000		/* fewer are cheaper to add to an index one by one */

struct BulkWriter
{
	Relation	rel;
	int			columns;		/* that the caller knows */
	EState	   *estate;
	ResultRelInfo *result;
	BulkInsertState state;
	bool		defer;			/* indexes are built at the end */
	TupleTableSlot *slots[BULK_ROWS];
	int			nslots;
	int			nrows;			/* waiting in slots */
	Size		nbytes;			/* about the size of what waits */
	TupleTableSlot *replacement;	/* of BulkReplace; NULL before the first */
	CommandId	opened;			/* what our own transaction did since counts as somebody else's */
	uint64		written;
	MemoryContext context;		/* the writer's own */
	MemoryContext batch;		/* what one flush needs */
};

/* For the executor: this relation, and which of its columns BulkReplace may change. */
static void
DescribeRelation(EState *estate, Relation rel)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	Bitmapset  *key = RelationGetIndexAttrBitmap(rel, INDEX_ATTR_BITMAP_PRIMARY_KEY);
	Bitmapset  *others = NULL;

	for (int attno = 1; attno <= RelationGetNumberOfAttributes(rel); attno++)
		if (!bms_is_member(attno - FirstLowInvalidHeapAttributeNumber, key))
			others = bms_add_member(others, attno - FirstLowInvalidHeapAttributeNumber);
	rte->rtekind = RTE_RELATION;
	rte->relid = RelationGetRelid(rel);
	rte->relkind = rel->rd_rel->relkind;
	rte->rellockmode = RowExclusiveLock;
	InitOneRelation(estate, rte, others);
}

BulkWriter *
BulkOpen(Oid relid, int columns)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "custseg bulk writer",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	BulkWriter *writer = palloc0(sizeof(BulkWriter));

	writer->context = context;
	writer->batch = AllocSetContextCreate(context, "custseg bulk batch", ALLOCSET_DEFAULT_SIZES);
	writer->rel = table_open(relid, RowExclusiveLock);
	writer->columns = columns;
	if (RelationGetNumberOfAttributes(writer->rel) < columns)
		elog(ERROR, "table \"custseg.%s\" has %d columns, not %d", RelationGetRelationName(writer->rel),
			 RelationGetNumberOfAttributes(writer->rel), columns);
	writer->estate = CreateExecutorState();
	writer->opened = writer->estate->es_output_cid = GetCurrentCommandId(true);
	writer->estate->es_snapshot = NULL;
	writer->result = makeNode(ResultRelInfo);
	DescribeRelation(writer->estate, writer->rel);
	InitResultRelInfo(writer->result, writer->rel, 1, NULL, 0);
	if (RelationGetNumberOfBlocks(writer->rel) == 0)
	{
		/* Building indexes needs strong locks; this one, taken now, cannot deadlock with a row of ours. */
		LockRelationOid(relid, ShareRowExclusiveLock);
		writer->defer = RelationGetNumberOfBlocks(writer->rel) == 0;
	}
	if (!writer->defer)
		ExecOpenIndices(writer->result, false);
	writer->state = GetBulkInsertState();
	if (writer->result->ri_TrigDesc)
		AfterTriggerBeginQuery();
	MemoryContextSwitchTo(old);
	return writer;
}

static void
FlushRows(BulkWriter *writer)
{
	ResultRelInfo *result = writer->result;
	EState	   *estate = writer->estate;
	MemoryContext old;
	bool		after;
	bool		snapshot = false;

	if (writer->nrows == 0)
		return;
	CHECK_FOR_INTERRUPTS();

	/* Toasting and index expressions want one; between commits there is none. */
	if (!ActiveSnapshotSet())
	{
		PushActiveSnapshot(GetTransactionSnapshot());
		snapshot = true;
	}

	after = result->ri_TrigDesc && result->ri_TrigDesc->trig_insert_after_row;
	estate->es_output_cid = GetCurrentCommandId(true);
	old = MemoryContextSwitchTo(writer->batch);
	table_multi_insert(writer->rel, writer->slots, writer->nrows, estate->es_output_cid, 0,
					   writer->state);

	MemoryContextSwitchTo(GetPerTupleMemoryContext(estate));
	for (int i = 0; i < writer->nrows; i++)
	{
		TupleTableSlot *slot = writer->slots[i];
		List	   *recheck = NIL;

		if (!writer->defer && result->ri_NumIndices > 0)
			recheck = InsertIndexTuples(result, slot, estate);
		if (after)
			ExecARInsertTriggers(estate, result, slot, recheck, NULL);
		ExecClearTuple(slot);
		if (i % 64 == 63)
			ResetPerTupleExprContext(estate);
	}
	ResetPerTupleExprContext(estate);
	MemoryContextSwitchTo(old);
	MemoryContextReset(writer->batch);

	if (snapshot)
		PopActiveSnapshot();
	writer->written += writer->nrows;
	writer->nrows = 0;
	writer->nbytes = 0;
}

static void
FillSlot(BulkWriter *writer, TupleTableSlot *slot, const Datum *values, const bool *nulls)
{
	int			others = RelationGetNumberOfAttributes(writer->rel) - writer->columns;

	ExecClearTuple(slot);
	memcpy(slot->tts_values, values, writer->columns * sizeof(Datum));
	memcpy(slot->tts_isnull, nulls, writer->columns * sizeof(bool));
	memset(slot->tts_values + writer->columns, 0, others * sizeof(Datum));
	memset(slot->tts_isnull + writer->columns, true, others * sizeof(bool));
	ExecStoreVirtualTuple(slot);
	slot->tts_tableOid = RelationGetRelid(writer->rel);
}

void
BulkPut(BulkWriter *writer, const Datum *values, const bool *nulls)
{
	Relation	rel = writer->rel;
	TupleDesc	desc = RelationGetDescr(rel);
	TupleTableSlot *slot;
	MemoryContext old;

	if (writer->nrows == writer->nslots)
	{
		old = MemoryContextSwitchTo(writer->context);
		writer->slots[writer->nslots++] = table_slot_create(rel, NULL);
		MemoryContextSwitchTo(old);
	}
	slot = writer->slots[writer->nrows];
	FillSlot(writer, slot, values, nulls);

	if (writer->result->ri_TrigDesc && writer->result->ri_TrigDesc->trig_insert_before_row &&
		!ExecBRInsertTriggers(writer->estate, writer->result, slot))
		return;
	if (desc->constr)
		ExecConstraints(writer->result, slot, writer->estate);

	/* Forms the heap tuple in the slot's own memory, which copies the values. */
	ExecMaterializeSlot(slot);
	writer->nbytes += 64;
	for (int i = 0; i < writer->columns; i++)
		if (!nulls[i] && TupleDescAttr(desc, i)->attlen == -1)
			writer->nbytes += VARSIZE_ANY(DatumGetPointer(values[i]));
	ResetPerTupleExprContext(writer->estate);

	writer->nrows++;
	if (writer->nrows == BULK_ROWS || writer->nbytes >= BULK_BYTES)
		FlushRows(writer);
}

bool
BulkReplace(BulkWriter *writer, ItemPointer place, const Datum *values, const bool *nulls)
{
	Relation	rel = writer->rel;
	TupleDesc	desc = RelationGetDescr(rel);
	TriggerDesc *triggers = writer->result->ri_TrigDesc;
	TupleTableSlot *slot = writer->replacement;
	TM_FailureData failure;
	LockTupleMode lock;
	IndexesToUpdate indexes;

	Assert(!writer->defer && ActiveSnapshotSet());
	CHECK_FOR_INTERRUPTS();
	if (desc->natts != writer->columns)
		return false;
	if (triggers &&
		(triggers->trig_update_before_row || triggers->trig_update_after_row ||
		 triggers->trig_update_before_statement || triggers->trig_update_after_statement))
		return false;
	if (slot == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(writer->context);

		CheckCmdReplicaIdentity(rel, CMD_UPDATE);
		slot = writer->replacement = table_slot_create(rel, NULL);
		MemoryContextSwitchTo(old);
	}
	FillSlot(writer, slot, values, nulls);
	if (desc->constr)
		ExecConstraints(writer->result, slot, writer->estate);
	if (UpdateTuple(rel, place, slot, writer->opened, GetActiveSnapshot(), &failure, &lock, &indexes) != TM_Ok)
		return false;
	if (writer->result->ri_NumIndices > 0 && indexes)
		UpdateIndexTuples(writer->result, slot, writer->estate, indexes);
	ResetPerTupleExprContext(writer->estate);
	writer->written++;
	return true;
}

/* Add what a deferred writer stored to the indexes: few rows singly, many by a build. */
static void
FillIndexes(BulkWriter *writer)
{
	Oid			relid = RelationGetRelid(writer->rel);

	CommandCounterIncrement();
	if (writer->written < BUILD_ROWS)
	{
		TupleTableSlot *slot = table_slot_create(writer->rel, NULL);
		TableScanDesc scan = BeginScan(writer->rel, SnapshotSelf);

		ExecOpenIndices(writer->result, false);
		while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
		{
			(void) InsertIndexTuples(writer->result, slot, writer->estate);
			ResetPerTupleExprContext(writer->estate);
		}
		table_endscan(scan);
		ExecDropSingleTupleTableSlot(slot);
		ExecCloseIndices(writer->result);
	}
	else
	{
		int			level = NewGUCNestLevel();
		char		kilobytes[32];

		snprintf(kilobytes, sizeof(kilobytes), "%d",
				 Max(Min(maintenance_work_mem, custseg_work_mem / 2), 1024));
		(void) set_config_option("maintenance_work_mem", kilobytes, PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
		ReindexRelation(relid);
		AtEOXact_GUC(false, level);
	}
}

uint64
BulkClose(BulkWriter *writer)
{
	uint64		written;

	FlushRows(writer);
	written = writer->written;
	FreeBulkInsertState(writer->state);
	for (int i = 0; i < writer->nslots; i++)
		ExecDropSingleTupleTableSlot(writer->slots[i]);
	if (writer->replacement)
		ExecDropSingleTupleTableSlot(writer->replacement);
	if (!writer->defer)
		ExecCloseIndices(writer->result);
	else if (written > 0)
		FillIndexes(writer);
	if (writer->result->ri_TrigDesc)
		AfterTriggerEndQuery(writer->estate);
	ExecCloseResultRelations(writer->estate);
	FreeExecutorState(writer->estate);
	table_close(writer->rel, NoLock);
	MemoryContextDelete(writer->context);
	if (written > 0)
		CommandCounterIncrement();
	return written;
}

Oid
OwnRelation(const char *name)
{
	Oid			relid = get_relname_relid(name, get_namespace_oid("custseg", false));

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table \"custseg.%s\" does not exist", name),
				 errhint("Was the extension changed by hand? Reinstall it.")));
	return relid;
}

bool
NeverUsed(const char *name)
{
	Relation	rel = table_open(OwnRelation(name), AccessShareLock);
	bool		never = RelationGetNumberOfBlocks(rel) == 0;

	table_close(rel, AccessShareLock);
	return never;
}
