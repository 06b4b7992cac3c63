/*
 * capture.c
 *		Noting whose orders a transaction of the shop changes.
 *
 * This runs inside the shop's own transactions, so it must be cheap and must
 * never make one fail, nor wait for us. The row triggers only remember the
 * customers of inserted, updated and deleted rows in memory; a subtransaction
 * that is rolled back takes its own with it. At the end, when nothing of the
 * transaction's own work can fail any more, each customer is written once to
 * custseg.change_log: a few as a row each, many as sorted arrays, and more
 * than custseg.max_tracked_customers as one row that says "everything". The
 * log is only appended to, by whoever comes, so writers never meet; its one
 * index serves claim().
 *
 * The writing is a subtransaction of its own. If it fails for whatever reason
 * the shop's transaction goes on with a warning, and a row in the table
 * custseg.change_gap, which commits with it, has the source read whole.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_am.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/uuid.h"
#include "utils/xid8.h"

#include "common/attempt.h"
#include "common/bulk.h"
#include "common/compat.h"
#include "common/guard.h"
#include "source/capture.h"
#include "source/change_log.h"
#include "source/mapping.h"

PG_FUNCTION_INFO_V1(custseg_track_change);

#define FEW				4		/* customers that get a row each */
#define ROW_BYTES		6000	/* of the keys in a row, so that it fits into a page */
#define LONGEST_WAIT	1000	/* ms, for the log, should somebody have locked it */

int			custseg_max_tracked = 100000;

/* A customer of a source; without a number and a key, all of them. */
typedef struct Change
{
	int			source_id;
	int64		customer;		/* the number, or a hash of the key */
	char	   *key;
} Change;

/* Where a subtransaction's changes begin. */
typedef struct Level
{
	int			nest;
	int			start;
} Level;

/* What this transaction has changed so far; in TopTransactionContext. */
static struct Capture
{
	MemoryContext context;		/* NULL: nothing */
	Change	   *changes;
	int			n;
	int			size;
	Level	   *levels;			/* open subtransactions that changed something */
	int			n_levels;
	int			max_levels;
} capture;

/* The customer column of the table that was changed last. */
static struct Column
{
	Oid			relid;			/* InvalidOid: to be looked up */
	AttrNumber	attno;			/* 0: it is not there any more */
	Oid			type;
} column;

static int
CompareChanges(const void *a, const void *b)
{
	const Change *x = a;
	const Change *y = b;

	if (x->source_id != y->source_id)
		return x->source_id < y->source_id ? -1 : 1;
	if (x->customer != y->customer)
		return x->customer < y->customer ? -1 : 1;
	if (x->key == NULL || y->key == NULL)
		return (x->key != NULL) - (y->key != NULL);
	return strcmp(x->key, y->key);
}

static inline bool
IsEverything(const Change *change)
{
	return change->customer == 0 && change->key == NULL;
}

/* ------------------------------------------------ what was changed so far */

/* Each once; where there are too many, "everything" of their sources instead. */
static void
Condense(int start)
{
	Change	   *changes = capture.changes + start;
	int			n = capture.n - start;
	int			different = 0;

	if (n > 1)
		qsort(changes, n, sizeof(Change), CompareChanges);
	for (int i = 0; i < n; i++)
		if (i == 0 || CompareChanges(&changes[i], &changes[different - 1]) != 0)
			changes[different++] = changes[i];
	if (different > custseg_max_tracked)
	{
		n = different;
		different = 0;
		for (int i = 0; i < n; i++)
			if (i == 0 || changes[i].source_id != changes[different - 1].source_id)
			{
				changes[different].source_id = changes[i].source_id;
				changes[different].customer = 0;
				changes[different++].key = NULL;
			}
	}
	capture.n = start + different;
}

