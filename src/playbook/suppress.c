/*
 * suppress.c
 *		Who must not be contacted.
 *
 * What a customer said is never lost. A suppression only grows: the longer of two
 * holds, and what was said each time stays in custseg.suppression_history. Only
 * unsuppress() ends one, and that is written there, too.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "common/attempt.h"
#include "common/guard.h"
#include "common/ids.h"
#include "common/input.h"
#include "common/spi.h"
#include "person/contact.h"
#include "person/handle.h"
#include "person/person.h"
#include "playbook/suppress.h"

PG_FUNCTION_INFO_V1(custseg_unsuppress);

#define FORGOTTEN_CUSTOMER "0"	/* nobody's number */
#define LONGEST_WAIT	1000	/* ms, for a desk that has not committed */

static void
NoteHistory(int64 customer_id, const char *channel, const char *action, bool forever, TimestampTz until,
			const char *reason, Oid by, TimestampTz as_of)
{
	Oid			types[] = {INT8OID, TEXTOID, TEXTOID, TIMESTAMPTZOID, TEXTOID, TEXTOID, TIMESTAMPTZOID};
	Datum		values[] = {Int64GetDatum(customer_id), channel ? CStringGetTextDatum(channel) : (Datum) 0,
		CStringGetTextDatum(action), TimestampTzGetDatum(until), reason ? CStringGetTextDatum(reason) : (Datum) 0,
	CStringGetTextDatum(GetUserNameFromId(by, false)), TimestampTzGetDatum(as_of)};
	char		nulls[] = {' ', channel ? ' ' : 'n', ' ', forever ? 'n' : ' ', reason ? ' ' : 'n', ' ', ' '};

	SpiRun("INSERT INTO custseg.suppression_history (customer_id, channel, action, until, reason, by_role, at)"
		   " VALUES ($1, $2, $3, $4, $5, $6, $7)", 7, types, values, nulls);
}

/* Nobody may be kept from opting out because the customer table cannot be read. */
static void
LookUp(void *contact)
{
	int64		customer_id = ((Contact *) contact)->customer_id;

	ReadAccountContacts(1, &customer_id, contact);
}

static void
SuppressHandles(const Suppression *suppression, int64 customer_id)
{
	Contact		contact = {.customer_id = customer_id};
	Handle		handles[3] = {suppression->handle};
	ErrorData  *error = ContactsMapped() ? Attempt(LookUp, &contact) : NULL;

	if (error)
		ereport(WARNING,
				(errcode(error->sqlerrcode),
				 errmsg("could not look up under which numbers customer %lld must not be contacted: %s",
						(long long) customer_id, error->message),
				 errhint("Once this is mended, SELECT custseg.suppress(%lld) again, so that other accounts with the same number are not contacted either.",
						 (long long) suppression->customer_id)));
	else if (contact.found)
	{
		HandleSalt	salt = ReadHandleSalt();

		handles[1] = ContactHandle(&salt, &contact, false);
		handles[2] = ContactHandle(&salt, &contact, true);
	}
	for (int i = 0; i < lengthof(handles); i++)
	{
		Oid			types[] = {UUIDOID, INT8OID, TEXTOID, TIMESTAMPTZOID};
		Datum		values[] = {UUIDPGetDatum(&handles[i]), Int64GetDatum(customer_id),
			suppression->channel ? CStringGetTextDatum(suppression->channel) : (Datum) 0,
		TimestampTzGetDatum(suppression->until)};
		char		nulls[] = {' ', ' ', suppression->channel ? ' ' : 'n', suppression->forever ? 'n' : ' '};

		if (IsHandle(&handles[i]))
			SpiRun("INSERT INTO custseg.suppressed_handle AS s (handle, customer_id, channel, until)"
				   " VALUES ($1, $2, $3, $4) ON CONFLICT (handle, customer_id, channel) DO UPDATE"
				   " SET until = CASE WHEN EXCLUDED.until IS NOT NULL THEN greatest(s.until, EXCLUDED.until) END"
				   " WHERE s.until IS NOT NULL", 4, types, values, nulls);
	}
}

void
StoreOptOuts(const OptOuts *opt_outs)
{
	Oid			types[] = {UUIDARRAYOID};
	Datum		values[] = {HandleArray(opt_outs->handles, opt_outs->n)};

	SpiRun("WITH told AS MATERIALIZED (SELECT unnest($1) AS handle),"
		   " taken_back AS (DELETE FROM custseg.suppressed_handle s WHERE s.customer_id IS NULL"
		   "  AND NOT EXISTS (SELECT FROM told WHERE told.handle = s.handle))"
		   " INSERT INTO custseg.suppressed_handle (handle) SELECT told.handle FROM told"
		   " WHERE NOT EXISTS (SELECT FROM custseg.suppressed_handle s"
		   "  WHERE s.handle = told.handle AND s.customer_id IS NULL)", 1, types, values, NULL);
}

