/*
 * change_log.c
 *		Customers whose orders changed in tracked sources, as a refresh sees
 *		them.
 *
 * Entries are only ever added by the shop's transactions (change_write.c) and
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

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "storage/itemptr.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "common/ids.h"
#include "common/spi.h"
#include "person/forgotten.h"
#include "track/change_log.h"

#define FETCH_ENTRIES 1000

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

int
CompareKeyTexts(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

/* Room for that many more. */
static void
GrowCustomers(ChangedCustomers *taken, int *size, int more)
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
 * A trigger notes what the column holds, and its type may have changed since. A
 * number of a source with keys is its text, and a text of a source with numbers
 * names nobody there is now.
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
	if (taken->ids != NULL && !(no_key && no_keys))
		return;
	if (!no_keys)
		array = keys;
	if (one)
	{
		GrowCustomers(taken, size, 1);
		if (taken->ids)
			taken->ids[taken->n++] = SpiInt64(row, 2, 0);
		else
			taken->keys[taken->n++] = no_key ? psprintf(INT64_FORMAT, SpiInt64(row, 2, 0)) : SpiText(row, 3);
		return;
	}
	if (no_keys)
		deconstruct_array(DatumGetArrayTypeP(array), INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE,
						  &elements, NULL, &n);
	else
		deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &elements, NULL, &n);
	GrowCustomers(taken, size, n);
	for (int i = 0; i < n; i++)
	{
		if (taken->ids)
			taken->ids[taken->n++] = DatumGetInt64(elements[i]);
		else
			taken->keys[taken->n++] = no_keys ? psprintf(INT64_FORMAT, DatumGetInt64(elements[i])) :
				TextDatumGetCString(elements[i]);
	}
	pfree(elements);
}

/* Rows by their places. */
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
RemoveEntries(const Places *places)
{
	static SPIPlanPtr kept = NULL;
	Oid			types[1] = {TIDARRAYOID};
	Datum		values[1];

	if (places->n == 0)
		return;
	values[0] = PointerGetDatum(construct_array(places->tids, places->n, TIDOID, sizeof(ItemPointerData), false,
												TYPALIGN_SHORT));
	SpiRunPlan(SpiKeep(&kept, "DELETE FROM custseg.change_log WHERE ctid = ANY ($1)", 1, types), values, NULL);
	/* Customers who are forgotten meanwhile go without us. */
	if (SPI_processed != places->n && !ForgettingGoesOn())
		elog(ERROR, "removed %llu of %d changes", (unsigned long long) SPI_processed, places->n);
}