static void
Add(int source_id, int64 customer, const char *key, int len)
{
	int			nest = GetCurrentTransactionNestLevel();
	Level	   *level;
	Change	   *change;

	if (capture.context == NULL)
	{
		capture.context = AllocSetContextCreate(TopTransactionContext, "custseg changes", ALLOCSET_DEFAULT_SIZES);
		capture.size = 64;
		capture.changes = MemoryContextAlloc(capture.context, capture.size * sizeof(Change));
		capture.max_levels = 8;
		capture.levels = MemoryContextAlloc(capture.context, capture.max_levels * sizeof(Level));
		capture.levels[0].nest = 1;
		capture.levels[0].start = 0;
		capture.n_levels = 1;
		capture.n = 0;
	}
	level = &capture.levels[capture.n_levels - 1];
	if (level->nest < nest)
	{
		if (capture.n_levels == capture.max_levels)
		{
			capture.max_levels *= 2;
			capture.levels = repalloc(capture.levels, capture.max_levels * sizeof(Level));
		}
		level = &capture.levels[capture.n_levels++];
		level->nest = nest;
		level->start = capture.n;
	}

	/* A transaction often changes several rows of one customer. */
	if (capture.n > level->start)
	{
		change = &capture.changes[capture.n - 1];
		if (change->source_id == source_id && change->customer == customer && (change->key != NULL) == (key != NULL) &&
			(key == NULL || (strlen(change->key) == len && memcmp(change->key, key, len) == 0)))
			return;
	}
	if (capture.n == capture.size)
	{
		if (capture.n - level->start > custseg_max_tracked)
			Condense(level->start);
		if (capture.n > capture.size / 2)
		{
			capture.size *= 2;
			capture.changes = repalloc_huge(capture.changes, capture.size * sizeof(Change));
		}
	}
	change = &capture.changes[capture.n++];
	change->source_id = source_id;
	change->customer = customer;
	change->key = NULL;
	if (key)
	{
		change->key = MemoryContextAlloc(capture.context, len + 1);
		memcpy(change->key, key, len);
		change->key[len] = '\0';
	}
}

static void
AddKey(int source_id, const char *key, int len)
{
	/* Others are rejected when they are read. */
	if (len > 0 && len <= KEY_MAX_LENGTH)
		Add(source_id, ChangeHash(key, len), key, len);
}

/* The customer of a row. */
static void
AddRow(int source_id, TupleTableSlot *slot)
{
	bool		isnull;
	Datum		value = slot_getattr(slot, column.attno, &isnull);
	int64		customer;

	if (isnull)
		return;
	switch (column.type)
	{
		case INT2OID:
			customer = DatumGetInt16(value);
			break;
		case INT4OID:
			customer = DatumGetInt32(value);
			break;
		case INT8OID:
			customer = DatumGetInt64(value);
			break;
		case UUIDOID:
			{
				char	   *text = DatumGetCString(DirectFunctionCall1(uuid_out, value));

				AddKey(source_id, text, strlen(text));
				pfree(text);
				return;
			}
		default:
			{
				struct varlena *text = PG_DETOAST_DATUM_PACKED(value);

				AddKey(source_id, VARDATA_ANY(text), VARSIZE_ANY_EXHDR(text));
				if ((Pointer) text != DatumGetPointer(value))
					pfree(text);
				return;
			}
	}
	if (customer > 0)
		Add(source_id, customer, NULL, 0);
}

/* ------------------------------------------------------------ the log */

/*
 * Rows go straight into the table and its index: what the executor would set up
 * for it costs a shop that inserts single rows more than the rows themselves.
 */
typedef struct LogWriter
{
	Relation	rel;
	List	   *indexes;		/* Relation */
	CommandId	cid;
} LogWriter;

static void
LogOpen(LogWriter *log, const char *table)
{
	Oid			relid = OwnRelation(table);
	ListCell   *cell;

	/* Nobody should have locked it, but the shop must not wait for whoever has. */
	if (!ConditionalLockRelationOid(relid, RowExclusiveLock))
	{
		int			level = LimitLockWait(LONGEST_WAIT);

		LockRelationOid(relid, RowExclusiveLock);
		AtEOXact_GUC(false, level);
	}
	log->rel = table_open(relid, NoLock);
	log->cid = GetCurrentCommandId(true);
	log->indexes = NIL;
	foreach(cell, RelationGetIndexList(log->rel))
	{
		Relation	index = index_open(lfirst_oid(cell), RowExclusiveLock);

		/* One that is just being built takes no entries yet. */
		if (!index->rd_index->indisready)
		{
			index_close(index, NoLock);
			continue;
		}
		if (index->rd_rel->relam != BTREE_AM_OID ||
			!heap_attisnull(index->rd_indextuple, Anum_pg_index_indexprs, NULL) ||
			!heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, NULL))
			elog(ERROR, "index %s of custseg.%s is not ours", RelationGetRelationName(index), table);
		log->indexes = lappend(log->indexes, index);
	}
}