static bool
SuppressAccount(const Suppression *suppression, int64 customer_id, TimestampTz as_of)
{
	const char *channel = suppression->channel;
	Oid			types[] = {INT8OID, TEXTOID, TIMESTAMPTZOID, TEXTOID, TIMESTAMPTZOID};
	Datum		values[] = {Int64GetDatum(customer_id), channel ? CStringGetTextDatum(channel) : (Datum) 0,
	TimestampTzGetDatum(suppression->until), CStringGetTextDatum(suppression->reason), TimestampTzGetDatum(as_of)};
	char		nulls[] = {' ', channel ? ' ' : 'n', suppression->forever ? 'n' : ' ', ' ', ' '};
	bool		grows;

	grows = SpiRun("INSERT INTO custseg.suppression AS s (customer_id, channel, until, reason, added_at)"
				   " VALUES ($1, $2, $3, $4, $5)"
				   " ON CONFLICT (customer_id, channel) DO UPDATE SET until = EXCLUDED.until, reason = EXCLUDED.reason,"
				   " added_at = EXCLUDED.added_at"
				   " WHERE s.until IS NOT NULL AND (EXCLUDED.until IS NULL OR EXCLUDED.until > s.until)",
				   5, types, values, nulls) > 0;
	NoteHistory(customer_id, channel, "suppressed", suppression->forever, suppression->until,
				suppression->reason, suppression->by, as_of);
	SuppressHandles(suppression, customer_id);
	return grows;
}

bool
Suppress(const Suppression *suppression, TimestampTz as_of)
{
	int			n;
	int64	   *accounts = WithMembers(&suppression->customer_id, 1, &n);
	bool		grows = false;

	for (int i = 0; i < n; i++)
		grows |= SuppressAccount(suppression, accounts[i], as_of);

	/* For a refresh that is just making the customer one person with others. */
	PersonsNoteIfLinked(suppression->customer_id);
	return grows;
}

#define SAID_OF_PERSONS(table, which) \
	"WITH said AS (SELECT DISTINCT ON (g.person_id, x.channel" which ") g.person_id, x.*" \
	"  FROM custseg.person g JOIN custseg." table " x USING (customer_id) WHERE g.customer_id = ANY ($1)" \
	"  ORDER BY g.person_id, x.channel" which ", x.until DESC NULLS FIRST, x.customer_id)"

static void
ShareAmongAccounts(void *arg)
{
	Oid			types[] = {INT8ARRAYOID};
	Datum	   *values = arg;

	SpiRun(SAID_OF_PERSONS("suppression", "")
		   " INSERT INTO custseg.suppression AS s (customer_id, channel, until, reason, added_at)"
		   " SELECT m.customer_id, d.channel, d.until, d.reason, d.added_at FROM said d JOIN custseg.person m USING (person_id)"
		   " WHERE m.customer_id <> d.customer_id ORDER BY m.customer_id"
		   " ON CONFLICT (customer_id, channel) DO UPDATE SET until = EXCLUDED.until, reason = EXCLUDED.reason,"
		   " added_at = EXCLUDED.added_at"
		   " WHERE s.until IS NOT NULL AND (EXCLUDED.until IS NULL OR EXCLUDED.until > s.until)",
		   1, types, values, NULL);
	SpiRun(SAID_OF_PERSONS("suppressed_handle", ", x.handle")
		   " INSERT INTO custseg.suppressed_handle AS s (handle, customer_id, channel, until)"
		   " SELECT d.handle, m.customer_id, d.channel, d.until FROM said d JOIN custseg.person m USING (person_id)"
		   " WHERE m.customer_id <> d.customer_id ORDER BY m.customer_id"
		   " ON CONFLICT (handle, customer_id, channel) DO UPDATE"
		   " SET until = CASE WHEN EXCLUDED.until IS NOT NULL THEN greatest(s.until, EXCLUDED.until) END"
		   " WHERE s.until IS NOT NULL", 1, types, values, NULL);
}

bool
SuppressAccounts(Datum customers)
{
	int			level = LimitLockWait(LONGEST_WAIT);
	ErrorData  *error = Attempt(ShareAmongAccounts, &customers);

	AtEOXact_GUC(false, level);
	if (error && !LockWasRefused(error))
		ReThrowError(error);
	/* A desk that has just noted what a customer said has not committed yet. */
	if (error)
		PersonsNoteSome(customers);
	return error == NULL;
}

char *
SuppressedBecause(int64 customer_id, const Handle *handle, const char *channel, TimestampTz as_of)
{
	static SPIPlanPtr kept = NULL;
	Oid			types[] = {INT8OID, TEXTOID, TIMESTAMPTZOID, UUIDOID};
	Datum		values[] = {Int64GetDatum(customer_id), CStringGetTextDatum(channel), TimestampTzGetDatum(as_of),
	UUIDPGetDatum(handle)};

	SpiRunPlan(SpiKeep(&kept,
					   "SELECT x.reason FROM custseg.suppression x WHERE x.customer_id = $1"
					   " AND (x.channel IS NULL OR x.channel = $2) AND (x.until IS NULL OR x.until > $3)"
					   " UNION ALL SELECT coalesce('customer ' || nullif(h.customer_id, " FORGOTTEN_CUSTOMER "), 'somebody') || ', who has the same number, must not be contacted'"
					   " FROM custseg.suppressed_handle h WHERE h.handle = $4"
					   " AND (h.channel IS NULL OR h.channel = $2) AND (h.until IS NULL OR h.until > $3) LIMIT 1",
					   4, types), values, IsHandle(handle) ? NULL : "   n");
	return SPI_processed > 0 ? SpiText(0, 1) : NULL;
}

