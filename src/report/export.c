/*
 * export.c
 *		All that is kept of a customer, for whoever asks what that is.
 *
 * The tables are looked up in the catalog, so that none is left out that is
 * added later: whatever has a column customer_id is about a customer. Where one is
 * named in another way stands here; forget.c erases the same.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"

#include "common/guard.h"
#include "common/ids.h"
#include "common/spi.h"
#include "person/identity.h"
#include "person/person.h"
#include "report/about.h"

PG_FUNCTION_INFO_V1(custseg_export);

/* The token of a task is the key to it of whoever has claimed it. */
#define ROWS(from) \
	"SELECT pg_catalog.jsonb_agg(r.r ORDER BY r.r)::pg_catalog.text" \
	" FROM (SELECT pg_catalog.to_jsonb(t) - 'token' AS r FROM " from ") r"

/* The keys k of the accounts. */
#define KEYS \
	"(SELECT i.namespace, i.key FROM custseg.identity i WHERE i.customer_id = ANY ($1)" \
	" UNION ALL SELECT '" SHOP_NAMESPACE "', w.id::text FROM unnest($1) w (id) WHERE w.id > 0) k"

#define SAMPLES \
	"(SELECT s.* FROM custseg.rejected_sample s JOIN custseg.source_mapping m USING (source_id), " KEYS " WHERE " SAMPLE_IS_OF_KEY ") t"

/* An entry may name others, too. */
#define CHANGES \
	"(SELECT l.source_id, k.key FROM custseg.change_log l JOIN custseg.source_mapping m USING (source_id)" \
	" JOIN " KEYS " ON m.namespace = k.namespace AND m.orders_source IS NULL AND (coalesce(l.key, l.customer::text) = k.key" \
	"  OR k.key = ANY (coalesce(l.keys, l.customers::text[])))) t"

/* And one end of a move is somebody else, or another account. */
#define MOVES \
	"(SELECT v.source_id, v.from_key, v.to_key FROM custseg.change_move v JOIN custseg.source_mapping m USING (source_id)" \
	" WHERE EXISTS (SELECT FROM " KEYS " WHERE m.namespace = k.namespace AND k.key IN (v.from_key, v.to_key))) t"

/* accounts: those of the customer, a bigint[]. */
static void
AddRows(StringInfo json, const char *table, const char *sql, Datum accounts)
{
	Oid			types[1] = {INT8ARRAYOID};
	Datum		values[1] = {accounts};
	char	   *rows;

	SpiRun(sql, 1, types, values, NULL);
	rows = SpiText(0, 1);
	if (rows == NULL)
		return;
	appendStringInfoString(json, json->len == 0 ? "{" : ", ");
	escape_json(json, table);
	appendStringInfo(json, ": %s", rows);
}

Datum
custseg_export(PG_FUNCTION_ARGS)
{
	int64		customer_id = PG_GETARG_INT64(0);
	StringInfoData json;
	int64	   *ids;
	Datum		accounts;
	char	  **tables;
	int			n;
	Guard		guard;

	initStringInfo(&json);
	OwnerBegin(&guard);
	ids = WithMembers(&customer_id, 1, &n);
	accounts = IdArray(ids, n);
	n = (int) SpiRun(TABLES_ABOUT_CUSTOMERS, 0, NULL, NULL, NULL);
	tables = palloc(Max(n, 1) * sizeof(char *));
	for (int i = 0; i < n; i++)
		tables[i] = SpiText(i, 1);
	for (int i = 0; i < n; i++)
		AddRows(&json, tables[i],
				psprintf(ROWS("custseg.%s t WHERE t.customer_id = ANY ($1)%s"), quote_identifier(tables[i]),
						 strcmp(tables[i], "person_link") == 0 ? " OR t.other_id = ANY ($1)" :
						 strcmp(tables[i], "link_conflict") == 0 ? " OR t.customers && $1" : ""), accounts);
	AddRows(&json, "arm",
			ROWS("custseg.arm t WHERE t.person = ANY (ARRAY(SELECT " ARM_PERSON("m.id") " FROM unnest($1) m (id)))"), accounts);
	AddRows(&json, "outcome",
			ROWS("custseg.outcome t JOIN custseg.episode e USING (episode_id) WHERE e.customer_id = ANY ($1)"), accounts);
	AddRows(&json, "rejected_sample", ROWS(SAMPLES), accounts);
	AddRows(&json, "change_log", ROWS(CHANGES), accounts);
	AddRows(&json, "change_move", ROWS(MOVES), accounts);
	OwnerEnd(&guard);

	if (json.len == 0)
		PG_RETURN_NULL();
	appendStringInfoChar(&json, '}');
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data));
}