static void
LogPut(LogWriter *log, Datum *values, bool *nulls)
{
	HeapTuple	tuple = heap_form_tuple(RelationGetDescr(log->rel), values, nulls);
	ListCell   *cell;

	tuple->t_tableOid = RelationGetRelid(log->rel);
	heap_insert(log->rel, tuple, log->cid, 0, NULL);
	foreach(cell, log->indexes)
	{
		Relation	index = lfirst(cell);
		Datum		keys[INDEX_MAX_KEYS];
		bool		null_keys[INDEX_MAX_KEYS];

		for (int i = 0; i < IndexRelationGetNumberOfAttributes(index); i++)
		{
			int			column = index->rd_index->indkey.values[i] - 1;

			keys[i] = values[column];
			null_keys[i] = nulls[column];
		}
		(void) index_insert(index, keys, null_keys, &tuple->t_self, log->rel,
							index->rd_index->indisunique ? UNIQUE_CHECK_YES : UNIQUE_CHECK_NO, false, NULL);
	}
	heap_freetuple(tuple);
}

static void
LogClose(LogWriter *log)
{
	ListCell   *cell;

	foreach(cell, log->indexes)
		index_close(lfirst(cell), NoLock);
	table_close(log->rel, NoLock);
}

/* Write up to n changes of one source in a row; how many went into it. */
static int
PutRow(LogWriter *log, const Change *changes, int n)
{
	Datum		values[LOG_COLUMNS] = {
		[LOG_SOURCE_ID] = Int32GetDatum(changes[0].source_id),
		[LOG_XACT] = FullTransactionIdGetDatum(GetTopFullTransactionId())
	};
	bool		nulls[LOG_COLUMNS] = {false, false, true, true, true, true};
	bool		by_key = changes[0].key != NULL;
	Datum	   *customers;
	Datum	   *keys;
	int			bytes = 0;
	int			count = 0;

	if (n <= FEW)
	{
		values[LOG_CUSTOMER] = Int64GetDatum(changes[0].customer);
		nulls[LOG_CUSTOMER] = IsEverything(&changes[0]);
		if (by_key)
		{
			values[LOG_KEY] = CStringGetTextDatum(changes[0].key);
			nulls[LOG_KEY] = false;
		}
		LogPut(log, values, nulls);
		return 1;
	}

	customers = palloc(n * sizeof(Datum));
	keys = palloc(n * sizeof(Datum));
	while (count < n && bytes < ROW_BYTES)
	{
		customers[count] = Int64GetDatum(changes[count].customer);
		bytes += sizeof(int64);
		if (by_key)
		{
			keys[count] = CStringGetTextDatum(changes[count].key);
			bytes += INTALIGN(VARSIZE_ANY(DatumGetPointer(keys[count])));
		}
		count++;
	}
	values[LOG_CUSTOMERS] = PointerGetDatum(construct_array(customers, count, INT8OID, sizeof(int64), FLOAT8PASSBYVAL,
												TYPALIGN_DOUBLE));
	nulls[LOG_CUSTOMERS] = false;
	if (by_key)
	{
		values[LOG_KEYS] = PointerGetDatum(construct_array(keys, count, TEXTOID, -1, false, TYPALIGN_INT));
		nulls[LOG_KEYS] = false;
	}
	LogPut(log, values, nulls);
	return count;
}

static void
WriteChanges(void *arg)
{
	LogWriter	log;
	int			at = 0;

	LogOpen(&log, "change_log");
	while (at < capture.n)
	{
		int			end = at;

		while (end < capture.n && capture.changes[end].source_id == capture.changes[at].source_id)
			end++;
		/* It sorts before every number, but a key may have a smaller hash. */
		for (int i = at; i < end; i++)
			if (IsEverything(&capture.changes[i]))
			{
				capture.changes[at] = capture.changes[i];
				(void) PutRow(&log, &capture.changes[at], 1);
				at = end;
			}
		while (at < end)
			at += PutRow(&log, &capture.changes[at], end - at);
	}
	LogClose(&log);
}

