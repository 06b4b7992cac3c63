/*
 * change_write.c
 *		Writing the log of changes, at the end of a transaction of the shop.
 *
 * What a transaction changed goes to custseg.change_log: one customer as a row,
 * several as sorted arrays. Rows go straight into the table, which has no index,
 * no default and no trigger: what the executor would set up for it costs a shop
 * that inserts single rows more than the rows themselves. They are only ever
 * appended, by whoever comes, so writers do not meet.
 *
 * The writing is a subtransaction of its own. If it fails for whatever reason
 * the shop's transaction goes on with a warning, and a row in the table
 * custseg.change_gap, which commits with it, has the source read whole.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/xid8.h"

#include "common/attempt.h"
#include "common/bulk.h"
#include "common/guard.h"
#include "common/ids.h"
#include "track/change_log.h"
#include "track/change_write.h"

#define ROW_BYTES		6000	/* of the keys in a row, so that it fits into a page */
#define LONGEST_WAIT	1000	/* ms, for the log, should somebody have locked it */

typedef struct Changes
{
	const Change *changes;
	int			n;
	const Move *moves;
	int			n_moves;
} Changes;

/* Of custseg.change_log, as long as that is so. */
static Oid	log_relid = InvalidOid;

static void
RelationChanged(Datum arg, Oid relid)
{
	if (relid == log_relid || !OidIsValid(relid))
		log_relid = InvalidOid;
}

static Oid
LogRelation(void)
{
	static bool prepared = false;

	if (!prepared)
		CacheRegisterRelcacheCallback(RelationChanged, (Datum) 0);
	prepared = true;
	if (!OidIsValid(log_relid))
		log_relid = OwnRelation("change_log");
	return log_relid;
}

