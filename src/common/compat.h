/*
 * compat.h
 *		The differences between PostgreSQL 15 and 19, and nothing else.
 *
 * Every check of PG_VERSION_NUM lives here.
 */
#ifndef CUSTSEG_COMPAT_H
#define CUSTSEG_COMPAT_H

#if PG_VERSION_NUM < 150000
#error "custseg needs PostgreSQL 15 or later"
#endif

#if PG_VERSION_NUM < 160000
#include "utils/acl.h"
#define object_ownercheck_relation(relid, roleid) pg_class_ownercheck(relid, roleid)
#else
#include "catalog/pg_class.h"
#include "utils/acl.h"
#define object_ownercheck_relation(relid, roleid) object_ownercheck(RelationRelationId, relid, roleid)
#endif

#if PG_VERSION_NUM < 160000
#define RelationLocator(rel)	((rel)->rd_node)
#else
#define RelationLocator(rel)	((rel)->rd_locator)
#endif

#if PG_VERSION_NUM < 160000
#define InsertIndexTuples(result, slot, estate) \
	ExecInsertIndexTuples(result, slot, estate, false, false, NULL, NIL)
/* Which indexes of a row that was updated need an entry for its new version. */
#define IndexesToUpdate bool
#define UpdateIndexTuples(result, slot, estate, which) \
	((void) ExecInsertIndexTuples(result, slot, estate, true, false, NULL, NIL))
#elif PG_VERSION_NUM < 190000
#define InsertIndexTuples(result, slot, estate) \
	ExecInsertIndexTuples(result, slot, estate, false, false, NULL, NIL, false)
#define IndexesToUpdate TU_UpdateIndexes
#define UpdateIndexTuples(result, slot, estate, which) \
	((void) ExecInsertIndexTuples(result, slot, estate, true, false, NULL, NIL, (which) == TU_Summarizing))
#else
#define InsertIndexTuples(result, slot, estate) \
	ExecInsertIndexTuples(result, estate, 0, slot, NIL, NULL)
#define IndexesToUpdate TU_UpdateIndexes
#define UpdateIndexTuples(result, slot, estate, which) \
	((void) ExecInsertIndexTuples(result, estate, \
								  EIIT_IS_UPDATE | ((which) == TU_Summarizing ? EIIT_ONLY_SUMMARIZING : 0), \
								  slot, NIL, NULL))
#endif

/* 19 lets scans and updates have options. */
#if PG_VERSION_NUM < 190000
#define BeginScan(rel, snapshot)	table_beginscan((rel), (snapshot), 0, NULL)
#define BeginParallelScan(rel, scan)	table_beginscan_parallel((rel), (scan))
#define UpdateTuple(rel, place, slot, cid, snapshot, failure, lock, indexes) \
	table_tuple_update((rel), (place), (slot), (cid), (snapshot), InvalidSnapshot, true, (failure), (lock), (indexes))
#else
#define BeginScan(rel, snapshot)	table_beginscan((rel), (snapshot), 0, NULL, SO_NONE)
#define BeginParallelScan(rel, scan)	table_beginscan_parallel((rel), (scan), SO_NONE)
#define UpdateTuple(rel, place, slot, cid, snapshot, failure, lock, indexes) \
	table_tuple_update((rel), (place), (slot), (cid), 0, (snapshot), InvalidSnapshot, true, (failure), (lock), (indexes))
#endif

/* A range table of one relation, of which some columns are updated. */
#if PG_VERSION_NUM < 160000
#define InitOneRelation(estate, rte, updated) \
	((rte)->updatedCols = (updated), ExecInitRangeTable((estate), list_make1(rte)))
#else
#include "parser/parse_relation.h"
#if PG_VERSION_NUM < 180000
#define InitRangeTable(estate, rtes, permissions) ExecInitRangeTable((estate), (rtes), (permissions))
#else
#define InitRangeTable(estate, rtes, permissions) \
	ExecInitRangeTable((estate), (rtes), (permissions), bms_make_singleton(1))
