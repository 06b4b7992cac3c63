/*
 * change_log.c
 *		Customers whose orders changed in tracked sources, as a refresh and
 *		claim() see them.
 *
 * Entries are only ever added by the shop's transactions (capture.c) and
 * removed by refreshes, of which one runs at a time. So an entry that a
 * refresh has seen stays where it is until that refresh removes it, and two
 * rules make sure that no change is lost:
 *
 * - Changed customers are read after their entries were taken, in the same
 *	 transaction. The snapshot of the reading is later than that of the taking,
 *	 so it sees every transaction whose entries were taken.
 *
 * - A source that is read whole keeps its entries until all profiles are
 *	 written, in later transactions. Removed then are those that the snapshot
 *	 taken before the reading can see, by the number of the transaction in each.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "storage/bufmgr.h"
#include "storage/itemptr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "common/bulk.h"
#include "common/ids.h"
#include "common/spi.h"
#include "source/change_batch.h"
#include "source/change_log.h"
#include "source/identity.h"

#define FETCH_ENTRIES 1000
#define LONG_PAGES 8			/* some thousand entries */

int64
ChangeHash(const char *key, int len)
{
	return (int64) hash_bytes_extended((const unsigned char *) key, len, 0);
}

void
ChangeLogSummary(const Source *source, ChangeSummary *summary)
{
	static SPIPlanPtr kept = NULL;
	Oid			types[1] = {INT4OID};
	Datum		values[1] = {Int32GetDatum(source->source_id)};

	SpiRunPlan(SpiKeep(&kept,
					   "SELECT coalesce(pg_catalog.bool_or(customer IS NULL AND customers IS NULL), false),"
					   " coalesce(pg_catalog.sum(coalesce(pg_catalog.cardinality(customers), 1))::bigint, 0),"
					   " EXISTS (SELECT FROM custseg.change_gap WHERE source_id = $1)"
					   " FROM custseg.change_log WHERE source_id = $1", 1, types), values, NULL);
	summary->customers = SpiInt64(0, 2, 0);
	summary->missed = SpiInt64(0, 3, 0) != 0;
	summary->everything = SpiInt64(0, 1, 0) != 0 || summary->missed;
}

int64
ChangeLogCustomers(const Source *source)
{
	static SPIPlanPtr kept = NULL;
	Oid			types[1] = {INT4OID};
	Datum		values[1] = {Int32GetDatum(source->source_id)};

	SpiRunPlan(SpiKeep(&kept,
					   "SELECT count(*) FROM (SELECT customer, key FROM custseg.change_log"
					   "  WHERE source_id = $1 AND customer IS NOT NULL UNION"
					   " SELECT u.customer, u.key FROM custseg.change_log, unnest(customers, keys) AS u (customer, key)"
					   "  WHERE source_id = $1) c", 1, types), values, NULL);
	return SpiInt64(0, 1, 0);
}

static int
CompareKeys(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

/* Room for that many more. */
static void
Grow(ChangedCustomers *taken, int *size, int more)
{
	if (taken->n + more <= *size)
		return;
	*size = Max(*size * 2, taken->n + more);
	if (taken->ids)
		taken->ids = repalloc_huge(taken->ids, *size * sizeof(int64));
	else
		taken->keys = repalloc_huge(taken->keys, *size * sizeof(char *));
}

/*
 * An entry's customers: a row of customer, key, customers, keys, from column 2 on.
 * From a time when the keys were of the other kind, it names nobody there is now.
 */
static void
AddEntry(ChangedCustomers *taken, int *size, uint64 row)
{
	bool		one;
	bool		no_key;
	bool		no_keys;
	Datum		keys = SpiField(row, 5, &no_keys);
	Datum		array = SpiField(row, 4, &one);
	Datum	   *elements;
	int			n;

	(void) SpiField(row, 3, &no_key);
	if ((taken->ids != NULL) != (no_key && no_keys))
		return;
	if (taken->ids == NULL)
		array = keys;
	if (one)
	{
		Grow(taken, size, 1);
		if (taken->ids)
			taken->ids[taken->n++] = SpiInt64(row, 2, 0);
		else
			taken->keys[taken->n++] = SpiText(row, 3);
		return;
	}
	if (taken->ids)
		deconstruct_array(DatumGetArrayTypeP(array), INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE,
						  &elements, NULL, &n);
	else
		deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &elements, NULL, &n);
	Grow(taken, size, n);
	for (int i = 0; i < n; i++)
	{
		if (taken->ids)
			taken->ids[taken->n++] = DatumGetInt64(elements[i]);
		else
			taken->keys[taken->n++] = TextDatumGetCString(elements[i]);
	}
	pfree(elements);
}