static void
WriteGap(void *arg)
{
	LogWriter	log;
	int			last = 0;

	LogOpen(&log, "change_gap");
	for (int i = 0; i < capture.n; i++)
	{
		Datum		values[2] = {Int32GetDatum(capture.changes[i].source_id),
		FullTransactionIdGetDatum(GetTopFullTransactionId())};
		bool		nulls[2] = {false, false};

		if (capture.changes[i].source_id != last)
			LogPut(&log, values, nulls);
		last = capture.changes[i].source_id;
	}
	LogClose(&log);
}

/* Before the end of the transaction, when all its triggers have run. */
static void
Flush(void)
{
	ErrorData  *error;

	Condense(0);
	error = Attempt(WriteChanges, NULL);
	if (error)
	{
		ErrorData  *worse = Attempt(WriteGap, NULL);

		ereport(WARNING,
				(errcode(error->sqlerrcode),
				 errmsg("could not note the customers of a changed source for custseg: %s", error->message),
				 worse ? errhint("CALL custseg.refresh(rebuild => true) once this is mended.") :
				 errhint("The next refresh reads the source whole.")));
	}
	capture.n = 0;
}

static void
TransactionEnds(XactEvent event, void *arg)
{
	if (capture.context == NULL)
		return;
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			if (capture.n > 0)
				Flush();
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			capture.context = NULL; /* its memory goes with the transaction's */
			break;
		default:
			break;
	}
}

static void
SubtransactionEnds(SubXactEvent event, SubTransactionId id, SubTransactionId parent, void *arg)
{
	int			nest;
	Level	   *level;

	if (capture.context == NULL || (event != SUBXACT_EVENT_ABORT_SUB && event != SUBXACT_EVENT_COMMIT_SUB))
		return;
	nest = GetCurrentTransactionNestLevel();
	level = &capture.levels[capture.n_levels - 1];
	if (level->nest < nest)
		return;
	if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		capture.n = level->start;
		capture.n_levels--;
	}
	else if (level[-1].nest == nest - 1)
		capture.n_levels--;		/* they are the parent's now */
	else
		level->nest = nest - 1;
}

/* ------------------------------------------------------------ the trigger */

static void
RelationChanged(Datum arg, Oid relid)
{
	column.relid = InvalidOid;
}

static void
FindColumn(Relation rel, const char *name)
{
	AttrNumber	attno = get_attnum(RelationGetRelid(rel), name);

	column.attno = attno > 0 ? attno : 0;
	column.type = attno > 0 ? getBaseType(TupleDescAttr(RelationGetDescr(rel), attno - 1)->atttypid) : InvalidOid;
	column.relid = RelationGetRelid(rel);
}

Datum
custseg_track_change(PG_FUNCTION_ARGS)
{
	static bool registered = false;
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	int			source_id;

	if (!CALLED_AS_TRIGGER(fcinfo) || trigger->tg_trigger->tgnargs != 2 || !TRIGGER_FIRED_AFTER(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("custseg.track_change() is not a trigger of your own to make"),
				 errhint("SELECT custseg.track(source).")));
	if (!registered)
	{
		RegisterXactCallback(TransactionEnds, NULL);
		RegisterSubXactCallback(SubtransactionEnds, NULL);
		CacheRegisterRelcacheCallback(RelationChanged, (Datum) 0);
		registered = true;
	}

	source_id = atoi(trigger->tg_trigger->tgargs[0]);
	if (column.relid != RelationGetRelid(trigger->tg_relation))
		FindColumn(trigger->tg_relation, trigger->tg_trigger->tgargs[1]);
	if (TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event) || column.attno == 0)
		Add(source_id, 0, NULL, 0);
	else
	{
		AddRow(source_id, trigger->tg_trigslot);
		if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
			AddRow(source_id, trigger->tg_newslot);
	}
	return PointerGetDatum(NULL);
}

void
CaptureInit(void)
{
	DefineCustomIntVariable("custseg.max_tracked_customers",
							"Customers whose orders one transaction can change in a tracked table before the next refresh reads the table whole.",
							NULL, &custseg_max_tracked,
							100000, 1, 10000000,
							PGC_USERSET, 0, NULL, NULL, NULL);
}
