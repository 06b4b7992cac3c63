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
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "fmgr.h"
#include "port/pg_bswap.h"
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
	uint64		salt;
	int			n;
	uint8		hashes[FLEXIBLE_ARRAY_MEMBER][FORGOTTEN_HASH_SIZE]; /* ascending */
};

/* A namespace has no zero byte, so no other pair has the same bytes. */
static void
HashKey(uint64 salt, const char *namespace, const char *key, uint8 *hash)
{
	pg_cryptohash_ctx *context = pg_cryptohash_create(PG_SHA256);
	uint8		digest[PG_SHA256_DIGEST_LENGTH];

	salt = pg_hton64(salt);
	if (context == NULL || pg_cryptohash_init(context) < 0 ||
		pg_cryptohash_update(context, (const uint8 *) &salt, sizeof(salt)) < 0 ||
		pg_cryptohash_update(context, (const uint8 *) namespace, strlen(namespace) + 1) < 0 ||
		pg_cryptohash_update(context, (const uint8 *) key, strlen(key)) < 0 ||
		pg_cryptohash_final(context, digest, sizeof(digest)) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not compute the hash of a customer's key")));
	pg_cryptohash_free(context);
	memcpy(hash, digest, FORGOTTEN_HASH_SIZE);
}

static Datum
KeyHash(const char *namespace, const char *key)
{
	bytea	   *hash = palloc(VARHDRSZ + FORGOTTEN_HASH_SIZE);

	SET_VARSIZE(hash, VARHDRSZ + FORGOTTEN_HASH_SIZE);
	HashKey(HandleSalt(), namespace, key, (uint8 *) VARDATA(hash));
	return PointerGetDatum(hash);
}

Datum
custseg_key_hash(PG_FUNCTION_ARGS)
{
	char	   *namespace = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *key = text_to_cstring(PG_GETARG_TEXT_PP(1));
	MemoryContext caller = CurrentMemoryContext;
	bytea	   *hash;
	Guard		guard;

	OwnerBegin(&guard);
	hash = DatumGetByteaP(KeyHash(namespace, key));
	hash = memcpy(MemoryContextAlloc(caller, VARSIZE(hash)), hash, VARSIZE(hash));
	OwnerEnd(&guard);
	PG_RETURN_BYTEA_P(hash);
}

/* ---------------------------------------------------------------- who it is */

Forgotten *
ForgottenRead(MemoryContext context)
{
	static SPIPlanPtr kept = NULL;
	Forgotten  *forgotten;
	int			n;

	/* By bytes, whatever the order of an index is. */
	SpiRunPlan(SpiKeep(&kept, "SELECT hash FROM custseg.forgotten ORDER BY hash", 0, NULL), NULL, NULL);
	n = (int) SPI_processed;
	if (n == 0)
		return NULL;
	forgotten = MemoryContextAllocHuge(context, offsetof(Forgotten, hashes) + (Size) n * FORGOTTEN_HASH_SIZE);
	forgotten->n = n;
	for (int i = 0; i < n; i++)
	{
		bool		isnull;
		bytea	   *hash = DatumGetByteaPP(SpiField(i, 1, &isnull));

		memcpy(forgotten->hashes[i], VARDATA_ANY(hash), FORGOTTEN_HASH_SIZE);
	}
	SPI_freetuptable(SPI_tuptable);
	forgotten->salt = HandleSalt();
	return forgotten;
}

static int
CompareHashes(const void *a, const void *b)
{
	return memcmp(a, b, FORGOTTEN_HASH_SIZE);
}

bool
IsForgotten(const Forgotten *forgotten, const char *namespace, const char *key)
{
	uint8		hash[FORGOTTEN_HASH_SIZE];

	HashKey(forgotten->salt, namespace, key, hash);
	return bsearch(hash, forgotten->hashes, forgotten->n, FORGOTTEN_HASH_SIZE, CompareHashes) != NULL;
}

bool
IsNumberForgotten(const Forgotten *forgotten, int64 customer_id)
{
	char		key[MAXINT8LEN + 1];

	pg_lltoa(customer_id, key);
	return IsForgotten(forgotten, SHOP_NAMESPACE, key);
}

bool
KeyIsForgotten(const char *namespace, const char *key)
{
	Oid			types[1] = {BYTEAOID};
	Datum		values[1];

	if (SpiRun("SELECT FROM custseg.forgotten LIMIT 1", 0, NULL, NULL, NULL) == 0)
		return false;
	values[0] = KeyHash(namespace, key);
	return SpiRun("SELECT FROM custseg.forgotten WHERE hash = $1", 1, types, values, NULL) > 0;
}

bool
ForgottenAdd(const char *namespace, const char *key, const char *by)
{
	Oid			types[2] = {BYTEAOID, TEXTOID};
	Datum		values[2] = {KeyHash(namespace, key), CStringGetTextDatum(by)};

	return SpiRun("INSERT INTO custseg.forgotten (hash, forgotten_at, forgotten_by) VALUES ($1, pg_catalog.clock_timestamp(), $2)"
				  " ON CONFLICT DO NOTHING", 2, types, values, NULL) > 0;
}

bool
ForgottenRemove(const char *namespace, const char *key)
{
	Oid			types[1] = {BYTEAOID};
	Datum		values[1] = {KeyHash(namespace, key)};

	SpiRun("DELETE FROM custseg.forget_pending WHERE hash = $1", 1, types, values, NULL);
	return SpiRun("DELETE FROM custseg.forgotten WHERE hash = $1", 1, types, values, NULL) > 0;
}

/* ------------------------------------------ what a refresh may still have written */

void
ForgottenNote(const char *namespace, const char *key, int64 customer_id)
{
	Oid			types[2] = {BYTEAOID, INT8OID};
	Datum		values[2] = {KeyHash(namespace, key), Int64GetDatum(customer_id)};

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
	Oid			types[1] = {BYTEAARRAYOID};

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
