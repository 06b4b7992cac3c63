/*
 * handle_apply.c
 *		What was read of handles, written where it differs from what is stored.
 *
 * Both come in the order of the customers, and one walk finds the differences.
 */
#include "postgres.h"

#include "access/tupdesc.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/tuplesort.h"
#include "utils/typcache.h"

#include "common/compat.h"
#include "common/ids.h"
#include "common/settings.h"
#include "common/spi.h"
#include "common/stream.h"
#include "person/forgotten.h"
#include "person/handle_read.h"
#include "person/handle_row.h"

#define COLUMNS 3				/* of a row that is sorted: customer, kind, hash */

static int
CompareRows(const void *a, const void *b)
{
	const HandleRow *x = a;
	const HandleRow *y = b;

	if (x->customer_id != y->customer_id)
		return x->customer_id < y->customer_id ? -1 : 1;
	return x->kind != y->kind ? x->kind - y->kind : CompareHandles(&x->hash, &y->hash);
}

/* ------------------------------------------------------------- differences */

typedef struct Differences
{
	const LinkRules *rules;
	int			source_id;
	HandleRow  *rows;
	bool	   *added;
	int			n;
} Differences;

#define OF_DIFFERENCES " FROM unnest($2, $3, $4, $5) n (customer_id, kind, hash, added)"

static void
WriteDifferences(Differences *differences)
{
	Oid			types[] = {INT4OID, INT8ARRAYOID, TEXTARRAYOID, UUIDARRAYOID, BOOLARRAYOID};
	int			n = differences->n;
	int64	   *ids = palloc(Max(n, 1) * sizeof(int64));
	Handle	   *hashes = palloc(Max(n, 1) * sizeof(Handle));
	Datum	   *kinds = palloc(Max(n, 1) * sizeof(Datum));
	Datum	   *added = palloc(Max(n, 1) * sizeof(Datum));
	Datum		values[lengthof(types)];

	differences->n = 0;
	if (n == 0)
		return;
	for (int i = 0; i < n; i++)
	{
		ids[i] = differences->rows[i].customer_id;
		hashes[i] = differences->rows[i].hash;
		kinds[i] = CStringGetTextDatum(differences->rules->kinds[differences->rows[i].kind].name);
		added[i] = BoolGetDatum(differences->added[i]);
	}
	values[0] = Int32GetDatum(differences->source_id);
	values[1] = IdArray(ids, n);
	values[2] = PointerGetDatum(construct_array(kinds, n, TEXTOID, -1, false, TYPALIGN_INT));
	values[3] = HandleArray(hashes, n);
	values[4] = PointerGetDatum(construct_array(added, n, BOOLOID, sizeof(bool), true, TYPALIGN_CHAR));
	SpiRun("INSERT INTO custseg.person_handle (customer_id, source_id, kind, hash)"
		   " SELECT n.customer_id, $1, n.kind, n.hash" OF_DIFFERENCES " WHERE n.added ON CONFLICT DO NOTHING",
		   lengthof(types), types, values, NULL);
	SpiRun("DELETE FROM custseg.person_handle h USING unnest($2, $3, $4, $5) n (customer_id, kind, hash, added)"
		   " WHERE NOT n.added AND h.customer_id = n.customer_id AND h.source_id = $1 AND h.kind = n.kind AND h.hash = n.hash",
		   lengthof(types), types, values, NULL);
	SpiRun("INSERT INTO custseg.link_pending (customer_id, kind, hash) SELECT n.customer_id, n.kind, n.hash" OF_DIFFERENCES
		   " WHERE $1 IS NOT NULL", lengthof(types), types, values, NULL);
}

static void
AddDifference(Differences *differences, const HandleRow *row, bool added)
{
	if (differences->n == HANDLE_PORTION)
	{
		MemoryContext portion = AllocSetContextCreate(CurrentMemoryContext, "custseg handles", ALLOCSET_DEFAULT_SIZES);
		MemoryContext old = MemoryContextSwitchTo(portion);

		WriteDifferences(differences);
		MemoryContextSwitchTo(old);
		MemoryContextDelete(portion);
	}
	differences->rows[differences->n] = *row;
	differences->added[differences->n++] = added;
}

/* Both sides of the walk, in the order of CompareRows; false at the end. */
typedef struct Walk
{
	bool		(*next_read) (void *from, HandleRow *row);
	void	   *from;
	bool		(*next_stored) (void *beside, HandleRow *row);
	void	   *beside;
} Walk;