/* Rows of one of the two tables, by their places. */
typedef struct Places
{
	Datum	   *tids;
	int			n;
	int			size;
} Places;

static void
AddPlace(Places *places, ItemPointer tid)
{
	ItemPointer copy = palloc(sizeof(ItemPointerData));

	ItemPointerCopy(tid, copy);
	if (places->n == places->size)
	{
		places->size = Max(places->size * 2, FETCH_ENTRIES);
		places->tids = places->tids ? repalloc_huge(places->tids, places->size * sizeof(Datum)) :
			palloc(places->size * sizeof(Datum));
	}
	places->tids[places->n++] = PointerGetDatum(copy);
}

static void
RemoveEntries(SPIPlanPtr *kept, const char *statement, const Places *places)
{
	Oid			types[1] = {TIDARRAYOID};
	Datum		values[1];

	if (places->n == 0)
		return;
	values[0] = PointerGetDatum(construct_array(places->tids, places->n, TIDOID, sizeof(ItemPointerData), false,
												TYPALIGN_SHORT));
	SpiRunPlan(SpiKeep(kept, statement, 1, types), values, NULL);
	if (SPI_processed != places->n)
		elog(ERROR, "removed %llu of %d changes", (unsigned long long) SPI_processed, places->n);
}

bool
ChangeLogTake(const Source *source, int most, ChangedCustomers *taken)
{
	static SPIPlanPtr kept = NULL;
	static SPIPlanPtr kept_single = NULL;
	static SPIPlanPtr kept_batch = NULL;
	MemoryContext caller = CurrentMemoryContext;
	Oid			types[1] = {INT4OID};
	Datum		values[1] = {Int32GetDatum(source->source_id)};
	bool		native = source->key_kind == KEY_NATIVE;
	int			size = FETCH_ENTRIES;
	Places		singles = {0};
	Places		batches = {0};
	bool		more = true;
	Portal		cursor;

	taken->n = 0;
	taken->ids = native ? palloc(size * sizeof(int64)) : NULL;
	taken->keys = native ? NULL : palloc(size * sizeof(char *));

	SpiKeep(&kept,
			"SELECT ctid, customer, key, customers, keys, tableoid = 'custseg.change_batch'::regclass FROM custseg.change_log"
			" WHERE source_id = $1 AND (customer IS NOT NULL OR customers IS NOT NULL)", 1, types);
	cursor = SPI_cursor_open(NULL, kept, values, NULL, false);
	while (more && taken->n < most)
	{
		SPI_cursor_fetch(cursor, true, FETCH_ENTRIES);
		MemoryContextSwitchTo(caller);
		more = SPI_processed == FETCH_ENTRIES;
		for (uint64 row = 0; row < SPI_processed; row++)
		{
			bool		isnull;
			ItemPointer tid = (ItemPointer) DatumGetPointer(SpiField(row, 1, &isnull));

			AddPlace(SpiInt64(row, 6, 0) != 0 ? &batches : &singles, tid);
			AddEntry(taken, &size, row);
		}
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_cursor_close(cursor);
	MemoryContextSwitchTo(caller);
	RemoveEntries(&kept_single, "DELETE FROM ONLY custseg.change_log WHERE ctid = ANY ($1)", &singles);
	RemoveEntries(&kept_batch, "DELETE FROM ONLY custseg.change_batch WHERE ctid = ANY ($1)", &batches);

	if (native)
		taken->n = SortIds(taken->ids, taken->n);
	else
	{
		int			different = 0;

		qsort(taken->keys, taken->n, sizeof(char *), CompareKeys);
		for (int i = 0; i < taken->n; i++)
			if (i == 0 || strcmp(taken->keys[i], taken->keys[different - 1]) != 0)
				taken->keys[different++] = taken->keys[i];
		taken->n = different;
	}
	return more;
}

void
ChangeLogEverything(int source_id)
{
	Oid			types[1] = {INT4OID};
	Datum		values[1] = {Int32GetDatum(source_id)};

	SpiRun("INSERT INTO custseg.change_log (source_id, xact)"
		   " SELECT $1, pg_catalog.pg_current_xact_id()"
		   " WHERE NOT EXISTS (SELECT FROM custseg.change_log WHERE source_id = $1"
		   "  AND customer IS NULL AND customers IS NULL)", 1, types, values, NULL);
}

char *
ChangeLogSnapshot(void)
{
	SpiRun("SELECT pg_catalog.pg_current_snapshot()::text", 0, NULL, NULL, NULL);
	return SpiText(0, 1);
}

void
ChangeLogForget(int source_id, const char *snapshot)
{
	Oid			types[2] = {INT4OID, TEXTOID};
	Datum		values[2] = {Int32GetDatum(source_id), CStringGetTextDatum(snapshot)};

	SpiRun("DELETE FROM custseg.change_log WHERE source_id = $1"
		   " AND pg_catalog.pg_visible_in_snapshot(xact, $2::pg_catalog.pg_snapshot)", 2, types, values, NULL);
	SpiRun("DELETE FROM custseg.change_gap WHERE source_id = $1"
		   " AND pg_catalog.pg_visible_in_snapshot(xact, $2::pg_catalog.pg_snapshot)", 2, types, values, NULL);
}

void
ChangeLogDrop(int source_id)
{
	Oid			types[1] = {INT4OID};
	Datum		values[1] = {Int32GetDatum(source_id)};

	SpiRun("DELETE FROM custseg.change_log WHERE source_id = $1", 1, types, values, NULL);
	SpiRun("DELETE FROM custseg.change_gap WHERE source_id = $1", 1, types, values, NULL);
}

void
ChangeLogDropUnknown(void)
{
	SpiRun("DELETE FROM custseg.change_log l"
		   " WHERE NOT EXISTS (SELECT FROM custseg.source_mapping m WHERE m.source_id = l.source_id)", 0, NULL, NULL, NULL);
	SpiRun("DELETE FROM custseg.change_gap g"
		   " WHERE NOT EXISTS (SELECT FROM custseg.source_mapping m WHERE m.source_id = g.source_id)", 0, NULL, NULL, NULL);
}

static int
CompareWanted(const void *a, const void *b)
{
	const Wanted *x = a;
	const Wanted *y = b;

	return x->customer != y->customer ? (x->customer > y->customer) - (x->customer < y->customer) :
		x->source_id - y->source_id;
}

/* Mark those wanted that an entry names. */
static void
MarkPending(const Wanted *wanted, int n, int source_id, int64 customer, bool *pending)
{
	int			low = 0;
	int			high = n;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (wanted[middle].customer < customer)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < n && wanted[low].customer == customer; low++)
		if (wanted[low].source_id == source_id)
			pending[wanted[low].position] = true;
}

