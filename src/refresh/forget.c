/*
 * forget.c
 *		Erasing all that is kept of a customer, and keeping them out.
 *
 * What is about the person goes from every table: all accounts of theirs, with
 * the links between them. What results go by stays, without a customer: episodes
 * with their arms, tasks with their cost, outcomes. person/forgotten.c has how
 * the person is kept out, and what becomes of a refresh that runs meanwhile.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "common/guard.h"
#include "common/ids.h"
#include "common/input.h"
#include "common/spi.h"
#include "person/forgotten.h"
#include "person/identity.h"
#include "person/link_rule.h"
#include "person/person.h"
#include "playbook/suppress.h"
#include "queue/task.h"
#include "recall/arm.h"
#include "recall/episode.h"
#include "refresh/forget.h"
#include "report/about.h"
#include "source/keys.h"
#include "track/change_log.h"

PG_FUNCTION_INFO_V1(custseg_forget);
PG_FUNCTION_INFO_V1(custseg_forget_key);
PG_FUNCTION_INFO_V1(custseg_readmit);

/* Customers by number and by key: of some there is only the one or the other. */
typedef struct Accounts
{
	int64	   *ids;
	int			n_ids;
	char	  **namespaces;
	char	  **keys;
	int64	   *numbers;		/* of the keys, 0: none */
	int			n_keys;
} Accounts;

/* All who are one person with a customer: by what a refresh made of links, unless they changed since, and by links as they are. */
#define PERSON_NOW \
	"WITH RECURSIVE member (id) AS (" \
	" SELECT unnest($1) UNION SELECT o.id FROM member m CROSS JOIN LATERAL (" \
	"  SELECT l.other_id AS id FROM custseg.person_link l WHERE l.customer_id = m.id AND l.unlinked_at IS NULL" \
	"  UNION ALL SELECT l.customer_id FROM custseg.person_link l WHERE l.other_id = m.id AND l.unlinked_at IS NULL" \
	"  UNION ALL SELECT p.customer_id FROM custseg.person g JOIN custseg.person p USING (person_id)" \
	"   WHERE g.customer_id = m.id AND NOT EXISTS (SELECT FROM custseg.person_pending q WHERE q.customer_id = m.id)" \
	/* A number and a text that are the same key are the same to whoever names them. */ \
	"  UNION ALL SELECT i.customer_id FROM custseg.identity i" \
	"   WHERE m.id > 0 AND i.namespace = '" SHOP_NAMESPACE "' AND i.key = m.id::text" \
	"  UNION ALL SELECT i.key::bigint FROM custseg.identity i" \
	"   WHERE m.id < 0 AND i.customer_id = m.id AND i.namespace = '" SHOP_NAMESPACE "' AND i.key ~ '^[1-9][0-9]{0,17}$') o)" \
	" SELECT id FROM member WHERE id <> 0 ORDER BY id"

#define KEYS_NOW \
	"SELECT i.namespace, i.key, i.customer_id FROM custseg.identity i WHERE i.customer_id = ANY ($1)" \
	" UNION ALL SELECT '" SHOP_NAMESPACE "', w.id::text, w.id FROM unnest($1) w (id) WHERE w.id > 0"

static void
ReadKeys(Accounts *accounts)
{
	Oid			types[] = {INT8ARRAYOID};
	Datum		values[] = {IdArray(accounts->ids, accounts->n_ids)};

	accounts->n_keys = (int) SpiRun(KEYS_NOW, 1, types, values, NULL);
	accounts->namespaces = palloc((accounts->n_keys + 1) * sizeof(char *));
	accounts->keys = palloc((accounts->n_keys + 1) * sizeof(char *));
	accounts->numbers = palloc((accounts->n_keys + 1) * sizeof(int64));
	for (int i = 0; i < accounts->n_keys; i++)
	{
		accounts->namespaces[i] = SpiText(i, 1);
		accounts->keys[i] = SpiText(i, 2);
		accounts->numbers[i] = SpiInt64(i, 3, 0);
	}
}

