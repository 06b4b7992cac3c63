/*
 * link.c
 *		Saying that two customers are one person, and that they are not.
 *
 * A link is a row, and undoing it a mark on that row. Neither touches what is
 * known of the two: they are noted, and the next refresh works out who is one
 * person with whom (person/person.c) and merges, or parts, what it has of them
 * (refresh/persons.c). Until then claim() hands out none of them.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "common/guard.h"
#include "common/input.h"
#include "common/spi.h"
#include "person/forgotten.h"
#include "person/identity.h"
#include "person/link_rule.h"
#include "person/person.h"
#include "source/keys.h"

PG_FUNCTION_INFO_V1(custseg_link);
PG_FUNCTION_INFO_V1(custseg_unlink);

#define BY_HAND "l.rule IN ('hand', 'moved')"

/* Is there anybody with that number? */
static bool
IsKnown(int64 id)
{
	Oid			types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(id)};

	return SpiRun("SELECT FROM custseg.profile WHERE customer_id = $1"
				  " UNION ALL SELECT FROM custseg.profile_part WHERE customer_id = $1"
				  " UNION ALL SELECT FROM custseg.identity WHERE customer_id = $1"
				  " UNION ALL SELECT FROM custseg.person WHERE customer_id = $1"
				  " UNION ALL SELECT FROM custseg.link_conflict WHERE kind = 'proposal' AND $1 = ANY (customers) LIMIT 1",
				  1, types, values, NULL) > 0;
}

/* Nobody is linked to somebody who is not there on purpose. */
static void
CheckForgotten(const char *namespace, const char *key)
{
	if (KeyIsForgotten(namespace, key))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the customer with the key \"%s\" in namespace \"%s\" was forgotten", key, namespace),
				 errhint("Who comes back of their own wish is let in again with SELECT custseg.readmit(%s, %s).",
						 quote_literal_cstr(namespace), quote_literal_cstr(key))));
}

static int64
CustomerByNumber(const char *text)
{
	bool		ours = text[0] == '-';
	int64		id;

	if (!KeyIsNumber(text + ours, strlen(text + ours), &id) || !IsKnown(id = ours ? -id : id))
	{
		CheckForgotten(SHOP_NAMESPACE, text);
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no customer with the customer_id %s", quote_literal_cstr(text)),
				 errhint("See custseg.customer; without a namespace a customer is named by the customer_id.")));
	}
	return id;
}

static int64
CustomerByKey(const char *namespace, char *key)
{
	int64		id = *IdentityNumbers(namespace, 1, &key);
	int64		number;

	if (strcmp(namespace, SHOP_NAMESPACE) == 0 && KeyIsNumber(key, strlen(key), &number) && IsKnown(number))
	{
		if (id != 0)
			ereport(ERROR,
					(errcode(ERRCODE_AMBIGUOUS_PARAMETER),
					 errmsg("two customers of namespace \"%s\" have the key \"%s\"", namespace, key),
					 errdetail("One is known by the number, the other by a text: customers %lld and %lld.",
							   (long long) number, (long long) id),
					 errhint("Name the one you mean by the customer_id: NULL as the namespace, and the customer_id as the key.")));
		id = number;
	}
	if (id == 0)
		CheckForgotten(namespace, key);
	if (id == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no customer with the key \"%s\" in namespace \"%s\"", key, namespace),
				 errhint("Customers come with their orders, by the next refresh. custseg.identity has the keys, to the letter, and custseg.source the namespaces.")));
	return id;
}

/* The two customers of a call, the lower number first, and why. */
typedef struct Pair
{
	int64		ids[2];
	Oid			types[4];
	Datum		values[4];
	char		nulls[4];
	Oid			by;
} Pair;

static void
ReadPair(FunctionCallInfo fcinfo, Pair *pair)
{
	int64		ids[2];

	for (int i = 0; i < 2; i++)
	{
		char	   *namespace = PG_ARGISNULL(2 * i) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2 * i));
		char	   *key = ArgText(fcinfo, 2 * i + 1, i == 0 ? "key" : "other_key");

		ids[i] = namespace ? CustomerByKey(namespace, key) : CustomerByNumber(key);
	}
	if (ids[0] == ids[1])
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("customer %lld cannot be linked to itself", (long long) ids[0]),
				 errhint("Name two customers who are one person.")));
	pair->ids[0] = Min(ids[0], ids[1]);
	pair->ids[1] = Max(ids[0], ids[1]);
	pair->types[0] = pair->types[1] = INT8OID;
	pair->types[2] = pair->types[3] = TEXTOID;
	pair->values[0] = Int64GetDatum(pair->ids[0]);
	pair->values[1] = Int64GetDatum(pair->ids[1]);
	pair->values[2] = CStringGetTextDatum(GetUserNameFromId(pair->by, false));
	pair->values[3] = PG_ARGISNULL(4) ? (Datum) 0 : PG_GETARG_DATUM(4);
	memset(pair->nulls, ' ', sizeof(pair->nulls));
	pair->nulls[3] = PG_ARGISNULL(4) ? 'n' : ' ';
}