static Relation
OpenLog(Oid relid)
{
	Relation	log;

	/* Nobody should have locked it, but the shop must not wait for whoever has. */
	if (!ConditionalLockRelationOid(relid, RowExclusiveLock))
	{
		int			level = LimitLockWait(LONGEST_WAIT);

		LockRelationOid(relid, RowExclusiveLock);
		AtEOXact_GUC(false, level);
	}
	log = table_open(relid, NoLock);

	/* It would lack our rows, and a query that goes by it miss them. */
	if (RelationGetIndexList(log) != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table custseg.%s must not have an index", RelationGetRelationName(log))));
	return log;
}

/* The first columns are ours; others, should somebody have added them, stay empty. */
static void
PutTuple(Relation log, int columns, const Datum *values, const bool *nulls)
{
	int			natts = RelationGetDescr(log)->natts;
	Datum	   *all = palloc0(natts * sizeof(Datum));
	bool	   *none = palloc(natts * sizeof(bool));
	HeapTuple	tuple;

	memcpy(all, values, columns * sizeof(Datum));
	memcpy(none, nulls, columns * sizeof(bool));
	memset(none + columns, true, natts - columns);
	tuple = heap_form_tuple(RelationGetDescr(log), all, none);
	tuple->t_tableOid = RelationGetRelid(log);
	heap_insert(log, tuple, GetCurrentCommandId(true), 0, NULL);
	heap_freetuple(tuple);
	pfree(none);
	pfree(all);
}

/* Write up to n changes of one source, all by number or all by key, in a row; how many went into it. */
static int
PutRow(Relation log, const Change *changes, int n)
{
	Datum		values[LOG_COLUMNS] = {
		[LOG_SOURCE_ID] = Int32GetDatum(changes[0].source_id),
		[LOG_XACT] = FullTransactionIdGetDatum(GetTopFullTransactionId())
	};
	bool		nulls[LOG_COLUMNS] = {false, false, true, true, true, true};
	bool		by_key = changes[0].key != NULL;
	int64	   *customers;
	Datum	   *keys;
	int			bytes = 0;
	int			count = 0;

	if (n == 1)
	{
		values[LOG_CUSTOMER] = Int64GetDatum(changes[0].customer);
		nulls[LOG_CUSTOMER] = IsEverything(&changes[0]);
		if (by_key)
		{
			values[LOG_KEY] = CStringGetTextDatum(changes[0].key);
			nulls[LOG_KEY] = false;
		}
		PutTuple(log, LOG_COLUMNS, values, nulls);
		return 1;
	}

	customers = palloc(n * sizeof(int64));
	keys = palloc(n * sizeof(Datum));
	while (count < n && bytes < ROW_BYTES)
	{
		customers[count] = changes[count].customer;
		bytes += sizeof(int64);
		if (by_key)
		{
			keys[count] = CStringGetTextDatum(changes[count].key);
			bytes += INTALIGN(VARSIZE_ANY(DatumGetPointer(keys[count])));
		}
		count++;
	}
	values[LOG_CUSTOMERS] = IdArray(customers, count);
	nulls[LOG_CUSTOMERS] = false;
	if (by_key)
	{
		values[LOG_KEYS] = PointerGetDatum(construct_array(keys, count, TEXTOID, -1, false, TYPALIGN_INT));
		nulls[LOG_KEYS] = false;
	}
	PutTuple(log, LOG_COLUMNS, values, nulls);
	return count;
}

static void
WriteMoves(const Changes *all)
{
	Relation	log;

	if (all->n_moves == 0)
		return;
	log = OpenLog(OwnRelation("change_move"));
	for (int i = 0; i < all->n_moves; i++)
	{
		const Move *move = &all->moves[i];
		Datum		values[MOVE_COLUMNS] = {
			[MOVE_SOURCE_ID] = Int32GetDatum(move->source_id),
			[MOVE_XACT] = FullTransactionIdGetDatum(GetTopFullTransactionId()),
			[MOVE_FROM] = CStringGetTextDatum(move->from),
			[MOVE_TO] = CStringGetTextDatum(move->to)
		};
		bool		nulls[MOVE_COLUMNS] = {false};

		PutTuple(log, MOVE_COLUMNS, values, nulls);
	}
	table_close(log, NoLock);
}

static void
WriteLog(void *arg)
{
	const Changes *all = arg;
	Relation	log = OpenLog(LogRelation());

	for (int at = 0; at < all->n;)
	{
		const Change *first = &all->changes[at];
		int			end = at;

		while (end < all->n && all->changes[end].source_id == first->source_id &&
			   (all->changes[end].key == NULL) == (first->key == NULL))
			end++;
		while (at < end)
			at += PutRow(log, &all->changes[at], end - at);
	}
	table_close(log, NoLock);
	WriteMoves(all);
}

static void
WriteGap(void *arg)
{
	const Changes *all = arg;
	Relation	gap = OpenLog(OwnRelation("change_gap"));

	for (int i = 0; i < all->n; i++)
	{
		Datum		values[LOG_XACT + 1] = {
			[LOG_SOURCE_ID] = Int32GetDatum(all->changes[i].source_id),
			[LOG_XACT] = FullTransactionIdGetDatum(GetTopFullTransactionId())
		};
		bool		nulls[LOG_XACT + 1] = {false, false};

		if (i == 0 || all->changes[i].source_id != all->changes[i - 1].source_id)
			PutTuple(gap, LOG_XACT + 1, values, nulls);
	}
	table_close(gap, NoLock);
}

static void
WriteOrWarn(void *arg)
{
	ErrorData  *error = Attempt(WriteLog, arg);

	if (error)
	{
		ErrorData  *worse = Attempt(WriteGap, arg);

		log_relid = InvalidOid;
		ereport(WARNING,
				(errcode(error->sqlerrcode),
				 errmsg("could not note the customers of a changed source for custseg: %s", error->message),
				 worse ? errhint("CALL custseg.refresh(rebuild => true) once this is mended.") :
				 errhint("The next refresh reads the source whole.")));
	}
}

void
ChangeLogWrite(const Change *changes, int n, const Move *moves, int n_moves)
{
	Changes		all = {changes, n, moves, n_moves};
	const char *assertions = GetConfigOption("debug_assertions", true, false);
	ErrorData  *error;

	/* The transaction has none any more, and a row that is moved out of line must be written under one. */
	PushActiveSnapshot(GetTransactionSnapshot());

	/*
	 * A server with assertions allows for subtransactions at the end of a
	 * transaction, but not for one that fails there; within another it may.
	 */
	if (assertions == NULL || strcmp(assertions, "on") != 0)
		WriteOrWarn(&all);
	else if ((error = Attempt(WriteOrWarn, &all)) != NULL)
		ReThrowError(error);
	PopActiveSnapshot();
}
