/*
 * identity.c
 *		Numbers for customers whose own key is not one.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/uuid.h"

#include "common/bulk.h"
#include "common/ids.h"
#include "common/spi.h"
#include "person/identity.h"
#include "source/keys.h"

#define FETCH_KEYS		10000

struct IdentityWriter
{
	BulkWriter *bulk;
	Oid			sequence;
	Datum		namespace;
};

void
IdentityRead(const char *namespace,
			 void (*tell) (void *arg, const char *key, int len, int64 customer_id),
			 void *arg)
{
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(namespace)};
	MemoryContext caller = CurrentMemoryContext;
	Portal		cursor = SPI_cursor_open_with_args(NULL,
												   "SELECT key, customer_id FROM custseg.identity WHERE namespace = $1",
												   1, types, values, NULL, true, 0);

	for (;;)
	{
		SPI_cursor_fetch(cursor, true, FETCH_KEYS);
		MemoryContextSwitchTo(caller);
		if (SPI_processed == 0)
			break;
		for (uint64 row = 0; row < SPI_processed; row++)
		{
			bool		isnull;
			struct varlena *key = PG_DETOAST_DATUM_PACKED(SpiField(row, 1, &isnull));

			tell(arg, VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key), SpiInt64(row, 2, 0));
		}
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_cursor_close(cursor);
	MemoryContextSwitchTo(caller);
}

int64 *
IdentityNumbers(const char *namespace, int n, char **keys)
{
	static SPIPlanPtr kept = NULL;
	Oid			types[2] = {TEXTOID, TEXTARRAYOID};
	Datum		values[2];
	Datum	   *wanted = palloc(Max(n, 1) * sizeof(Datum));
	int64	   *ids = palloc0(Max(n, 1) * sizeof(int64));

	for (int i = 0; i < n; i++)
		wanted[i] = CStringGetTextDatum(keys[i]);
	values[0] = CStringGetTextDatum(namespace);
	values[1] = PointerGetDatum(construct_array(wanted, n, TEXTOID, -1, false, TYPALIGN_INT));
	SpiRunPlan(SpiKeep(&kept,
					   "SELECT w.n, (SELECT i.customer_id FROM custseg.identity i WHERE i.key = w.key AND i.namespace = $1)"
					   " FROM unnest($2) WITH ORDINALITY AS w (key, n)", 2, types), values, NULL);
	for (uint64 row = 0; row < SPI_processed; row++)
		ids[SpiInt64(row, 1, 0) - 1] = SpiInt64(row, 2, 0);
	SPI_freetuptable(SPI_tuptable);
	return ids;
}

IdentityWriter *
IdentityOpen(const char *namespace)
{
	IdentityWriter *writer = palloc(sizeof(IdentityWriter));

	writer->bulk = BulkOpen(OwnRelation("identity"), 3);
	writer->sequence = OwnRelation("customer_id_seq");
	writer->namespace = CStringGetTextDatum(namespace);
	return writer;
}

int64
IdentityAdd(IdentityWriter *writer, const char *key)
{
	Datum		values[3];
	bool		nulls[3] = {false};
	int64		id = nextval_internal(writer->sequence, false);

	values[0] = writer->namespace;
	values[1] = CStringGetTextDatum(key);
	values[2] = Int64GetDatum(id);
	BulkPut(writer->bulk, values, nulls);
	pfree(DatumGetPointer(values[1]));
	return id;
}

void
IdentityClose(IdentityWriter *writer)
{
	BulkClose(writer->bulk);
}

char **
IdentityKeys(const Source *source, int n, const int64 *ids)
{
	char	  **keys = palloc0(Max(n, 1) * sizeof(char *));
	Oid			types[2] = {TEXTOID, INT8ARRAYOID};
	Datum		values[2];

	if (source->key_kind == KEY_NATIVE)
	{
		int64		limit = LargestKey(source->type[COLUMN_CUSTOMER]);

		for (int i = 0; i < n; i++)
			if (ids[i] > 0 && ids[i] <= limit)
				keys[i] = psprintf(INT64_FORMAT, ids[i]);
		return keys;
	}

	values[0] = CStringGetTextDatum(source->namespace);
	values[1] = IdArray(ids, n);
	SpiRun("SELECT w.n, i.key FROM unnest($2) WITH ORDINALITY AS w (id, n)"
		   " JOIN custseg.identity i ON i.customer_id = w.id AND i.namespace = $1",
		   2, types, values, NULL);
	for (uint64 row = 0; row < SPI_processed; row++)
		keys[SpiInt64(row, 1, 0) - 1] = SpiText(row, 2);
	return keys;
}
