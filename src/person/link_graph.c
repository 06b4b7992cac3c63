/*
 * link_graph.c
 *		Customers who may be one person: what rules have to look at together.
 *
 * It begins with those whose handles or links changed, and goes on from each to
 * all who are linked to it or share a handle, until nobody comes any more. A
 * handle that more customers share than any rule would link leads nowhere: a
 * number that stands at a hundred thousand customers costs no more than one
 * that stands at five.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"

#include "common/ids.h"
#include "common/spi.h"
#include "common/stream.h"
#include "person/link_graph.h"

typedef struct GroupKey
{
	int			kind;
	Handle		hash;
} GroupKey;

/* While it grows. */
typedef struct Growth
{
	LinkGraph  *graph;
	HTAB	   *seen;			/* ids */
	HTAB	   *seen_groups;	/* GroupKey */
	HTAB	   *seen_links;		/* link_ids */
	int			size;			/* room for ids */
	int			done;			/* ids from which it went on */
	GroupKey   *fresh;			/* groups whose members are to be found */
	int			n_fresh;
	int			fresh_size;
	int			groups_size;
	int			members_size;
	int			n_members;
	int			links_size;
	int		   *most;			/* by kind: how many customers of a handle matter */
} Growth;

/* Room for one more of an array. */
static void *
Room(void *array, int n, int *size, Size each)
{
	if (n < *size)
		return array;
	*size = Max(*size * 2, 256);
	return array ? repalloc_huge(array, *size * each) : palloc(*size * each);
}

