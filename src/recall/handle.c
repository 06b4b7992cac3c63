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

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "common/ids.h"
#include "common/spi.h"
#include "recall/handle.h"

static uint64
Salt(void)
{
	static SPIPlanPtr kept = NULL;
	uint64		salt;

	SpiRunPlan(SpiKeep(&kept, "SELECT salt FROM custseg.arm_salt", 0, NULL), NULL, NULL);
	salt = SPI_processed > 0 ? (uint64) SpiInt64(0, 1, 0) : 0;
	SPI_freetuptable(SPI_tuptable);
	return salt;
}

int64
HandleHash(const Contact *contact, bool by_email)
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
	hash = (int64) hash_bytes_extended((unsigned char *) plain.data, plain.len, Salt() + by_email);
	pfree(plain.data);
	return hash == NO_HANDLE ? 1 : hash;
}

void
LookAtHandles(int n, const int64 *handles, const int64 *customers, const char *channel, TimestampTz as_of,
			  bool planning, HandleState *states)
{
	static SPIPlanPtr kept = NULL;
	Oid			types[] = {INT8ARRAYOID, INT8ARRAYOID, TEXTOID, TIMESTAMPTZOID, BOOLOID};
	Datum		values[] = {IdArray(handles, n), IdArray(customers, n), CStringGetTextDatum(channel),
	TimestampTzGetDatum(as_of), BoolGetDatum(planning)};

	memset(states, 0, n * sizeof(HandleState));
	SpiRunPlan(SpiKeep(&kept,
					   "SELECT w.n,"
					   " (SELECT true FROM custseg.suppressed_handle s WHERE s.handle = w.handle"
					   "  AND (s.channel IS NULL OR s.channel = $3) AND (s.until IS NULL OR s.until > $4) LIMIT 1),"
					   " (SELECT true FROM custseg.task t WHERE t.handle = w.handle AND t.customer_id <> w.customer_id"
					   "  AND (t.state = 'claimed' OR ($5 AND t.state = 'open')"
					   "   OR custseg.day_of(t.claimed_at, z.time_zone) = custseg.day_of($4, z.time_zone)) LIMIT 1)"
					   " FROM unnest($1, $2) WITH ORDINALITY w (handle, customer_id, n), custseg.settings z"
					   " WHERE w.handle <> 0", 5, types), values, NULL);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		HandleState *state = &states[SpiInt64(row, 1, 0) - 1];

		state->suppressed = SpiInt64(row, 2, 0) != 0;
		state->taken = SpiInt64(row, 3, 0) != 0;
	}
	SPI_freetuptable(SPI_tuptable);
}
