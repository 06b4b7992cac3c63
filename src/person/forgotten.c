/*
 * forgotten.c
 *		Who was forgotten, known only by a hash.
 *
 * The shop's tables may still name somebody whom custseg has forgotten, and are
 * read again tomorrow. So the key is remembered, as a hash with the salt of the
 * database: enough to leave the customer out when a source shows the key, and
 * nothing that tells who it was. Only who is not there yet is looked up, so that
 * a refresh that finds nobody new hashes nobody.
 *
 * A refresh that runs while somebody is forgotten may have read them before. It
 * works by batches, which see what was committed before them; so what a batch
 * had still written is erased by the same refresh at its end or, where the
 * forgetting was not committed by then, by the next one at its beginning. For
 * that the number is noted, until then; claim() hands out nobody who is noted.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "common/guard.h"
#include "common/ids.h"
#include "common/spi.h"
#include "person/forgotten.h"
#include "person/handle.h"
#include "source/mapping.h"

PG_FUNCTION_INFO_V1(custseg_key_hash);

struct Forgotten
{
	HandleSalt	salt;
	int			n;
	Handle		hashes[FLEXIBLE_ARRAY_MEMBER];	/* ascending */
};

/* As a parameter. */
static Datum
HashOf(const char *namespace, const char *key)
{
	HandleSalt	salt = ReadHandleSalt();
	Handle	   *hash = palloc(sizeof(Handle));

	*hash = KeyHash(&salt, namespace, key);
	return UUIDPGetDatum(hash);
}

Datum
custseg_key_hash(PG_FUNCTION_ARGS)
{
	char	   *namespace = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *key = text_to_cstring(PG_GETARG_TEXT_PP(1));
	Handle	   *hash = palloc(sizeof(Handle));
	HandleSalt	salt;
	Guard		guard;

	OwnerBegin(&guard);
	salt = ReadHandleSalt();
	OwnerEnd(&guard);
	*hash = KeyHash(&salt, namespace, key);
	PG_RETURN_UUID_P(hash);
}

/* ---------------------------------------------------------------- who it is */

Forgotten *
ForgottenRead(MemoryContext context)
{
	static SPIPlanPtr kept = NULL;
	Forgotten  *forgotten;
	int			n;

	SpiRunPlan(SpiKeep(&kept, "SELECT hash FROM custseg.forgotten ORDER BY hash", 0, NULL), NULL, NULL);
	n = (int) SPI_processed;
	if (n == 0)
		return NULL;
	forgotten = MemoryContextAllocHuge(context, offsetof(Forgotten, hashes) + (Size) n * sizeof(Handle));
	forgotten->n = n;
	for (int i = 0; i < n; i++)
		forgotten->hashes[i] = SpiHandle(i, 1);
	SPI_freetuptable(SPI_tuptable);
	forgotten->salt = ReadHandleSalt();
	return forgotten;
}

bool
IsForgotten(const Forgotten *forgotten, const char *namespace, const char *key)
{
	Handle		hash = KeyHash(&forgotten->salt, namespace, key);

	return bsearch(&hash, forgotten->hashes, forgotten->n, sizeof(Handle), CompareHandles) != NULL;
}

bool
IsNumberForgotten(const Forgotten *forgotten, int64 customer_id)
{
	char		key[21];		/* 19 digits, a sign and the end */

	pg_lltoa(customer_id, key);
	return IsForgotten(forgotten, SHOP_NAMESPACE, key);
}

bool
KeyIsForgotten(const char *namespace, const char *key)
{
	Oid			types[1] = {UUIDOID};
	Datum		values[1];

	if (SpiRun("SELECT FROM custseg.forgotten LIMIT 1", 0, NULL, NULL, NULL) == 0)
		return false;
	values[0] = HashOf(namespace, key);
	return SpiRun("SELECT FROM custseg.forgotten WHERE hash = $1", 1, types, values, NULL) > 0;
}