/* Entries of a source until about "most" customers are there, by number or by key; true if there may be more. */
static bool
ReadEntries(const Source *source, bool native, int64 most, ChangedCustomers *taken, Places *places)
{
	static SPIPlanPtr kept = NULL;
	MemoryContext caller = CurrentMemoryContext;
	Oid			types[2] = {INT4OID, TEXTOID};
	Datum		values[2] = {Int32GetDatum(source->source_id), source->changes_until ? CStringGetTextDatum(source->changes_until) : (Datum) 0};
	int			size = FETCH_ENTRIES;
	bool		more = true;
	Portal		cursor;

	taken->n = 0;
	taken->ids = native ? palloc(size * sizeof(int64)) : NULL;
	taken->keys = native ? NULL : palloc(size * sizeof(char *));

	SpiKeep(&kept,
			"SELECT ctid, customer, key, customers, keys FROM custseg.change_log"
			" WHERE source_id = $1 AND (customer IS NOT NULL OR customers IS NOT NULL)"
			" AND ($2 IS NULL OR pg_catalog.pg_visible_in_snapshot(xact, $2::pg_catalog.pg_snapshot))", 2, types);
	cursor = SPI_cursor_open(NULL, kept, values, source->changes_until ? NULL : " n", false);
	while (more && taken->n < most)
	{
		SPI_cursor_fetch(cursor, true, FETCH_ENTRIES);
		MemoryContextSwitchTo(caller);
		more = SPI_processed == FETCH_ENTRIES;
		for (uint64 row = 0; row < SPI_processed; row++)
		{
			bool		isnull;
			ItemPointer tid = (ItemPointer) DatumGetPointer(SpiField(row, 1, &isnull));

			if (places)
				AddPlace(places, tid);
			AddEntry(taken, &size, row);
		}
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_cursor_close(cursor);
	MemoryContextSwitchTo(caller);
	return more;
}

void
ChangedCustomersSort(ChangedCustomers *taken)
{
	int			different = 0;

	if (taken->ids)
	{
		taken->n = SortIds(taken->ids, taken->n);
		return;
	}
	qsort(taken->keys, taken->n, sizeof(char *), CompareKeyTexts);
	for (int i = 0; i < taken->n; i++)
		if (i == 0 || strcmp(taken->keys[i], taken->keys[different - 1]) != 0)
			taken->keys[different++] = taken->keys[i];
	taken->n = different;
}

static bool
TakeEntries(const Source *source, bool native, int most, ChangedCustomers *taken)
{
	Places		places = {0};
	bool		more = ReadEntries(source, native, most, taken, &places);

	RemoveEntries(&places);
	ChangedCustomersSort(taken);
	return more;
}

bool
ChangeLogTake(const Source *source, int most, ChangedCustomers *taken)
{
	return TakeEntries(source, source->key_kind == KEY_NATIVE, most, taken);
}

bool
ChangeLogTakeOrders(const Source *source, int most, ChangedCustomers *taken)
{
	return TakeEntries(source, false, most, taken);
}

void
ChangeLogPeek(const Source *source, ChangedCustomers *seen)
{
	(void) ReadEntries(source, source->key_kind == KEY_NATIVE, PG_INT64_MAX, seen, NULL);
	ChangedCustomersSort(seen);
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
	SpiRun("DELETE FROM custseg.change_move WHERE source_id = $1", 1, types, values, NULL);
}

/*
 * Lines of orders note numbers of orders, which name nobody. Of entries with
 * several customers the others stay. A refresh may be about to take the same
 * entries off (see RemoveEntries).
 */
void
ChangeLogForgetKeys(Datum namespaces, Datum keys)
{
	Oid			types[2] = {TEXTARRAYOID, TEXTARRAYOID};
	Datum		values[2] = {namespaces, keys};

	SpiRun("DELETE FROM custseg.change_log l USING custseg.source_mapping m, unnest($1, $2) k (namespace, key)"
		   " WHERE m.source_id = l.source_id AND m.namespace = k.namespace AND m.orders_source IS NULL AND l.customer IS NOT NULL"
		   " AND coalesce(l.key, l.customer::text) = k.key", 2, types, values, NULL);
	/* An entry without anybody says that all changed. */
	SpiRun("DELETE FROM custseg.change_log l USING custseg.source_mapping m WHERE m.source_id = l.source_id AND m.namespace = ANY ($1)"
		   " AND m.orders_source IS NULL AND pg_catalog.cardinality(l.customers) > 0 AND NOT EXISTS (SELECT FROM ROWS FROM (unnest(l.customers), unnest(l.keys)) u (customer, key)"
		   "  WHERE NOT EXISTS (SELECT FROM unnest($1, $2) k (namespace, key)"
		   "   WHERE k.namespace = m.namespace AND k.key = coalesce(u.key, u.customer::text)))", 2, types, values, NULL);
	SpiRun("UPDATE custseg.change_log l SET customers = o.customers, keys = CASE WHEN l.keys IS NOT NULL THEN o.keys END"
		   " FROM custseg.source_mapping m, custseg.change_log b CROSS JOIN LATERAL"
		   "  (SELECT coalesce(array_agg(u.customer ORDER BY u.n) FILTER (WHERE w.stays), '{}') AS customers,"
		   "   coalesce(array_agg(u.key ORDER BY u.n) FILTER (WHERE w.stays), '{}') AS keys, bool_and(w.stays) AS all_stay"
		   "   FROM ROWS FROM (unnest(b.customers), unnest(b.keys)) WITH ORDINALITY u (customer, key, n)"
		   "   CROSS JOIN LATERAL (SELECT NOT EXISTS (SELECT FROM unnest($1, $2) k (namespace, key)"
		   "    WHERE k.namespace = m.namespace AND k.key = coalesce(u.key, u.customer::text)) AS stays) w) o"
		   " WHERE b.ctid = l.ctid AND m.source_id = b.source_id AND m.namespace = ANY ($1) AND m.orders_source IS NULL"
		   " AND b.customers IS NOT NULL AND NOT o.all_stay", 2, types, values, NULL);
	SpiRun("DELETE FROM custseg.change_move l USING custseg.source_mapping m, unnest($1, $2) k (namespace, key)"
		   " WHERE m.source_id = l.source_id AND m.namespace = k.namespace AND k.key IN (l.from_key, l.to_key)",
		   2, types, values, NULL);
}

void
ChangeLogDropUnknown(void)
{
	SpiRun("DELETE FROM custseg.change_log l"
		   " WHERE NOT EXISTS (SELECT FROM custseg.source_mapping m WHERE m.source_id = l.source_id)", 0, NULL, NULL, NULL);
	SpiRun("DELETE FROM custseg.change_gap g"
		   " WHERE NOT EXISTS (SELECT FROM custseg.source_mapping m WHERE m.source_id = g.source_id)", 0, NULL, NULL, NULL);
}