/* All accounts of the person that some are. */
static void
ReadAccounts(const int64 *ids, int n, Accounts *accounts)
{
	Oid			types[] = {INT8ARRAYOID};
	Datum		values[] = {IdArray(ids, n)};

	accounts->n_ids = (int) SpiRun(PERSON_NOW, 1, types, values, NULL);
	accounts->ids = palloc(Max(accounts->n_ids, 1) * sizeof(int64));
	for (int i = 0; i < accounts->n_ids; i++)
		accounts->ids[i] = SpiInt64(i, 1, 0);
	ReadKeys(accounts);
}

static Datum
TextArray(char **texts, int n)
{
	Datum	   *elements = palloc(Max(n, 1) * sizeof(Datum));

	for (int i = 0; i < n; i++)
		elements[i] = CStringGetTextDatum(texts[i]);
	return PointerGetDatum(construct_array(elements, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/* From a table about customers; how many rows. */
static int64
EraseFrom(const char *table, Datum ids)
{
	Oid			types[] = {INT8ARRAYOID};

	return SpiRun(psprintf("DELETE FROM custseg.%s WHERE customer_id = ANY ($1)", quote_identifier(table)),
				  1, types, &ids, NULL);
}

/* From all that are left. */
static int64
EraseRows(Datum ids)
{
	int			n = (int) SpiRun(TABLES_ABOUT_CUSTOMERS, 0, NULL, NULL, NULL);
	char	  **tables = palloc(Max(n, 1) * sizeof(char *));
	int64		rows = 0;

	for (int i = 0; i < n; i++)
		tables[i] = SpiText(i, 1);
	for (int i = 0; i < n; i++)
		rows += EraseFrom(tables[i], ids);
	return rows;
}

/* Who was one person with them, and is not any more, is so to the next refresh. */
static void
PartFromOthers(Datum ids)
{
	Oid			types[] = {INT8ARRAYOID};

	SpiRun("INSERT INTO custseg.person_pending SELECT p.customer_id FROM custseg.person p"
		   " WHERE p.person_id IN (SELECT g.person_id FROM custseg.person g WHERE g.customer_id = ANY ($1))"
		   " AND p.customer_id <> ALL ($1)", 1, types, &ids, NULL);
	SpiRun("DELETE FROM custseg.person WHERE person_id = ANY ($1)", 1, types, &ids, NULL);
	LinksForget(ids);
}

/* In its order. */
static const char *const written_by_refresh[] = {
	"person_pending", "profile_event", "profile_attribute", "attribute_conflict", "profile_part", "profile_pending",
	"profile", "standing", "transition", NULL
};

static int64
EraseAccounts(const Accounts *accounts)
{
	Datum		ids = IdArray(accounts->ids, accounts->n_ids);
	Oid			types[] = {TEXTARRAYOID, TEXTARRAYOID};
	Datum		values[] = {TextArray(accounts->namespaces, accounts->n_keys), TextArray(accounts->keys, accounts->n_keys)};
	int64		rows = 0;

	/*
	 * In the order of a refresh, so that only one of them waits for the other: it takes
	 * what is to be looked at, writes profiles and standings, and then recall follows.
	 */
	ChangeLogForgetKeys(values[0], values[1]);
	for (int i = 0; written_by_refresh[i]; i++)
		rows += EraseFrom(written_by_refresh[i], ids);
	TasksForget(ids);
	EpisodesForget(ids);
	ArmsForget(ids);
	rows += EraseFrom("suppression", ids);
	SuppressionsForget(ids);
	PartFromOthers(ids);
	rows += EraseRows(ids);
	SpiRun("DELETE FROM custseg.rejected_sample s USING custseg.source_mapping m, unnest($1, $2) k (namespace, key)"
		   " WHERE m.source_id = s.source_id AND " SAMPLE_IS_OF_KEY, 2, types, values, NULL);
	/* They are in no calibration from now on, so that one is due. */
	if (rows > 0)
		SpiRun("UPDATE custseg.refresh_state SET cut_day = NULL WHERE cut_day IS NOT NULL", 0, NULL, NULL, NULL);
	return rows;
}

bool
EraseStragglers(void)
{
	Accounts	accounts = {0};

	if (!ForgettingGoesOn())
		return false;
	accounts.ids = ForgottenStragglers(&accounts.n_ids);
	ReadKeys(&accounts);
	(void) EraseAccounts(&accounts);
	return true;
}

/* Remember who they are, and erase them; how many there were that were not remembered yet. */
static int64
ForgetAccounts(Accounts *accounts, Oid by)
{
	char	   *role = GetUserNameFromId(by, false);
	int64		n = 0;

	for (int i = 0; i < accounts->n_keys; i++)
	{
		n += ForgottenAdd(accounts->namespaces[i], accounts->keys[i], role);
		ForgottenNote(accounts->namespaces[i], accounts->keys[i], accounts->numbers[i]);
	}
	if (EraseAccounts(accounts) == 0)
		ereport(NOTICE,
				(errmsg("nothing is kept of the customer with the key \"%s\" in namespace \"%s\"", accounts->keys[0], accounts->namespaces[0]),
				 n > 0 ? errhint("The key is remembered, so that no source brings that customer in.") :
				 errhint("The customer was forgotten before.")));
	return n;
}

Datum
custseg_forget(PG_FUNCTION_ARGS)
{
	int64		id = ArgInt64(fcinfo, 0, "customer");
	Oid			caller = GetUserId();
	Accounts	accounts;
	Guard		guard;
	int64		n;

	OwnerBegin(&guard);
	ReadAccounts(&id, 1, &accounts);
	if (accounts.n_keys == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no customer with the customer_id %lld", (long long) id),
				 errhint("See custseg.customer. Somebody whom custseg does not know yet is named by namespace and key: SELECT custseg.forget('shop', 'key').")));
	n = ForgetAccounts(&accounts, caller);
	OwnerEnd(&guard);
	PG_RETURN_INT64(n);
}

Datum
custseg_forget_key(PG_FUNCTION_ARGS)
{
	char	   *namespace = ArgText(fcinfo, 0, "namespace");
	char	   *key = ArgText(fcinfo, 1, "key");
	Oid			caller = GetUserId();
	int64		ids[2] = {0};
	Accounts	accounts;
	Guard		guard;
	int64		n;

	OwnerBegin(&guard);
	ids[0] = *IdentityNumbers(namespace, 1, &key);
	if (strcmp(namespace, SHOP_NAMESPACE) == 0)
		(void) KeyIsNumber(key, strlen(key), &ids[1]);
	ReadAccounts(ids, lengthof(ids), &accounts);
	if (accounts.n_keys == 0)
	{
		accounts.namespaces[0] = namespace;
		accounts.keys[0] = key;
		accounts.numbers[0] = 0;
		accounts.n_keys = 1;
	}
	n = ForgetAccounts(&accounts, caller);
	OwnerEnd(&guard);
	PG_RETURN_INT64(n);
}

/* Sources that are tracked would show the customer with the next change only. */
static void
NoteInTrackedSources(const char *namespace, const char *key)
{
	int64		number = 0;
	Oid			types[] = {TEXTOID, TEXTOID, INT8OID, INT8OID};
	Datum		values[4];
	bool		is_number = KeyIsNumber(key, strlen(key), &number);

	values[0] = CStringGetTextDatum(namespace);
	values[1] = CStringGetTextDatum(key);
	values[2] = Int64GetDatum(is_number ? number : 0);
	values[3] = Int64GetDatum(ChangeHash(key, strlen(key)));
	SpiRun("INSERT INTO custseg.change_log (source_id, xact, customer, key)"
		   " SELECT m.source_id, pg_catalog.pg_current_xact_id(), CASE WHEN m.native THEN $3 ELSE $4 END,"
		   "  CASE WHEN NOT m.native THEN $2 END FROM custseg.source_mapping m"
		   " WHERE m.tracked_since IS NOT NULL AND m.orders_source IS NULL AND m.namespace = $1 AND (NOT m.native OR $3 > 0)", 4, types, values, NULL);
}

Datum
custseg_readmit(PG_FUNCTION_ARGS)
{
	char	   *namespace = ArgText(fcinfo, 0, "namespace");
	char	   *key = ArgText(fcinfo, 1, "key");
	Guard		guard;
	bool		found;

	OwnerBegin(&guard);
	found = ForgottenRemove(namespace, key);
	if (found)
		NoteInTrackedSources(namespace, key);
	OwnerEnd(&guard);
	PG_RETURN_BOOL(found);
}
