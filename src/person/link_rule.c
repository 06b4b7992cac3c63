/*
 * link_rule.c
 *		The rules by which customers are linked.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "common/bulk.h"
#include "common/guard.h"
#include "common/ids.h"
#include "common/input.h"
#include "common/spi.h"
#include "person/handle.h"
#include "person/link_rule.h"

PG_FUNCTION_INFO_V1(custseg_add_link_rule);
PG_FUNCTION_INFO_V1(custseg_drop_link_rule);

#define MOST_PEOPLE	1000

bool
LinkRulesInUse(void)
{
	return !NeverUsed("link_rule") || !NeverUsed("link_pending");
}

int
KindNamed(const LinkRules *rules, const char *name)
{
	for (int i = 0; i < rules->n_kinds; i++)
		if (strcmp(rules->kinds[i].name, name) == 0)
			return i;
	return -1;
}

bool
IsMergeRule(const LinkRules *rules, const LinkRule *rule)
{
	return strcmp(rules->kinds[rule->kind].name, RULE_MERGED) == 0;
}

static int
CompareKinds(const void *a, const void *b)
{
	return strcmp(((const HandleKind *) a)->name, ((const HandleKind *) b)->name);
}

static void
AddKind(LinkRules *rules, char *name, MappedColumn column, char *normalise)
{
	if (KindNamed(rules, name) < 0)
		rules->kinds[rules->n_kinds++] = (HandleKind) {.name = name,.column = column,.normalise = normalise};
}

static char *
DigestOfRules(void)
{
	SpiRun("SELECT coalesce(string_agg(r::text, ' ' ORDER BY r.rule), '') FROM custseg.link_rule r", 0, NULL, NULL, NULL);
	return SpiText(0, 1);
}

bool
LinkRulesChanged(const LinkRules *rules)
{
	return strcmp(rules->digest, DigestOfRules()) != 0;
}

LinkRules *
ReadLinkRules(void)
{
	LinkRules  *rules = palloc0(sizeof(LinkRules));
	char	  **kinds;

	/* Before they are read: who comes between is seen to have changed them. */
	rules->digest = DigestOfRules();
	SpiRun("SELECT rule, medium, normalise, coalesce(max_people, 2147483647),"
		   " CASE WHEN medium = normalise THEN medium ELSE medium || '/' || normalise END"
		   " FROM custseg.link_rule ORDER BY rule <> '" RULE_MERGED "', rule", 0, NULL, NULL, NULL);
	rules->n = (int) SPI_processed;
	rules->rules = palloc(Max(rules->n, 1) * sizeof(LinkRule));
	rules->kinds = palloc((rules->n + 1) * sizeof(HandleKind));
	kinds = palloc(Max(rules->n, 1) * sizeof(char *));
	for (int i = 0; i < rules->n; i++)
	{
		char	   *medium = SpiText(i, 2);

		kinds[i] = SpiText(i, 5);
		rules->rules[i] = (LinkRule) {.name = SpiText(i, 1),.max_people = (int) SpiInt64(i, 4, 0)};
		if (strcmp(medium, RULE_MERGED) == 0)
		{
			AddKind(rules, RULE_MERGED, COLUMN_MERGED_INTO, NULL);
			AddKind(rules, KIND_KEY, COLUMN_CUSTOMER, NULL);
		}
		else
			AddKind(rules, kinds[i], strcmp(medium, MEDIUM_PHONE) == 0 ? COLUMN_PHONE : COLUMN_EMAIL, SpiText(i, 3));
	}
	SPI_freetuptable(SPI_tuptable);
	qsort(rules->kinds, rules->n_kinds, sizeof(HandleKind), CompareKinds);
	for (int i = 0; i < rules->n; i++)
		rules->rules[i].kind = KindNamed(rules, kinds[i]);
	return rules;
}

Datum
KindNames(const LinkRules *rules)
{
	Datum	   *names = palloc(Max(rules->n_kinds, 1) * sizeof(Datum));

	for (int i = 0; i < rules->n_kinds; i++)
		names[i] = CStringGetTextDatum(rules->kinds[i].name);
	return PointerGetDatum(construct_array(names, rules->n_kinds, TEXTOID, -1, false, TYPALIGN_INT));
}

void
LinksNoteChanged(const int64 *ids, int n)
{
	Oid			types[] = {INT8ARRAYOID};
	Datum		values[] = {IdArray(ids, n)};

	if (LinkRulesInUse())
		SpiRun("INSERT INTO custseg.link_pending (customer_id) SELECT unnest($1)", 1, types, values, NULL);
}

void
LinksNoteAll(void)
{
	SpiRun("INSERT INTO custseg.link_pending (customer_id) VALUES (NULL)", 0, NULL, NULL, NULL);
}