/*
 * Mark those wanted that the entries found by a key name, or all of a table's
 * without one; true if an entry means all of a source. A desk waits for this:
 * it goes to the table without a plan.
 */
static bool
MarkFound(Relation rel, Oid index, ScanKey key, Snapshot snapshot, const Wanted *wanted, int n, bool *pending)
{
	SysScanDesc scan = systable_beginscan(rel, index, OidIsValid(index), snapshot, key ? 1 : 0, key);
	bool		all = false;
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Datum		values[LOG_COLUMNS];
		bool		nulls[LOG_COLUMNS] = {false, false, true, true, true, true};
		int			source_id;

		heap_deform_tuple(tuple, RelationGetDescr(rel), values, nulls);
		source_id = DatumGetInt32(values[LOG_SOURCE_ID]);
		if (!nulls[LOG_CUSTOMER])
			MarkPending(wanted, n, source_id, DatumGetInt64(values[LOG_CUSTOMER]), pending);
		else
			for (int i = 0; i < n; i++)
				if (wanted[i].source_id == source_id)
					all = pending[wanted[i].position] = true;
	}
	systable_endscan(scan);
	return all;
}

static bool
FindPending(List *sources, int n, const int64 *ids, bool *pending)
{
	Oid			index = OwnRelation("change_log_customer_idx");
	Relation	log = table_open(OwnRelation("change_log"), AccessShareLock);
	Relation	batch = table_open(OwnRelation("change_batch"), AccessShareLock);
	Relation	gap = table_open(OwnRelation("change_gap"), AccessShareLock);
	Snapshot	snapshot = RegisterSnapshot(GetTransactionSnapshot());
	ScanKeyData key;
	Wanted	   *wanted = palloc(n * list_length(sources) * sizeof(Wanted));
	int			n_wanted = 0;
	bool		all = false;
	ListCell   *cell;

	foreach(cell, sources)
	{
		Source		source = *(Source *) lfirst(cell);
		char	  **keys = NULL;

		/* It need not be open: all that matters is whether it has keys. */
		if (source.namespace)
		{
			source.key_kind = KEY_TEXT;
			keys = IdentityKeys(&source, n, ids);
		}

		for (int i = 0; i < n; i++)
		{
			if (keys ? keys[i] == NULL : ids[i] <= 0)
				continue;
			if (!source.read_here)
			{
				all = pending[i] = true;
				continue;
			}
			wanted[n_wanted].customer = keys ? ChangeHash(keys[i], strlen(keys[i])) : ids[i];
			wanted[n_wanted].source_id = source.source_id;
			wanted[n_wanted++].position = i;
		}
	}
	qsort(wanted, n_wanted, sizeof(Wanted), CompareWanted);

	for (int i = 0; i < n_wanted; i++)
	{
		if (i > 0 && wanted[i].customer == wanted[i - 1].customer)
			continue;
		ScanKeyInit(&key, LOG_CUSTOMER + 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(wanted[i].customer));
		(void) MarkFound(log, index, &key, snapshot, wanted, n_wanted, pending);
	}
	/* Those that name all of a source stand together at the end of the index. */
	ScanKeyEntryInitialize(&key, SK_ISNULL | SK_SEARCHNULL, LOG_CUSTOMER + 1, InvalidStrategy, InvalidOid,
						   InvalidOid, InvalidOid, (Datum) 0);
	all |= MarkFound(log, index, &key, snapshot, wanted, n_wanted, pending);
	ChangeBatchLook(batch, snapshot, wanted, n_wanted, pending);
	all |= MarkFound(gap, InvalidOid, NULL, snapshot, wanted, n_wanted, pending);

	UnregisterSnapshot(snapshot);
	table_close(gap, AccessShareLock);
	table_close(batch, AccessShareLock);
	table_close(log, AccessShareLock);
	return all;
}

