/*
 * handle.c
 *		Phone numbers and e-mail addresses, as far as we keep them: hashes.
 *
 * People have several accounts. Those with the same phone number or e-mail
 * address are one person when it comes to being left alone: an opt-out of one
 * holds for all, and a day brings one of them a call. The number itself stays in
 * the shop's table; a hash with the salt of the arms is enough to tell.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "common/ids.h"
#include "common/spi.h"
#include "recall/follow.h"
#include "recall/handle.h"

uint64
HandleSalt(void)
{
	static SPIPlanPtr kept = NULL;
	uint64		salt;

	for (;;)
	{
		SpiRunPlan(SpiKeep(&kept, "SELECT salt FROM custseg.arm_salt", 0, NULL), NULL, NULL);
		if (SPI_processed > 0)
			break;
		DrawSalt();
	}
	salt = (uint64) SpiInt64(0, 1, 0);
	SPI_freetuptable(SPI_tuptable);
	return salt;
}

int64
HandleHash(uint64 salt, const Contact *contact, bool by_email)
{
	const char *handle = by_email ? contact->email : contact->phone;
	StringInfoData plain;
	int64		hash;

	if (handle == NULL)
		return NO_HANDLE;
	initStringInfo(&plain);
	for (const char *c = handle; *c; c++)
	{
		unsigned char letter = *c;

		if (by_email ? !isspace(letter) : isdigit(letter))
			appendStringInfoChar(&plain, by_email ? pg_ascii_tolower(letter) : letter);
	}
	/* A number without a digit is taken as it stands. */
	if (plain.len == 0)
		appendStringInfoString(&plain, handle);
	/* +49 30 1 and 0049 30 1 */
	if (!by_email && plain.len > 2 && strncmp(plain.data, "00", 2) == 0)
	{
		memmove(plain.data, plain.data + 2, plain.len - 1);
		plain.len -= 2;
	}
	hash = (int64) hash_bytes_extended((unsigned char *) plain.data, plain.len, salt + by_email);
	pfree(plain.data);
	return hash == NO_HANDLE ? 1 : hash;
}

typedef struct Handles
{
	OptOuts		found;
	int			room;
	uint64		salt;
} Handles;

static void
NoteOptOut(const Contact *contact, void *arg)
{
	Handles    *handles = arg;

	if (handles->found.n + 2 > handles->room)
	{
		handles->room = handles->found.n + handles->found.n / 2 + 1024;
		handles->found.handles = handles->found.handles ?
			repalloc_huge(handles->found.handles, sizeof(int64) * handles->room) :
			palloc(sizeof(int64) * handles->room);
	}
	for (int by_email = 0; by_email <= 1; by_email++)
	{
		int64		handle = HandleHash(handles->salt, contact, by_email);

		if (handle != NO_HANDLE)
			handles->found.handles[handles->found.n++] = handle;
	}
}

OptOuts
OptOutHandles(void)
{
	Handles		handles = {.salt = HandleSalt()};

	ReadOptOuts(NoteOptOut, &handles);
	handles.found.n = SortIds(handles.found.handles, handles.found.n);
	return handles.found;
}

bool
IsOptOut(const OptOuts *opt_outs, int64 handle)
{
	return opt_outs->n > 0 &&
		bsearch(&handle, opt_outs->handles, opt_outs->n, sizeof(int64), CompareIds) != NULL;
}

void
StoreOptOuts(const OptOuts *opt_outs)
{
	Oid			types[] = {INT8ARRAYOID};
	Datum		values[] = {IdArray(opt_outs->handles, opt_outs->n)};

	SpiRun("WITH told AS MATERIALIZED (SELECT unnest($1) AS handle),"
		   " taken_back AS (DELETE FROM custseg.suppressed_handle s WHERE s.customer_id IS NULL"
		   "  AND NOT EXISTS (SELECT FROM told WHERE told.handle = s.handle))"
		   " INSERT INTO custseg.suppressed_handle (handle) SELECT told.handle FROM told"
		   " WHERE NOT EXISTS (SELECT FROM custseg.suppressed_handle s"
		   "  WHERE s.handle = told.handle AND s.customer_id IS NULL)", 1, types, values, NULL);
}

static Datum
BoolArray(const bool *bools, int n)
{
	Datum	   *values = palloc(Max(n, 1) * sizeof(Datum));

	for (int i = 0; i < n; i++)
		values[i] = BoolGetDatum(bools[i]);
	return PointerGetDatum(construct_array(values, n, BOOLOID, sizeof(bool), true, TYPALIGN_CHAR));
}

void
LookAtHandles(int n, const int64 *handles, const int64 *customers, const char *channel, TimestampTz as_of,
			  const bool *open_too, HandleState *states)
{
	static SPIPlanPtr kept = NULL;
	Oid			types[] = {INT8ARRAYOID, INT8ARRAYOID, TEXTOID, TIMESTAMPTZOID, BOOLARRAYOID};
	Datum		values[] = {IdArray(handles, n), IdArray(customers, n), CStringGetTextDatum(channel),
	TimestampTzGetDatum(as_of), BoolArray(open_too, n)};

	memset(states, 0, n * sizeof(HandleState));
	SpiRunPlan(SpiKeep(&kept,
					   "SELECT w.n,"
					   " (SELECT true FROM custseg.suppressed_handle s WHERE s.handle = w.handle"
					   "  AND (s.channel IS NULL OR s.channel = $3) AND (s.until IS NULL OR s.until > $4) LIMIT 1),"
					   " (SELECT true FROM custseg.task t WHERE t.handle = w.handle AND t.customer_id <> w.customer_id"
					   "  AND (t.state = 'claimed' OR (w.open_too AND t.state = 'open')"
					   "   OR custseg.day_of(t.claimed_at, z.time_zone) = custseg.day_of($4, z.time_zone)) LIMIT 1)"
					   " FROM unnest($1, $2, $5) WITH ORDINALITY w (handle, customer_id, open_too, n), custseg.settings z"
					   " WHERE w.handle <> 0", 5, types), values, NULL);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		HandleState *state = &states[SpiInt64(row, 1, 0) - 1];

		state->suppressed = SpiInt64(row, 2, 0) != 0;
		state->taken = SpiInt64(row, 3, 0) != 0;
	}
	SPI_freetuptable(SPI_tuptable);
}

bool
LockHandle(int64 handle)
{
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, get_relname_relid("task", get_namespace_oid("custseg", false)),
					   (uint32) handle, (uint16) ((uint64) handle >> 32));
	return LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
}
