/*
 * capture.c
 *		Noting whose orders a transaction of the shop changes.
 *
 * This runs inside the shop's own transactions, so it must be cheap and must
 * never make one fail, nor wait for us. The row triggers only remember the
 * customers of inserted, updated and deleted rows in memory; a subtransaction
 * that is rolled back takes its own with it. At the end, when nothing of the
 * transaction's own work can fail any more, each customer is written once to the
 * log (change_write.c), and more than custseg.max_tracked_customers as one row
 * that says "everything".
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/uuid.h"

#include "common/compat.h"
#include "common/guard.h"
#include "source/mapping.h"
#include "track/capture.h"
#include "track/change_log.h"
#include "track/change_write.h"
#include "track/move.h"

PG_FUNCTION_INFO_V1(custseg_track_change);

int			custseg_max_tracked = 100000;

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

/* What a trigger notes, as long as its table stays as it is. */
typedef struct Column
{
	Oid			trigger;		/* hash key */
	Oid			relid;
	int			source_id;
	AttrNumber	attno;			/* of the customer or order; 0: it is gone, or cannot be a key any more */
	Oid			type;
	KeyKind		kind;
	bool		ours;			/* the table is the source's */
	bool		order;			/* it is no customer but the number of an order */
	TransactionId asked_in;		/* that, or not */
} Column;

static HTAB *columns = NULL;
static Column *last_column = NULL;

/* All of a source comes before its customers, and numbers before keys: a type can change in between. */
static int
CompareChanges(const void *a, const void *b)
{
	const Change *x = a;
	const Change *y = b;

	if (x->source_id != y->source_id)
		return x->source_id < y->source_id ? -1 : 1;
	if ((x->key == NULL) != (y->key == NULL))
		return x->key == NULL ? -1 : 1;
	if (x->customer != y->customer)
		return x->customer < y->customer ? -1 : 1;
	return x->key ? strcmp(x->key, y->key) : 0;
}

/* ------------------------------------------------ what was changed so far */

static void
ForgetChange(Change *change)
{
	if (change->key)
		pfree(change->key);
}

/* Each once; where there are too many, "everything" of their sources instead. */
static void
CondenseChanges(int start)
{
	Change	   *changes = capture.changes + start;
	int			n = capture.n - start;
	int			different = 0;
	bool		too_many;

	if (n > 1)
		qsort(changes, n, sizeof(Change), CompareChanges);
	for (int i = 0; i < n; i++)
	{
		const Change *last = different > 0 ? &changes[different - 1] : NULL;

		if (last && last->source_id == changes[i].source_id &&
			(IsEverything(last) || CompareChanges(last, &changes[i]) == 0))
			ForgetChange(&changes[i]);
		else
			changes[different++] = changes[i];
	}

	too_many = different > custseg_max_tracked;
	n = different;
	for (int i = different = 0; too_many && i < n; i++)
	{
		ForgetChange(&changes[i]);
		if (different == 0 || changes[different - 1].source_id != changes[i].source_id)
			changes[different++] = (Change) {.source_id = changes[i].source_id};
	}
	capture.n = start + (too_many ? different : n);
}

static void
AddCustomer(int source_id, int64 customer, const char *key, int len)
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
			CondenseChanges(level->start);
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
AddKey(const Column *column, const char *key, int len)
{
	/* Others are rejected when they are read, but for numbers of orders: these can be anything. */
	if (len > 0 && len <= KEY_MAX_LENGTH)
		AddCustomer(column->source_id, ChangeHash(key, len), key, len);
	else if (column->order)
		AddCustomer(column->source_id, 0, NULL, 0);
}

/* The customer of a row, or its order. */
static void
AddRow(const Column *column, TupleTableSlot *slot)
{
	bool		isnull;
	Datum		value = slot_getattr(slot, column->attno, &isnull);

	if (isnull)
		return;
	switch (column->kind)
	{
		case KEY_NATIVE:
		case KEY_NUMBER:
			{
				int64		customer = column->type == INT2OID ? DatumGetInt16(value) :
					column->type == INT4OID ? DatumGetInt32(value) : DatumGetInt64(value);

				if (customer > 0)
					AddCustomer(column->source_id, customer, NULL, 0);
				else if (column->order)
				{
					char	   *text = psprintf(INT64_FORMAT, customer);

					AddKey(column, text, strlen(text));
					pfree(text);
				}
				break;
			}
		case KEY_UUID:
			{
				char	   *text = DatumGetCString(DirectFunctionCall1(uuid_out, value));

				AddKey(column, text, strlen(text));
				pfree(text);
				break;
			}
		case KEY_TEXT:
			{
				struct varlena *text = PG_DETOAST_DATUM_PACKED(value);

				AddKey(column, VARDATA_ANY(text), VARSIZE_ANY_EXHDR(text));
				if ((Pointer) text != DatumGetPointer(value))
					pfree(text);
				break;
			}
	}
}

