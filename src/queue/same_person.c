/*
 * same_person.c
 *		Accounts with the same phone number or e-mail address, in the queue.
 *
 * They are one person: what one of them asked for holds for all, and one of them
 * is contacted on a day.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "common/ids.h"
#include "common/spi.h"
#include "person/handle.h"
#include "playbook/suppress.h"
#include "queue/same_person.h"

static Datum
BoolArray(const bool *bools, int n)
{
	Datum	   *values = palloc(Max(n, 1) * sizeof(Datum));

	for (int i = 0; i < n; i++)
		values[i] = BoolGetDatum(bools[i]);
	return PointerGetDatum(construct_array(values, n, BOOLOID, sizeof(bool), true, TYPALIGN_CHAR));
}

void
LookAtHandles(int n, const Handle *handles, const int64 *customers, const char *channel, TimestampTz as_of,
			  const bool *open_too, HandleState *states)
{
	static SPIPlanPtr kept = NULL;
	Oid			types[] = {UUIDARRAYOID, INT8ARRAYOID, TEXTOID, TIMESTAMPTZOID, BOOLARRAYOID};
	Datum		values[] = {HandleArray(handles, n), IdArray(customers, n), CStringGetTextDatum(channel),
	TimestampTzGetDatum(as_of), BoolArray(open_too, n)};

	memset(states, 0, n * sizeof(HandleState));
	SpiRunPlan(SpiKeep(&kept,
					   "SELECT w.n,"
					   " " HANDLE_IS_SUPPRESSED("w.handle", "$3", "$4") ","
					   " (SELECT true FROM custseg.task t WHERE t.handle = w.handle AND t.customer_id <> w.customer_id"
					   "  AND (t.state = 'claimed' OR (w.open_too AND t.state = 'open')"
					   "   OR custseg.day_of(t.claimed_at, z.time_zone) = custseg.day_of($4, z.time_zone)) LIMIT 1)"
					   " FROM unnest($1, $2, $5) WITH ORDINALITY w (handle, customer_id, open_too, n), custseg.settings z"
					   " WHERE w.handle IS NOT NULL", 5, types), values, NULL);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		HandleState *state = &states[SpiInt64(row, 1, 0) - 1];

		state->suppressed = SpiInt64(row, 2, 0) != 0;
		state->taken = SpiInt64(row, 3, 0) != 0;
	}
	SPI_freetuptable(SPI_tuptable);
}

bool
LockHandle(const Handle *handle)
{
	LOCKTAG		tag;
	uint32		high;
	uint16		low;

	/* As much of it as a lock has room for: now and then somebody waits for nothing. */
	memcpy(&high, handle->data, sizeof(high));
	memcpy(&low, handle->data + sizeof(high), sizeof(low));

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, get_relname_relid("task", get_namespace_oid("custseg", false)),
					   high, low);
	return LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
}