/* What somebody said holds for the number, whoever else has it. */
void
SuppressionsForget(Datum customers)
{
	Oid			types[] = {INT8ARRAYOID};

	SpiRun("INSERT INTO custseg.suppressed_handle AS s (handle, customer_id, channel, until)"
		   " SELECT DISTINCT ON (h.handle, h.channel) h.handle, " FORGOTTEN_CUSTOMER ", h.channel, h.until"
		   " FROM custseg.suppressed_handle h WHERE h.customer_id = ANY ($1)"
		   " ORDER BY h.handle, h.channel, h.until DESC NULLS FIRST"
		   " ON CONFLICT (handle, customer_id, channel) DO UPDATE"
		   " SET until = CASE WHEN EXCLUDED.until IS NOT NULL THEN greatest(s.until, EXCLUDED.until) END"
		   " WHERE s.until IS NOT NULL", 1, types, &customers, NULL);
	SpiRun("DELETE FROM custseg.suppressed_handle WHERE customer_id = ANY ($1)", 1, types, &customers, NULL);
}

static void
CheckChannel(const char *channel)
{
	Oid			types[] = {TEXTOID};
	Datum		values[] = {CStringGetTextDatum(channel)};

	SpiRun("SELECT FROM custseg.channel WHERE channel = $1", 1, types, values, NULL);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("channel \"%s\" does not exist", channel),
				 errhint("See the view custseg.channel for those that do; leave it out for all of them.")));
}

static Datum
SuppressCall(FunctionCallInfo fcinfo, int first, TimestampTz as_of)
{
	Suppression suppression = {
		.customer_id = ArgInt64(fcinfo, first, "customer_id"),
		.channel = PG_ARGISNULL(first + 1) ? NULL : ArgText(fcinfo, first + 1, "channel"),
		.forever = PG_ARGISNULL(first + 2),
		.reason = ArgText(fcinfo, first + 3, "reason"),
		.by = GetUserId(),
		.handle = no_handle,
	};
	Guard		guard;

	if (!suppression.forever)
		suppression.until = PG_GETARG_TIMESTAMPTZ(first + 2);
	/* For ever is for ever, however it is said. */
	if (suppression.until == DT_NOEND)
		suppression.forever = true;
	OwnerBegin(&guard);
	if (suppression.channel != NULL)
		CheckChannel(suppression.channel);
	if (!Suppress(&suppression, as_of))
		ereport(NOTICE,
				(errmsg("customer %lld is suppressed for as long or longer already, and stays so",
						(long long) suppression.customer_id),
				 errhint("To contact the customer sooner, SELECT custseg.unsuppress(%lld) first.",
						 (long long) suppression.customer_id)));
	OwnerEnd(&guard);
	PG_RETURN_VOID();
}

CLOCK_AND_REPLAY(suppress, SuppressCall)

Datum
custseg_unsuppress(PG_FUNCTION_ARGS)
{
	int64		customer_id = ArgInt64(fcinfo, 0, "customer_id");
	char	   *channel = PG_ARGISNULL(1) ? NULL : ArgText(fcinfo, 1, "channel");
	char	   *reason = PG_ARGISNULL(2) ? NULL : ArgText(fcinfo, 2, "reason");
	Oid			by = GetUserId();
	Oid			types[] = {INT8ARRAYOID, TEXTOID};
	Datum		values[] = {(Datum) 0, channel ? CStringGetTextDatum(channel) : (Datum) 0};
	const char *nulls = channel ? NULL : " n";
	int64	   *accounts;
	int			n;
	Guard		guard;

	OwnerBegin(&guard);
	accounts = WithMembers(&customer_id, 1, &n);
	values[0] = IdArray(accounts, n);
	SpiRun("DELETE FROM custseg.suppressed_handle WHERE customer_id = ANY ($1) AND channel IS NOT DISTINCT FROM $2",
		   2, types, values, nulls);
	n = (int) SpiRun("DELETE FROM custseg.suppression WHERE customer_id = ANY ($1) AND channel IS NOT DISTINCT FROM $2"
					 " RETURNING customer_id", 2, types, values, nulls);
	for (int i = 0; i < n; i++)
		accounts[i] = SpiInt64(i, 1, 0);
	for (int i = 0; i < n; i++)
		NoteHistory(accounts[i], channel, "lifted", true, 0, reason, by, GetCurrentTimestamp());
	OwnerEnd(&guard);
	PG_RETURN_BOOL(n > 0);
}