static HTAB *
NewSet(Size key)
{
	return hash_create("custseg links", 1024, &(HASHCTL) {.keysize = key,.entrysize = key,.hcxt = CurrentMemoryContext},
					   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static bool
IsNew(HTAB *set, const void *key)
{
	bool		found;

	(void) hash_search(set, key, HASH_ENTER, &found);
	return !found;
}

static void
AddId(Growth *growth, int64 id)
{
	LinkGraph  *graph = growth->graph;

	if (!IsNew(growth->seen, &id))
		return;
	graph->ids = Room(graph->ids, graph->n, &growth->size, sizeof(int64));
	graph->ids[graph->n++] = id;
}

/* Keys and whom they point at are one kind of group. */
static int
GroupKind(const LinkRules *rules, const char *kind)
{
	return KindNamed(rules, strcmp(kind, KIND_KEY) == 0 ? RULE_MERGED : kind);
}

static void
AddGroup(Growth *growth, const char *kind, Handle hash)
{
	GroupKey	key;

	memset(&key, 0, sizeof(key));
	key.kind = GroupKind(growth->graph->rules, kind);
	key.hash = hash;
	if (key.kind < 0 || !IsNew(growth->seen_groups, &key))
		return;
	growth->fresh = Room(growth->fresh, growth->n_fresh, &growth->fresh_size, sizeof(GroupKey));
	growth->fresh[growth->n_fresh++] = key;
}

/* ------------------------------------------------------------- where it begins */

static void
AddFoundIds(Growth *growth)
{
	for (uint64 row = 0; row < SPI_processed; row++)
		AddId(growth, SpiInt64(row, 1, 0));
	SPI_freetuptable(SPI_tuptable);
}

static void
AddFoundGroups(Growth *growth)
{
	for (uint64 row = 0; row < SPI_processed; row++)
		AddGroup(growth, SpiText(row, 1), SpiHandle(row, 2));
	SPI_freetuptable(SPI_tuptable);
}

/* A handle that nobody else has leads to nobody; most are so. */
#define OTHER_KIND(a, b) \
	"(" b " = " a " OR (" a " = '" KIND_KEY "' AND " b " = '" RULE_MERGED "') OR (" a " = '" RULE_MERGED "' AND " b " = '" KIND_KEY "'))"

static void
BeginWithAll(Growth *growth)
{
	SpiRun("SELECT CASE kind WHEN '" KIND_KEY "' THEN '" RULE_MERGED "' ELSE kind END, hash FROM custseg.person_handle"
		   " GROUP BY 1, 2 HAVING min(customer_id) < max(customer_id)", 0, NULL, NULL, NULL);
	AddFoundGroups(growth);
	SpiRun("SELECT customer_id FROM custseg.person_link WHERE unlinked_at IS NULL AND " IS_BY_RULE("rule")
		   " UNION SELECT other_id FROM custseg.person_link WHERE unlinked_at IS NULL AND " IS_BY_RULE("rule"),
		   0, NULL, NULL, NULL);
	AddFoundIds(growth);
}

static void
BeginWithChanged(Growth *growth)
{
	/* Whoever lost the handle is looked at, too. */
	SpiRun("SELECT DISTINCT p.kind, p.hash, p.customer_id FROM custseg.link_pending p WHERE p.hash IS NOT NULL"
		   " AND EXISTS (SELECT FROM custseg.person_handle o WHERE o.hash = p.hash AND o.customer_id <> p.customer_id"
		   "  AND " OTHER_KIND("p.kind", "o.kind") ")", 0, NULL, NULL, NULL);
	for (uint64 row = 0; row < SPI_processed; row++)
		AddId(growth, SpiInt64(row, 3, 0));
	AddFoundGroups(growth);
	SpiRun("SELECT DISTINCT p.customer_id FROM custseg.link_pending p WHERE p.hash IS NOT NULL AND ("
		   " EXISTS (SELECT FROM custseg.person_link l WHERE l.customer_id = p.customer_id AND l.unlinked_at IS NULL)"
		   " OR EXISTS (SELECT FROM custseg.person_link l WHERE l.other_id = p.customer_id AND l.unlinked_at IS NULL)"
		   " OR EXISTS (SELECT FROM custseg.link_conflict c WHERE c.customer_id = p.customer_id)"
		   /* By another handle they may have been in a conflict, which lists only some. */
		   " OR EXISTS (SELECT FROM custseg.person_handle m JOIN custseg.person_handle o ON o.hash = m.hash"
		   "  AND o.customer_id <> m.customer_id WHERE m.customer_id = p.customer_id))", 0, NULL, NULL, NULL);
	AddFoundIds(growth);
	/* A handle that was few customers' and is too many's now: those may be linked, or in a conflict that is none any more. */
	SpiRun("SELECT DISTINCT h.customer_id FROM (SELECT DISTINCT kind, hash FROM custseg.link_pending WHERE hash IS NOT NULL) p"
		   " JOIN custseg.person_handle h ON h.hash = p.hash AND h.kind = p.kind"
		   " WHERE (SELECT count(*) FROM custseg.link_conflict c WHERE c.about = p.hash::text)"
		   "  < (SELECT count(*) FROM custseg.link_rule r WHERE p.kind = "
		   "     CASE WHEN r.medium = r.normalise THEN r.medium ELSE r.medium || '/' || r.normalise END)",
		   0, NULL, NULL, NULL);
	AddFoundIds(growth);
}

/* What others noted is taken at once; what refreshes noted stays until it was looked at. */
static bool
TakeChangedLinks(Growth *growth)
{
	bool		all = false;

	SpiRun("DELETE FROM custseg.link_pending WHERE hash IS NULL RETURNING customer_id", 0, NULL, NULL, NULL);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		bool		everybody;

		(void) SpiField(row, 1, &everybody);
		if (everybody)
			all = true;
		else
			AddId(growth, SpiInt64(row, 1, 0));
	}
	SPI_freetuptable(SPI_tuptable);
	return all;
}

void
LinkPendingDone(void)
{
	SpiRun("DELETE FROM custseg.link_pending WHERE hash IS NOT NULL", 0, NULL, NULL, NULL);
}

/* ----------------------------------------------------------------- how it grows */

static Datum
TextArray(char **texts, int n)
{
	Datum	   *values = palloc_extended(Max(n, 1) * sizeof(Datum), MCXT_ALLOC_HUGE);

	for (int i = 0; i < n; i++)
		values[i] = CStringGetTextDatum(texts[i]);
	return PointerGetDatum(construct_array(values, n, TEXTOID, -1, false, TYPALIGN_INT));
}

static Datum
IntArray(const int *ints, int n)
{
	Datum	   *values = palloc_extended(Max(n, 1) * sizeof(Datum), MCXT_ALLOC_HUGE);

	for (int i = 0; i < n; i++)
		values[i] = Int32GetDatum(ints[i]);
	return PointerGetDatum(construct_array(values, n, INT4OID, sizeof(int32), true, TYPALIGN_INT));
}

static void
AddMembers(Growth *growth, const GroupKey *key, uint64 row, int n)
{
	LinkGraph  *graph = growth->graph;
	HandleGroup *group;

	graph->groups = Room(graph->groups, graph->n_groups, &growth->groups_size, sizeof(HandleGroup));
	group = &graph->groups[graph->n_groups++];
	*group = (HandleGroup) {.kind = key->kind,.hash = key->hash,.first = growth->n_members,.n = n};
	group->over = n > growth->most[key->kind];
	for (int i = 0; i < n && !group->over; i++)
	{
		HandleMember member = {SpiInt64(row + i, 2, 0), SpiInt64(row + i, 3, 0) != 0};

		AddId(growth, member.id);
		graph->members = Room(graph->members, growth->n_members, &growth->members_size, sizeof(HandleMember));
		graph->members[growth->n_members++] = member;
	}
}

/* The members of groups that were found. */
static void
GrowByGroups(Growth *growth)
{
	static SPIPlanPtr kept = NULL;
	Oid			types[] = {TEXTARRAYOID, UUIDARRAYOID, INT4ARRAYOID};
	int			n = growth->n_fresh;
	char	  **kinds = palloc_extended(Max(n, 1) * sizeof(char *), MCXT_ALLOC_HUGE);
	Handle	   *hashes = palloc_extended(Max(n, 1) * sizeof(Handle), MCXT_ALLOC_HUGE);
	int		   *most = palloc_extended(Max(n, 1) * sizeof(int), MCXT_ALLOC_HUGE);
	Datum		values[lengthof(types)];
	uint64		row = 0;
	int			level;

	if (n == 0)
		return;
	for (int i = 0; i < n; i++)
	{
		kinds[i] = growth->graph->rules->kinds[growth->fresh[i].kind].name;
		hashes[i] = growth->fresh[i].hash;
		most[i] = growth->most[growth->fresh[i].kind];
	}
	values[0] = TextArray(kinds, n);
	values[1] = HandleArray(hashes, n);
	values[2] = IntArray(most, n);
	level = PlanByIndexBegin();
	SpiRunPlan(SpiKeep(&kept,
					   "SELECT w.n, m.customer_id, m.points FROM unnest($1, $2, $3) WITH ORDINALITY w (kind, hash, most, n)"
					   " CROSS JOIN LATERAL (SELECT h.customer_id, bool_and(h.kind <> '" KIND_KEY "') AS points"
					   "  FROM custseg.person_handle h WHERE h.hash = w.hash AND " OTHER_KIND("w.kind", "h.kind")
					   "  GROUP BY h.customer_id ORDER BY h.customer_id LIMIT w.most::bigint + 1) m ORDER BY w.n, m.customer_id",
					   lengthof(types), types), values, NULL);
	PlanByIndexEnd(level);
	growth->n_fresh = 0;
	while (row < SPI_processed)
	{
		uint64		end = row;
		int64		at = SpiInt64(row, 1, 0);

		CHECK_FOR_INTERRUPTS();
		while (end < SPI_processed && SpiInt64(end, 1, 0) == at)
			end++;
		AddMembers(growth, &growth->fresh[at - 1], row, (int) (end - row));
		row = end;
	}
	SPI_freetuptable(SPI_tuptable);
}

static void
AddLink(Growth *growth, uint64 row)
{
	LinkGraph  *graph = growth->graph;
	int64		id = SpiInt64(row, 1, 0);
	ActiveLink *link;

	for (int i = 0; i < 2; i++)
		AddId(growth, SpiInt64(row, 2 + i, 0));
	if (!IsNew(growth->seen_links, &id))
		return;
	graph->links = Room(graph->links, graph->n_links, &growth->links_size, sizeof(ActiveLink));
	link = &graph->links[graph->n_links++];
	*link = (ActiveLink) {id, {SpiInt64(row, 2, 0), SpiInt64(row, 3, 0)}, SpiText(row, 4)};
}

/* From customers to whom they are linked to, and to their handles. */
static void
GrowByCustomers(Growth *growth)
{
	static SPIPlanPtr links = NULL;
	static SPIPlanPtr handles = NULL;
	LinkGraph  *graph = growth->graph;
	Oid			types[] = {INT8ARRAYOID, TEXTARRAYOID};
	Datum		values[] = {IdArray(graph->ids + growth->done, graph->n - growth->done), KindNames(graph->rules)};
	int			level;

	growth->done = graph->n;
	level = PlanByIndexBegin();
	SpiRunPlan(SpiKeep(&links,
					   "SELECT l.link_id, l.customer_id, l.other_id, CASE WHEN " IS_BY_RULE("l.rule") " THEN l.rule END"
					   " FROM custseg.person_link l WHERE l.customer_id = ANY ($1) AND l.unlinked_at IS NULL"
					   " UNION ALL SELECT l.link_id, l.customer_id, l.other_id, CASE WHEN " IS_BY_RULE("l.rule") " THEN l.rule END"
					   " FROM custseg.person_link l WHERE l.other_id = ANY ($1) AND l.unlinked_at IS NULL", 1, types), values, NULL);
	for (uint64 row = 0; row < SPI_processed; row++)
		AddLink(growth, row);
	SPI_freetuptable(SPI_tuptable);
	SpiRunPlan(SpiKeep(&handles,
					   "SELECT DISTINCT h.kind, h.hash FROM custseg.person_handle h"
					   " WHERE h.customer_id = ANY ($1) AND h.kind = ANY ($2)", 2, types), values, NULL);
	PlanByIndexEnd(level);
	AddFoundGroups(growth);
}

/* Pairs of them who were unlinked by hand, and not linked again. */
static void
LoadApart(LinkGraph *graph)
{
	Oid			types[] = {INT8ARRAYOID};
	Datum		values[] = {IdArray(graph->ids, graph->n)};

	SpiRun("SELECT DISTINCT u.customer_id, u.other_id FROM custseg.person_link u"
		   " WHERE u.unlinked_by IS NOT NULL AND u.customer_id = ANY ($1) AND NOT EXISTS (SELECT FROM custseg.person_link l"
		   "  WHERE l.customer_id = u.customer_id AND l.other_id = u.other_id AND l.unlinked_at IS NULL AND l.rule = 'hand')"
		   " ORDER BY 1, 2", 1, types, values, NULL);
	graph->n_apart = (int) SPI_processed;
	graph->apart = palloc(Max(graph->n_apart, 1) * sizeof(IdPair));
	for (int i = 0; i < graph->n_apart; i++)
		graph->apart[i] = (IdPair) {{SpiInt64(i, 1, 0), SpiInt64(i, 2, 0)}};
	SPI_freetuptable(SPI_tuptable);
}

static int
CompareGroups(const void *a, const void *b)
{
	const HandleGroup *x = a;
	const HandleGroup *y = b;

	return x->kind != y->kind ? x->kind - y->kind : CompareHandles(&x->hash, &y->hash);
}

void
LinkGraphLoad(LinkGraph *graph, const LinkRules *rules, bool *all)
{
	Growth		growth = {.graph = graph};

	memset(graph, 0, sizeof(*graph));
	graph->rules = rules;
	growth.seen = NewSet(sizeof(int64));
	growth.seen_groups = NewSet(sizeof(GroupKey));
	growth.seen_links = NewSet(sizeof(int64));
	growth.most = palloc0(Max(rules->n_kinds, 1) * sizeof(int));
	for (int r = 0; r < rules->n; r++)
		growth.most[rules->rules[r].kind] = Max(growth.most[rules->rules[r].kind], rules->rules[r].max_people);

	*all = TakeChangedLinks(&growth);
	if (*all)
		BeginWithAll(&growth);
	else
		BeginWithChanged(&growth);
	while (growth.n_fresh > 0 || growth.done < graph->n)
	{
		CHECK_FOR_INTERRUPTS();
		GrowByGroups(&growth);
		if (growth.done < graph->n)
			GrowByCustomers(&growth);
	}
	graph->n = SortIds(graph->ids, graph->n);
	if (graph->n_groups > 1)
		qsort(graph->groups, graph->n_groups, sizeof(HandleGroup), CompareGroups);
	LoadApart(graph);
}