Datum
custseg_link(PG_FUNCTION_ARGS)
{
	Pair		pair = {.by = GetUserId()};
	Guard		guard;
	int64		link;

	OwnerBegin(&guard);
	ReadPair(fcinfo, &pair);
	if (SpiRun("INSERT INTO custseg.person_link (customer_id, other_id, rule, note, linked_by, linked_at)"
			   " VALUES ($1, $2, 'hand', $4, $3, now())"
			   " ON CONFLICT (customer_id, other_id) WHERE unlinked_at IS NULL DO NOTHING RETURNING link_id",
			   4, pair.types, pair.values, pair.nulls) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("customers %lld and %lld are linked already", (long long) pair.ids[0], (long long) pair.ids[1]),
				 errhint("SELECT * FROM custseg.person(%lld) says by whom.", (long long) pair.ids[0])));
	link = SpiInt64(0, 1, 0);
	PersonsNotePending(pair.ids, 2);
	LinksNoteChanged(pair.ids, 2);
	OwnerEnd(&guard);
	PG_RETURN_INT64(link);
}

/* Are they one person by what links there are? By a rule: only with those that rules made. */
static bool
AreOne(const Pair *pair, bool *by_rule)
{
	Oid			types[] = {INT8OID, INT8OID};
	Datum		values[] = {pair->values[0], pair->values[1]};

	*by_rule = false;
	if (SpiRun("SELECT FROM custseg.person($1) p WHERE p.customer_id = $2 LIMIT 1", 2, types, values, NULL) == 0)
		return false;
	*by_rule = SpiRun("WITH RECURSIVE member (id) AS (SELECT $1 UNION SELECT l.id FROM member m CROSS JOIN LATERAL ("
					  "  SELECT l.other_id AS id FROM custseg.person_link l WHERE l.customer_id = m.id AND l.unlinked_at IS NULL AND " BY_HAND
					  "  UNION ALL SELECT l.customer_id FROM custseg.person_link l WHERE l.other_id = m.id AND l.unlinked_at IS NULL AND " BY_HAND
					  ") l) SELECT FROM member WHERE id = $2", 2, types, values, NULL) == 0;
	return true;
}

/* Of two whom rules made one person through others: no rule does so from now on. */
static void
KeepApart(const Pair *pair)
{
	Oid			types[4];
	Datum		values[4];

	memcpy(types, pair->types, sizeof(types));
	memcpy(values, pair->values, sizeof(values));
	SpiRun("INSERT INTO custseg.person_link (customer_id, other_id, rule, linked_at, unlinked_by, unlinked_at, unlink_note)"
		   " SELECT $1, $2, min(p.rule), now(), $3, now(), $4 FROM custseg.person($1) p WHERE " IS_BY_RULE("p.rule"),
		   4, types, values, pair->nulls);
}

Datum
custseg_unlink(PG_FUNCTION_ARGS)
{
	Pair		pair = {.by = GetUserId()};
	Guard		guard;
	bool		found;
	bool		one;
	bool		by_rule;

	OwnerBegin(&guard);
	ReadPair(fcinfo, &pair);
	found = SpiRun("UPDATE custseg.person_link SET unlinked_by = $3, unlinked_at = now(), unlink_note = $4"
				   " WHERE customer_id = $1 AND other_id = $2 AND unlinked_at IS NULL",
				   4, pair.types, pair.values, pair.nulls) > 0;
	one = AreOne(&pair, &by_rule);
	if (!found && by_rule)
		KeepApart(&pair);
	else if (!found)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("customers %lld and %lld are not linked to each other", (long long) pair.ids[0], (long long) pair.ids[1]),
				 one ?
				 errhint("They are one person by other links: SELECT * FROM custseg.person(%lld).", (long long) pair.ids[0]) :
				 errhint("SELECT * FROM custseg.person(%lld) says whom a customer is linked to.", (long long) pair.ids[0])));
	PersonsNotePending(pair.ids, 2);
	LinksNoteChanged(pair.ids, 2);
	if (one && !by_rule)
		ereport(NOTICE,
				(errmsg("customers %lld and %lld stay one person by other links", (long long) pair.ids[0], (long long) pair.ids[1]),
				 errhint("SELECT * FROM custseg.person(%lld) shows them.", (long long) pair.ids[0])));
	OwnerEnd(&guard);
	PG_RETURN_VOID();
}