#endif
#define InitOneRelation(estate, rte, updated) \
	do { \
		List	   *permissions_ = NIL; \
		addRTEPermissionInfo(&permissions_, (rte))->updatedCols = (updated); \
		InitRangeTable((estate), list_make1(rte), permissions_); \
	} while (0)
#endif

#if PG_VERSION_NUM < 160000
#define SortedDatum(sort, value, isnull) \
	tuplesort_getdatum((sort), true, (value), (isnull), NULL)
#else
#define SortedDatum(sort, value, isnull) \
	tuplesort_getdatum((sort), true, false, (value), (isnull), NULL)
#endif

#if PG_VERSION_NUM < 170000
#define ReindexRelation(relid) \
	((void) reindex_relation((relid), 0, &(ReindexParams) {0}))
#else
#define ReindexRelation(relid) \
	((void) reindex_relation(NULL, (relid), 0, &(ReindexParams) {0}))
#endif

#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* 19 works out where columns are once all are known. */
#if PG_VERSION_NUM < 190000
#define TupleDescFinalize(desc) ((void) (desc))
#endif

/* 18 renamed the marker of functions that do not return, and moved it to the front. */
#if PG_VERSION_NUM < 180000
#define pg_noreturn pg_attribute_noreturn()
#endif

/* 19 has a word for it, and its compilers take no comment for one. */
#ifndef pg_fallthrough
#define pg_fallthrough __attribute__((fallthrough))
#endif

/* Input functions can report an error without raising it since 16. */
#if PG_VERSION_NUM < 160000
#define ereturn(context, dummy, ...) \
	do { \
		(void) (context); \
		ereport(ERROR, __VA_ARGS__); \
		return dummy; \
	} while (0)
#endif

/* Before 15.4 and 16 an interrupted DROP DATABASE left no mark. */
#ifndef DATCONNLIMIT_INVALID_DB
#define DATCONNLIMIT_INVALID_DB (-2)
#endif

#if PG_VERSION_NUM < 180000
#define ExecutorRunAll(query) \
	ExecutorRun((query), ForwardScanDirection, 0, true)
#else
#define ExecutorRunAll(query) \
	ExecutorRun((query), ForwardScanDirection, 0)
#endif

#if PG_VERSION_NUM < 180000
#define PortalRunAll(portal, dest, completion) \
	PortalRun(portal, FETCH_ALL, true, true, dest, dest, completion)
#else
#define PortalRunAll(portal, dest, completion) \
	PortalRun(portal, FETCH_ALL, true, dest, dest, completion)
#endif

/* Needs storage/lock.h and storage/proc.h: the locks of this process in a partition that is locked. */
#if PG_VERSION_NUM < 160000
#define FOREACH_LOCK_OF_MINE(held, partition) \
	for ((held) = (PROCLOCK *) SHMQueueNext(&MyProc->myProcLocks[partition], &MyProc->myProcLocks[partition], \
											offsetof(PROCLOCK, procLink)); \
		 (held) != NULL; \
		 (held) = (PROCLOCK *) SHMQueueNext(&MyProc->myProcLocks[partition], &(held)->procLink, \
											offsetof(PROCLOCK, procLink)))
#else
#define FOREACH_LOCK_OF_MINE(held, partition) \
	for (dlist_node *node_ = dlist_is_empty(&MyProc->myProcLocks[partition]) ? NULL : \
		 dlist_head_node(&MyProc->myProcLocks[partition]); \
		 ((held) = node_ ? dlist_container(PROCLOCK, procLink, node_) : NULL) != NULL; \
		 node_ = dlist_has_next(&MyProc->myProcLocks[partition], node_) ? \
		 dlist_next_node(&MyProc->myProcLocks[partition], node_) : NULL)
#endif

#if PG_VERSION_NUM < 170000
#define HoldsLock(tag, mode)	LockHeldByMe((tag), (mode))
#else
#define HoldsLock(tag, mode)	LockHeldByMe((tag), (mode), false)
#endif

#endif							/* CUSTSEG_COMPAT_H */