bool
ForgottenAdd(const char *namespace, const char *key, const char *by)
{
	Oid			types[2] = {UUIDOID, TEXTOID};
	Datum		values[2] = {HashOf(namespace, key), CStringGetTextDatum(by)};

	return SpiRun("INSERT INTO custseg.forgotten (hash, forgotten_at, forgotten_by) VALUES ($1, pg_catalog.clock_timestamp(), $2)"
				  " ON CONFLICT DO NOTHING", 2, types, values, NULL) > 0;
}

bool
ForgottenRemove(const char *namespace, const char *key)
{
	Oid			types[1] = {UUIDOID};
	Datum		values[1] = {HashOf(namespace, key)};

	SpiRun("DELETE FROM custseg.forget_pending WHERE hash = $1", 1, types, values, NULL);
	return SpiRun("DELETE FROM custseg.forgotten WHERE hash = $1", 1, types, values, NULL) > 0;
}

/* ------------------------------------------ what a refresh may still have written */

void
ForgottenNote(const char *namespace, const char *key, int64 customer_id)
{
	Oid			types[2] = {UUIDOID, INT8OID};
	Datum		values[2] = {HashOf(namespace, key), Int64GetDatum(customer_id)};

	SpiRun("INSERT INTO custseg.forget_pending (hash, customer_id) VALUES ($1, nullif($2, 0))",
		   2, types, values, NULL);
}

bool
ForgettingGoesOn(void)
{
	static SPIPlanPtr kept = NULL;

	SpiRunPlan(SpiKeep(&kept, "SELECT EXISTS (SELECT FROM custseg.forget_pending)", 0, NULL), NULL, NULL);
	return SpiInt64(0, 1, 0) != 0;
}

void
ForgottenPending(const int64 *ids, int n, bool *pending)
{
	Oid			types[] = {INT8ARRAYOID};
	Datum		values[] = {IdArray(ids, n)};

	SpiRun("SELECT w.n FROM unnest($1) WITH ORDINALITY w (id, n)"
		   " WHERE EXISTS (SELECT FROM custseg.forget_pending p WHERE p.customer_id = w.id)", 1, types, values, NULL);
	for (uint64 row = 0; row < SPI_processed; row++)
		pending[SpiInt64(row, 1, 0) - 1] = true;
	SPI_freetuptable(SPI_tuptable);
}

/* Whose key had no number may have got one from a refresh that was just numbering it: rare enough to look at all. */
static uint64
FindNumbered(Datum hashes)
{
	Oid			types[1] = {UUIDARRAYOID};

	return SpiRun("SELECT i.customer_id FROM custseg.identity i WHERE custseg.key_hash(i.namespace, i.key) = ANY ($1)",
				  1, types, &hashes, NULL);
}

int64 *
ForgottenStragglers(int *n)
{
	int64	   *ids;
	int			noted;
	bool		isnull;
	Datum		hashes;

	SpiRun("WITH taken AS (DELETE FROM custseg.forget_pending RETURNING customer_id, hash)"
		   " SELECT customer_id, (SELECT array_agg(hash) FROM taken WHERE customer_id IS NULL) FROM taken",
		   0, NULL, NULL, NULL);
	noted = (int) SPI_processed;
	*n = 0;
	if (noted == 0)
		return NULL;
	ids = palloc_extended(noted * sizeof(int64), MCXT_ALLOC_HUGE);
	for (int i = 0; i < noted; i++)
		if (SpiInt64(i, 1, 0) != 0)
			ids[(*n)++] = SpiInt64(i, 1, 0);
	hashes = SpiField(0, 2, &isnull);
	if (!isnull && FindNumbered(hashes) > 0)
	{
		ids = repalloc_huge(ids, (*n + SPI_processed) * sizeof(int64));
		for (uint64 row = 0; row < SPI_processed; row++)
			ids[(*n)++] = SpiInt64(row, 1, 0);
	}
	*n = SortIds(ids, *n);
	return ids;
}