/* Both customers of a row that was updated. */
static void
AddMoved(const Column *column, const TriggerData *trigger)
{
	bool		was_null;
	bool		is_null;
	Datum		was = slot_getattr(trigger->tg_trigslot, column->attno, &was_null);
	Datum		is = slot_getattr(trigger->tg_newslot, column->attno, &is_null);

	if (!was_null && !is_null)
		MoveNote(column->source_id, TupleDescAttr(trigger->tg_trigslot->tts_tupleDescriptor, column->attno - 1), was, is);
}

/* ------------------------------------------------ the transaction's end */

/* When all its triggers have run. */
static void
FlushChanges(void)
{
	int			n_moves;
	const Move *moves = MovesTake(&n_moves);

	CondenseChanges(0);
	ChangeLogWrite(capture.changes, capture.n, moves, n_moves);
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
				FlushChanges();
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
		for (int i = level->start; i < capture.n; i++)
			ForgetChange(&capture.changes[i]);
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
	HASH_SEQ_STATUS all;
	Column	   *column;

	hash_seq_init(&all, columns);
	while ((column = hash_seq_search(&all)) != NULL)
		if (!OidIsValid(relid) || column->relid == relid)
			(void) hash_search(columns, &column->trigger, HASH_REMOVE, NULL);
	last_column = NULL;
}

static void
PrepareChanges(void)
{
	HASHCTL		control = {.keysize = sizeof(Oid), .entrysize = sizeof(Column)};

	columns = hash_create("custseg tracked columns", 16, &control, HASH_ELEM | HASH_BLOBS);
	RegisterXactCallback(TransactionEnds, NULL);
	RegisterSubXactCallback(SubtransactionEnds, NULL);
	CacheRegisterRelcacheCallback(RelationChanged, (Datum) 0);
}

/* What a trigger notes. Anybody can put one of ours on a table of their own; that one notes nothing. */
static const Column *
FindColumn(const TriggerData *trigger)
{
	Oid			id = trigger->tg_trigger->tgoid;
	Oid			relid = RelationGetRelid(trigger->tg_relation);
	TransactionId now = GetTopTransactionIdIfAny();
	Column		column = {.trigger = id,.relid = relid,.asked_in = now};

	if (last_column == NULL || last_column->trigger != id)
		last_column = hash_search(columns, &id, HASH_FIND, NULL);
	if (last_column && (last_column->ours || last_column->asked_in == now))
		return last_column;

	column.source_id = atoi(trigger->tg_trigger->tgargs[0]);
	column.attno = get_attnum(relid, trigger->tg_trigger->tgargs[1]);
	if (column.attno > 0)
		column.type = getBaseType(TupleDescAttr(RelationGetDescr(trigger->tg_relation), column.attno - 1)->atttypid);
	if (column.attno < 0 || !KeyKindOf(column.type, &column.kind))
		column.attno = 0;
	column.order = trigger->tg_trigger->tgnargs == 3;
	column.ours = SourceMayBe(column.source_id, relid);

	/* Only now: the catalog lookups may have brought news of the table. */
	last_column = hash_search(columns, &id, HASH_ENTER, NULL);
	*last_column = column;
	return last_column;
}

Datum
custseg_track_change(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	Column		column;

	if (!CALLED_AS_TRIGGER(fcinfo) || trigger->tg_trigger->tgnargs < 2 || trigger->tg_trigger->tgnargs > 3 || !TRIGGER_FIRED_AFTER(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("custseg.track_change() is not a trigger of your own to make"),
				 errhint("SELECT custseg.track(source).")));
	if (columns == NULL)
		PrepareChanges();

	/* A copy, since to read a long key can bring news of the table. */
	column = *FindColumn(trigger);
	if (!column.ours)
		return PointerGetDatum(NULL);
	if (TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event) || column.attno == 0)
		AddCustomer(column.source_id, 0, NULL, 0);
	else
	{
		AddRow(&column, trigger->tg_trigslot);
		if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
		{
			AddRow(&column, trigger->tg_newslot);
			AddMoved(&column, trigger);
		}
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