static void
WalkAlong(const Walk *walk, const LinkRules *rules, int source_id)
{
	Differences differences = {rules, source_id, palloc(HANDLE_PORTION * sizeof(HandleRow)), palloc(HANDLE_PORTION * sizeof(bool))};
	HandleRow	last = {0};
	HandleRow	row;
	HandleRow	stored;
	Forgotten  *forgotten = ForgottenRead(CurrentMemoryContext);
	bool		more = walk->next_read(walk->from, &row);
	bool		more_stored = walk->next_stored(walk->beside, &stored);

	while (more || more_stored)
	{
		int			order = !more ? 1 : !more_stored ? -1 : CompareRows(&row, &stored);

		CHECK_FOR_INTERRUPTS();
		/* A customer may have several rows that say the same. */
		if (more && order <= 0 && CompareRows(&row, &last) == 0)
		{
			more = walk->next_read(walk->from, &row);
			continue;
		}
		/* Of keys that are not numbers of the shop, who was forgotten has none. */
		if (order < 0 && (forgotten == NULL || row.customer_id < 0 || !IsNumberForgotten(forgotten, row.customer_id)))
			AddDifference(&differences, &row, true);
		else if (order > 0)
			AddDifference(&differences, &stored, false);
		if (order <= 0)
		{
			last = row;
			more = walk->next_read(walk->from, &row);
		}
		if (order >= 0)
			more_stored = walk->next_stored(walk->beside, &stored);
	}
	WriteDifferences(&differences);
}

/* --------------------------------------------------------------- a whole source */

typedef struct SortedRows
{
	Tuplesortstate *sort;
	TupleTableSlot *in;
	TupleTableSlot *out;
} SortedRows;

static void
SortRow(void *arg, const HandleRow *row)
{
	SortedRows *sorted = arg;
	TupleTableSlot *in = sorted->in;

	ExecClearTuple(in);
	in->tts_values[0] = Int64GetDatum(row->customer_id);
	in->tts_values[1] = Int32GetDatum(row->kind);
	in->tts_values[2] = UUIDPGetDatum(&row->hash);
	memset(in->tts_isnull, 0, COLUMNS * sizeof(bool));
	ExecStoreVirtualTuple(in);
	tuplesort_puttupleslot(sorted->sort, in);
}

static bool
NextSorted(void *from, HandleRow *row)
{
	SortedRows *sorted = from;

	if (!tuplesort_gettupleslot(sorted->sort, true, false, sorted->out, NULL))
		return false;
	slot_getallattrs(sorted->out);
	row->customer_id = DatumGetInt64(sorted->out->tts_values[0]);
	row->kind = DatumGetInt32(sorted->out->tts_values[1]);
	row->hash = *DatumGetUUIDP(sorted->out->tts_values[2]);
	return true;
}

static void
SortedBegin(SortedRows *sorted)
{
	TupleDesc	desc = CreateTemplateTupleDesc(COLUMNS);
	AttrNumber	columns[COLUMNS] = {1, 2, 3};
	Oid			operators[COLUMNS] = {Int8LessOperator, Int4LessOperator, lookup_type_cache(UUIDOID, TYPECACHE_LT_OPR)->lt_opr};
	Oid			collations[COLUMNS] = {InvalidOid, InvalidOid, InvalidOid};
	bool		nulls_first[COLUMNS] = {false};

	TupleDescInitEntry(desc, 1, "customer", INT8OID, -1, 0);
	TupleDescInitEntry(desc, 2, "kind", INT4OID, -1, 0);
	TupleDescInitEntry(desc, 3, "hash", UUIDOID, -1, 0);
	TupleDescFinalize(desc);
	sorted->in = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);
	sorted->out = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	sorted->sort = tuplesort_begin_heap(desc, COLUMNS, columns, operators, collations, nulls_first,
										Max(custseg_work_mem, 64), NULL, TUPLESORT_NONE);
}

/* What is stored, by a cursor. */
typedef struct StoredRows
{
	const LinkRules *rules;
	Portal		cursor;
	MemoryContext caller;
	SPITupleTable *table;
	uint64		n;
	uint64		at;
} StoredRows;

static bool
NextOfStored(void *beside, HandleRow *row)
{
	StoredRows *stored = beside;

	if (stored->at == stored->n)
	{
		if (stored->table)
			SPI_freetuptable(stored->table);
		SPI_cursor_fetch(stored->cursor, true, HANDLE_PORTION);
		MemoryContextSwitchTo(stored->caller);
		stored->table = SPI_tuptable;
		stored->n = SPI_processed;
		stored->at = 0;
		if (stored->n == 0)
			return false;
	}
	SPI_tuptable = stored->table;
	row->customer_id = SpiInt64(stored->at, 1, 0);
	row->kind = (int) SpiInt64(stored->at, 2, 0) - 1;
	row->hash = SpiHandle(stored->at, 3);
	stored->at++;
	return true;
}