void
LinksForget(Datum ids)
{
	Oid			types[] = {INT8ARRAYOID};

	if (LinkRulesInUse())
	{
		SpiRun("INSERT INTO custseg.link_pending (customer_id) SELECT other_id FROM custseg.person_link"
			   "  WHERE customer_id = ANY ($1) AND unlinked_at IS NULL AND other_id <> ALL ($1)"
			   " UNION SELECT customer_id FROM custseg.person_link"
			   "  WHERE other_id = ANY ($1) AND unlinked_at IS NULL AND customer_id <> ALL ($1)", 1, types, &ids, NULL);
		/* One of those who have the same handle leads to all. No hash: a refresh that is at work drops those that are noted. */
		SpiRun("INSERT INTO custseg.link_pending (customer_id) SELECT DISTINCT o.customer_id FROM"
			   " (SELECT DISTINCT hash FROM custseg.person_handle WHERE customer_id = ANY ($1)) h"
			   " CROSS JOIN LATERAL (SELECT p.customer_id FROM custseg.person_handle p"
			   "  WHERE p.hash = h.hash AND p.customer_id <> ALL ($1) ORDER BY p.customer_id LIMIT 1) o", 1, types, &ids, NULL);
	}
	/* It lists the first of them; who was parted may be another. The rest may be none any more. */
	SpiRun("WITH gone AS (DELETE FROM custseg.link_conflict c WHERE c.customers && $1 OR EXISTS (SELECT FROM unnest($1) w (id)"
		   "  WHERE concat_ws(' ', c.about, c.why, c.what_to_do) ~ ('(^|[^-0-9a-f])' || w.id || '([^-0-9a-f]|$)')) RETURNING c.customers)"
		   " INSERT INTO custseg.link_pending (customer_id) SELECT DISTINCT m.id FROM gone, unnest(gone.customers) m (id)"
		   " WHERE m.id <> ALL ($1)", 1, types, &ids, NULL);
	SpiRun("DELETE FROM custseg.person_link WHERE customer_id = ANY ($1) OR other_id = ANY ($1)", 1, types, &ids, NULL);
}

/* ------------------------------------------------- adding and dropping rules */

static bool
InsertRule(const char *name, const char *medium, const char *normalise, int max_people, Oid by)
{
	Oid			types[] = {TEXTOID, TEXTOID, TEXTOID, INT4OID, TEXTOID};
	Datum		values[] = {CStringGetTextDatum(name), CStringGetTextDatum(medium), CStringGetTextDatum(normalise),
	Int32GetDatum(max_people), CStringGetTextDatum(GetUserNameFromId(by, false))};

	if (SpiRun("INSERT INTO custseg.link_rule (rule, medium, normalise, max_people, added_by, added_at)"
			   " VALUES ($1, $2, $3, nullif($4, 0), $5, now()) ON CONFLICT DO NOTHING RETURNING 1", 5, types, values, NULL) == 0)
		return false;
	LinksNoteAll();
	return true;
}

void
LinkRuleForMerges(Oid by)
{
	(void) InsertRule(RULE_MERGED, RULE_MERGED, RULE_MERGED, 0, by);
}

/* That a source has the column, so that nobody waits for links that cannot come. */
static void
CheckMapped(const char *medium)
{
	Oid			types[] = {TEXTOID};
	Datum		values[] = {CStringGetTextDatum(medium)};

	if (SpiRun("SELECT FROM custseg.source_column c JOIN custseg.source_mapping m USING (source_id)"
			   " WHERE c.role = $1 AND m.kind IN ('people', 'contact') LIMIT 1", 1, types, values, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("no source has a column that is mapped as %s", medium),
				 errhint("Name it when the source is added: SELECT custseg.add_people('shop.members', customer => 'id', %s => '...'), or custseg.add_customers() likewise.",
						 medium)));
}

Datum
custseg_add_link_rule(PG_FUNCTION_ARGS)
{
	char	   *name = ArgText(fcinfo, 0, "rule");
	char	   *medium = ArgText(fcinfo, 1, "medium");
	char	   *normalise = PG_ARGISNULL(2) ? medium : text_to_cstring(PG_GETARG_TEXT_PP(2));
	int32		max_people = PG_ARGISNULL(3) ? 0 : PG_GETARG_INT32(3);
	Oid			by = GetUserId();
	Guard		guard;

	if (name[0] == '\0' || strcmp(name, "hand") == 0 || strcmp(name, "moved") == 0 || strcmp(name, RULE_MERGED) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_RESERVED_NAME),
				 errmsg("a rule cannot be called \"%s\"", name),
				 errhint("Links that no rule of yours made are called hand, moved and merged_into. Take another name.")));
	if (strcmp(medium, MEDIUM_PHONE) != 0 && strcmp(medium, MEDIUM_EMAIL) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown medium \"%s\"", medium),
				 errhint("A medium is phone or email.")));
	if (strcmp(normalise, MEDIUM_PHONE) != 0 && strcmp(normalise, MEDIUM_EMAIL) != 0 && strcmp(normalise, "text") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown way to normalise \"%s\"", normalise),
				 errhint("It is phone, email or text; left out, the one of the medium.")));
	if (max_people < 2 || max_people > MOST_PEOPLE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_people must be between 2 and %d", MOST_PEOPLE),
				 errhint("A handle that more customers share than one person has accounts is nobody's own: 4 is a good number.")));

	OwnerBegin(&guard);
	CheckMapped(medium);
	if (!InsertRule(name, medium, normalise, max_people, by))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("link rule \"%s\" already exists", name),
				 errhint("SELECT custseg.drop_link_rule(%s) first; the links it made stay if it is added again before the next refresh.",
						 quote_literal_cstr(name))));
	OwnerEnd(&guard);
	PG_RETURN_VOID();
}

Datum
custseg_drop_link_rule(PG_FUNCTION_ARGS)
{
	char	   *name = ArgText(fcinfo, 0, "rule");
	Oid			types[] = {TEXTOID};
	Datum		values[] = {CStringGetTextDatum(name)};
	Guard		guard;

	OwnerBegin(&guard);
	if (SpiRun("DELETE FROM custseg.link_rule WHERE rule = $1 RETURNING 1", 1, types, values, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("link rule \"%s\" does not exist", name),
				 errhint("See custseg.link_rule for those that do.")));
	LinksNoteAll();
	OwnerEnd(&guard);
	PG_RETURN_VOID();
}
