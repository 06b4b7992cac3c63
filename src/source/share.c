/*
 * share.c
 *		A read of a source that several processes share.
 *
 * A parallel plan of PostgreSQL sends the rows of all processes to one of
 * them, through a queue, which costs more than to read them. We want the rows
 * where they are read. So the refreshing process plans the read, without
 * parallelism but so that the planner says what is parallel safe; every
 * process runs that same plan; and each scan of a table in it is made one that
 * takes, wherever it is run, the next blocks that no process has taken yet.
 *
 * That gives every row once, as long as the plan does nothing but scan tables,
 * project, filter and append. Other plans (an index is better, a view joins, a
 * foreign table) are not shared.
 */
#include "postgres.h"

#include "access/relscan.h"
#include "access/tableam.h"
#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "executor/execdesc.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "nodes/plannodes.h"
#include "storage/bufmgr.h"
#include "utils/guc.h"
#include "utils/plancache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "common/compat.h"
#include "source/read.h"
#include "source/share.h"

struct SharedRead
{
	QueryDesc  *query;
	List	   *scans;			/* SeqScanState, in the order of the plan */
};

/* A scan in shared memory. */
typedef struct SharedScan
{
	Oid			relation;
	Size		size;			/* of this and of what follows */
} SharedScan;

#define SHARED_SCAN_AT	MAXALIGN(sizeof(SharedScan))

static bool
CanShare(const Plan *plan)
{
	ListCell   *cell;

	if (plan == NULL || !plan->parallel_safe || plan->initPlan != NIL)
		return false;
	switch (nodeTag(plan))
	{
		case T_SeqScan:
			return true;
		case T_Result:
			return CanShare(outerPlan(plan));
		case T_SubqueryScan:
			return CanShare(((const SubqueryScan *) plan)->subplan);
		case T_Append:
			foreach(cell, ((const Append *) plan)->appendplans)
				if (!CanShare(lfirst(cell)))
					return false;
			return true;
		default:
			return false;
	}
}