void
HandlesApplyAll(HandlesRead *read, const Source *source)
{
	Oid			types[] = {INT4OID, TEXTARRAYOID};
	Datum		values[] = {Int32GetDatum(source->source_id), KindNames(HandlesRules(read))};
	SortedRows	sorted;
	StoredRows	stored = {.rules = HandlesRules(read),.caller = CurrentMemoryContext};
	Walk		walk = {NextSorted, &sorted, NextOfStored, &stored};
	int			level;

	SortedBegin(&sorted);
	HandlesEach(read, SortRow, &sorted);
	tuplesort_performsort(sorted.sort);
	level = PlanInOrderBegin();
	stored.cursor = SPI_cursor_open_with_args(NULL,
											  "SELECT h.customer_id, pg_catalog.array_position($2, h.kind), h.hash FROM custseg.person_handle h"
											  " WHERE h.source_id = $1 AND h.kind = ANY ($2) ORDER BY h.customer_id, h.source_id, h.kind, h.hash",
											  lengthof(types), types, values, NULL, false, 0);
	MemoryContextSwitchTo(stored.caller);
	PlanByIndexEnd(level);
	WalkAlong(&walk, HandlesRules(read), source->source_id);
	SPI_cursor_close(stored.cursor);
	MemoryContextSwitchTo(stored.caller);
	tuplesort_end(sorted.sort);
	ExecDropSingleTupleTableSlot(sorted.in);
	ExecDropSingleTupleTableSlot(sorted.out);
}

/* -------------------------------------------------------------- some customers */

typedef struct FewRows
{
	const int64 *ids;			/* who was asked for, ascending */
	int			n_ids;
	HandleRow  *rows;
	int			n;
	int			size;
	int			at;
} FewRows;

static void
PutFew(FewRows *few, const HandleRow *row)
{
	if (few->n == few->size)
	{
		few->size = Max(few->size * 2, 256);
		few->rows = few->rows ? repalloc_huge(few->rows, few->size * sizeof(HandleRow)) :
			palloc(few->size * sizeof(HandleRow));
	}
	few->rows[few->n++] = *row;
}

/* A function that lies about what it depends on may show others than were asked for. */
static void
KeepFew(void *arg, const HandleRow *row)
{
	FewRows    *few = arg;

	if (bsearch(&row->customer_id, few->ids, few->n_ids, sizeof(int64), CompareIds) != NULL)
		PutFew(few, row);
}

static bool
NextFew(void *from, HandleRow *row)
{
	FewRows    *few = from;

	if (few->at == few->n)
		return false;
	*row = few->rows[few->at++];
	return true;
}

void
HandlesApplySome(HandlesRead *read, const Source *source, const int64 *ids, int n)
{
	Oid			types[] = {INT4OID, TEXTARRAYOID, INT8ARRAYOID};
	Datum		values[] = {Int32GetDatum(source->source_id), KindNames(HandlesRules(read)), IdArray(ids, n)};
	MemoryContext context = CurrentMemoryContext;
	FewRows		few = {.ids = ids,.n_ids = n,.size = 256,.rows = palloc(256 * sizeof(HandleRow))};
	FewRows		stored = {0};
	Walk		walk = {NextFew, &few, NextFew, &stored};
	int			level;

	HandlesEach(read, KeepFew, &few);
	MemoryContextSwitchTo(context);
	if (few.n > 1)
		qsort(few.rows, few.n, sizeof(HandleRow), CompareRows);
	level = PlanByIndexBegin();
	SpiRun("SELECT h.customer_id, pg_catalog.array_position($2, h.kind), h.hash FROM custseg.person_handle h"
		   " WHERE h.customer_id = ANY ($3) AND h.source_id = $1 AND h.kind = ANY ($2)",
		   lengthof(types), types, values, NULL);
	PlanByIndexEnd(level);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HandleRow	row = {SpiInt64(i, 1, 0), (int) SpiInt64(i, 2, 0) - 1, SpiHandle(i, 3)};

		PutFew(&stored, &row);
	}
	SPI_freetuptable(SPI_tuptable);
	if (stored.n > 1)
		qsort(stored.rows, stored.n, sizeof(HandleRow), CompareRows);
	WalkAlong(&walk, HandlesRules(read), source->source_id);
}

void
HandlesForget(const LinkRules *rules)
{
	Oid			types[] = {TEXTARRAYOID};
	Datum		values[] = {KindNames(rules)};

	/* Few are read, and most of the time none of them is gone: by index, or not at all. */
	if (SpiRun("DELETE FROM custseg.person_handle_read r WHERE r.kind <> ALL ($1) OR NOT EXISTS ("
			   "  SELECT FROM custseg.source_mapping m WHERE m.source_id = r.source_id) RETURNING 1",
			   1, types, values, NULL) == 0)
		return;
	/* How many rows had one of all these is no measure for those that are left. */
	SpiRun("UPDATE custseg.person_handle_read SET rows = 0 WHERE rows > 0", 0, NULL, NULL, NULL);
	SpiRun("WITH gone AS (DELETE FROM custseg.person_handle h WHERE NOT EXISTS ("
		   "  SELECT FROM custseg.person_handle_read r WHERE r.source_id = h.source_id AND r.kind = h.kind)"
		   "  RETURNING customer_id, kind, hash)"
		   " INSERT INTO custseg.link_pending (customer_id, kind, hash) SELECT * FROM gone", 0, NULL, NULL, NULL);
}