/* What a look has been asked already. */
typedef struct Answer
{
	int64		id;
	bool		pending;
} Answer;

struct ChangeLook
{
	List	   *sources;
	HTAB	   *answers;
	bool		all;			/* of a source changed, as far as that was asked */
};

ChangeLook *
ChangeLogLook(List *sources)
{
	ChangeLook *look = palloc(sizeof(ChangeLook));
	HASHCTL		control = {.keysize = sizeof(int64), .entrysize = sizeof(Answer), .hcxt = CurrentMemoryContext};

	look->sources = sources;
	look->all = false;
	look->answers = hash_create("custseg changes", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	return look;
}

void
ChangeLogPending(ChangeLook *look, int n, const int64 *ids, bool *pending)
{
	int64	   *asked = palloc(n * sizeof(int64));
	bool	   *found = palloc0(n * sizeof(bool));
	int			n_asked = 0;

	for (int i = 0; i < n; i++)
		if (hash_search(look->answers, &ids[i], HASH_FIND, NULL) == NULL)
			asked[n_asked++] = ids[i];
	if (n_asked > 0)
		look->all |= FindPending(look->sources, n_asked, asked, found);
	for (int i = 0; i < n_asked; i++)
		((Answer *) hash_search(look->answers, &asked[i], HASH_ENTER, NULL))->pending = found[i];
	for (int i = 0; i < n; i++)
		pending[i] = ((Answer *) hash_search(look->answers, &ids[i], HASH_FIND, NULL))->pending;
	pfree(found);
	pfree(asked);
}

bool
ChangeLogAll(const ChangeLook *look)
{
	return look->all;
}

bool
ChangeLogIsLong(void)
{
	Relation	log = table_open(OwnRelation("change_log"), AccessShareLock);
	Relation	batch = table_open(OwnRelation("change_batch"), AccessShareLock);
	bool		is_long = RelationGetNumberOfBlocks(log) + RelationGetNumberOfBlocks(batch) > LONG_PAGES;

	table_close(batch, AccessShareLock);
	table_close(log, AccessShareLock);
	return is_long;
}