static void
SetForPlan(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

static PlannedStmt *
PlanRead(const Source *source, const char *sql)
{
	int			level = NewGUCNestLevel();
	MemoryContext caller = CurrentMemoryContext;
	SPIPlanPtr	plan;
	CachedPlan *cached;
	PlannedStmt *statement;

	/* What is parallel safe is only found out where parallelism is allowed. */
	SetForPlan("max_parallel_workers_per_gather", "1");
	SetForPlan("parallel_setup_cost", "1e300");
	SetForPlan("plan_cache_mode", "force_custom_plan");

	plan = SPI_prepare_cursor(sql, 0, NULL, CURSOR_OPT_PARALLEL_OK);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	SourceCheckPlan(source, plan);
	cached = GetCachedPlan(linitial(SPI_plan_get_plan_sources(plan)), NULL, NULL, NULL);
	MemoryContextSwitchTo(caller);
	statement = copyObject(linitial_node(PlannedStmt, cached->stmt_list));
	ReleaseCachedPlan(cached, NULL);
	SPI_freeplan(plan);
	MemoryContextSwitchTo(caller);
	AtEOXact_GUC(false, level);
	return statement;
}

static bool
FindScans(PlanState *state, void *scans)
{
	if (state == NULL)
		return false;
	if (IsA(state, SeqScanState))
		*(List **) scans = lappend(*(List **) scans, state);
	return planstate_tree_walker(state, FindScans, scans);
}

static Relation
ScanRelation(const SeqScanState *scan)
{
	return scan->ss.ss_currentRelation;
}

static SharedRead *
StartShared(PlannedStmt *statement, const char *sql, DestReceiver *dest)
{
	SharedRead *read = palloc0(sizeof(SharedRead));

	read->query = CreateQueryDesc(statement, sql, GetActiveSnapshot(), InvalidSnapshot, dest, NULL, NULL, 0);
	ExecutorStart(read->query, 0);
	FindScans(read->query->planstate, &read->scans);
	return read;
}

SharedRead *
SharedReadBegin(const Source *source, DestReceiver *dest)
{
	char	   *sql = SourceStatement(source);
	PlannedStmt *statement = PlanRead(source, sql);
	SharedRead *read;
	ListCell   *cell;

	if (statement->subplans != NIL || !CanShare(statement->planTree))
		return NULL;
	read = StartShared(statement, sql, dest);
	foreach(cell, read->scans)
		if (ScanRelation(lfirst(cell))->rd_rel->relam != HEAP_TABLE_AM_OID)
		{
			SharedReadEnd(read);
			return NULL;
		}
	return read;
}

int64
SharedReadBlocks(const SharedRead *read)
{
	int64		blocks = 0;
	ListCell   *cell;

	foreach(cell, read->scans)
		blocks += RelationGetNumberOfBlocks(ScanRelation(lfirst(cell)));
	return blocks;
}

const char *
SharedReadPlan(const SharedRead *read)
{
	return nodeToString(read->query->plannedstmt);
}

const char *
SharedReadStatement(const SharedRead *read)
{
	return read->query->sourceText;
}

static Size
ScanSize(const SharedRead *read, const SeqScanState *scan)
{
	return SHARED_SCAN_AT + MAXALIGN(table_parallelscan_estimate(ScanRelation(scan), read->query->snapshot));
}

Size
SharedReadSize(const SharedRead *read)
{
	Size		size = 0;
	ListCell   *cell;

	foreach(cell, read->scans)
		size = add_size(size, ScanSize(read, lfirst(cell)));
	return size;
}

static void
ShareScans(SharedRead *read, char *space)
{
	ListCell   *cell;

	foreach(cell, read->scans)
	{
		SeqScanState *scan = lfirst(cell);
		SharedScan *shared = (SharedScan *) space;

		if (shared->relation != RelationGetRelid(ScanRelation(scan)))
			elog(ERROR, "processes that read a source together do not agree on its tables");
		scan->ss.ss_currentScanDesc =
			BeginParallelScan(ScanRelation(scan), (ParallelTableScanDesc) (space + SHARED_SCAN_AT));
		space += shared->size;
	}
}

void
SharedReadInit(SharedRead *read, char *space)
{
	char	   *at = space;
	ListCell   *cell;

	foreach(cell, read->scans)
	{
		SeqScanState *scan = lfirst(cell);
		SharedScan *shared = (SharedScan *) at;

		shared->relation = RelationGetRelid(ScanRelation(scan));
		shared->size = ScanSize(read, scan);
		table_parallelscan_initialize(ScanRelation(scan), (ParallelTableScanDesc) (at + SHARED_SCAN_AT),
									  read->query->snapshot);
		at += shared->size;
	}
	ShareScans(read, space);
}

SharedRead *
SharedReadJoin(const char *plan, const char *statement, char *space, DestReceiver *dest)
{
	SharedRead *read = StartShared(castNode(PlannedStmt, stringToNode(plan)), statement, dest);

	ShareScans(read, space);
	return read;
}

void
SharedReadRun(SharedRead *read)
{
	ExecutorRunAll(read->query);
}

void
SharedReadEnd(SharedRead *read)
{
	ExecutorFinish(read->query);
	ExecutorEnd(read->query);
	FreeQueryDesc(read->query);
	pfree(read);
}

/* Scans run one after the other, and what each still holds is its last row. */
uint64
SharedReadPlace(const SharedRead *read)
{
	ListCell   *cell;

	foreach(cell, read->scans)
	{
		TupleTableSlot *slot = ((SeqScanState *) lfirst(cell))->ss.ss_ScanTupleSlot;

		if (!TTS_EMPTY(slot))
			return (uint64) foreach_current_index(cell) << 48 |
				(uint64) ItemPointerGetBlockNumber(&slot->tts_tid) << 16 |
				ItemPointerGetOffsetNumber(&slot->tts_tid);
	}
	return PG_UINT64_MAX;
}
