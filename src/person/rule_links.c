/*
 * rule_links.c
 *		Linking customers by rules.
 *
 * What rules link follows from the links that people made, from the handles that
 * the sources have now, and from who was unlinked by hand, and from nothing else:
 * so it is the same whether a refresh came after each change or after all. One
 * rule is applied after the other, by what there is then:
 *
 * - A handle that more customers share than max_people, or two who were unlinked by
 *	 hand, links nobody.
 * - All others together make groups, with the links there are. A group that would
 *	 join too many customers, or two who were unlinked by hand, is left as it was,
 *	 and so are all handles in it.
 * - What joins two customers who are not one person yet becomes a link.
 *
 * So the limit is one of people, and not of who shares one handle.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "common/ids.h"
#include "common/spi.h"
#include "person/link_graph.h"
#include "person/person.h"
#include "person/rule_links.h"

#define SHOWN	20				/* customers of a conflict that are listed */

/* A link that a rule wants. */
typedef struct Wanted
{
	int			a;				/* positions in graph->ids */
	int			b;
	const char *rule;
	bool		there;
} Wanted;

typedef struct Conflict
{
	const LinkRule *rule;
	const char *kind;			/* people or unlinked */
	const Handle *hash;			/* that they share; NULL: several */
	int64		first;
	int64		people;
	char	   *customers;		/* an array; NULL: those who share the hash */
	IdPair		apart;			/* of unlinked */
} Conflict;

typedef struct Work
{
	LinkGraph	graph;
	int		   *joined;			/* by what holds: parent of each, the root that of itself */
	int		   *trial;			/* by what a rule would do */
	int		   *size;			/* of each root of the trial */
	int		   *persons;		/* how many it joins */
	const IdPair **apart;		/* who it would join again; NULL: nobody */
	Wanted	   *candidates;
	int			n_candidates;
	int			candidates_size;
	Wanted	   *wanted;
	int			n_wanted;
	int			wanted_size;
	Conflict   *conflicts;
	int			n_conflicts;
	int			conflicts_size;
} Work;

static void *
Room(void *array, int n, int *size, Size each)
{
	if (n < *size)
		return array;
	*size = Max(*size * 2, 256);
	return array ? repalloc_huge(array, *size * each) : palloc(*size * each);
}

static int
Find(int *parent, int i)
{
	while (parent[i] != i)
		i = parent[i] = parent[parent[i]];
	return i;
}

/* The lower number stands for both, so that nothing depends on the order. */
static bool
Unite(int *parent, int a, int b)
{
	a = Find(parent, a);
	b = Find(parent, b);
	if (a == b)
		return false;
	parent[Max(a, b)] = Min(a, b);
	return true;
}

static int
Position(const LinkGraph *graph, int64 id)
{
	const int64 *found = bsearch(&id, graph->ids, graph->n, sizeof(int64), CompareIds);

	return found ? (int) (found - graph->ids) : -1;
}

static Conflict *
AddConflict(Work *work, const LinkRule *rule, const char *kind)
{
	Conflict   *conflict;

	work->conflicts = Room(work->conflicts, work->n_conflicts, &work->conflicts_size, sizeof(Conflict));
	conflict = &work->conflicts[work->n_conflicts++];
	memset(conflict, 0, sizeof(*conflict));
	conflict->rule = rule;
	conflict->kind = kind;
	return conflict;
}

/* ------------------------------------------------------------ one rule's wishes */

static int
ComparePairs(const void *a, const void *b)
{
	const IdPair *x = a;
	const IdPair *y = b;

	if (x->ids[0] != y->ids[0])
		return x->ids[0] < y->ids[0] ? -1 : 1;
	return x->ids[1] < y->ids[1] ? -1 : x->ids[1] > y->ids[1];
}

static const IdPair *
AreApart(const LinkGraph *graph, int64 a, int64 b)
{
	IdPair		pair = {{Min(a, b), Max(a, b)}};

	return graph->n_apart == 0 ? NULL : bsearch(&pair, graph->apart, graph->n_apart, sizeof(IdPair), ComparePairs);
}

/* Two of a group who were unlinked by hand. */
static const IdPair *
AnyApart(const LinkGraph *graph, const HandleGroup *group)
{
	const IdPair *pair = NULL;

	if (graph->n_apart == 0)
		return NULL;
	for (int i = 0; i < group->n && pair == NULL; i++)
	{
		CHECK_FOR_INTERRUPTS();
		for (int j = i + 1; j < group->n && pair == NULL; j++)
			pair = AreApart(graph, graph->members[group->first + i].id, graph->members[group->first + j].id);
	}
	return pair;
}

static void
AddCandidate(Work *work, int64 a, int64 b, const LinkRule *rule)
{
	const LinkGraph *graph = &work->graph;

	work->candidates = Room(work->candidates, work->n_candidates, &work->candidates_size, sizeof(Wanted));
	work->candidates[work->n_candidates++] = (Wanted) {Position(graph, Min(a, b)), Position(graph, Max(a, b)), rule->name};
}

/* Whoever was merged, and into whom; not those whom somebody parted. */
static void
CandidatesOfMerge(Work *work, const LinkRule *rule, const HandleGroup *group)
{
	const HandleMember *members = work->graph.members + group->first;

	/* Into one at most of each namespace, but many may point there. */
	for (int j = 0; j < group->n; j++)
	{
		CHECK_FOR_INTERRUPTS();
		for (int i = 0; !members[j].points && i < group->n; i++)
			if (members[i].points && AreApart(&work->graph, members[i].id, members[j].id) == NULL)
				AddCandidate(work, members[i].id, members[j].id, rule);
	}
}

static void
CandidatesOfGroup(Work *work, const LinkRule *rule, const HandleGroup *group)
{
	const LinkGraph *graph = &work->graph;
	const HandleMember *members = graph->members + group->first;
	const IdPair *apart = NULL;

	if (group->over || group->n > rule->max_people || (apart = AnyApart(graph, group)) != NULL)
	{
		Conflict   *conflict = AddConflict(work, rule, apart ? "unlinked" : "people");

		conflict->hash = &group->hash;
		if (apart)
			conflict->apart = *apart;
		return;
	}
	for (int i = 1; i < group->n; i++)
		AddCandidate(work, members[0].id, members[i].id, rule);
}

/* ------------------------------------------------------------ whether they are met */

/* What its persons would be if all were met. */
static void
TryCandidates(Work *work)
{
	const LinkGraph *graph = &work->graph;

	memcpy(work->trial, work->joined, graph->n * sizeof(int));
	for (int i = 0; i < work->n_candidates; i++)
		(void) Unite(work->trial, work->candidates[i].a, work->candidates[i].b);
	memset(work->size, 0, graph->n * sizeof(int));
	memset(work->persons, 0, graph->n * sizeof(int));
	memset(work->apart, 0, graph->n * sizeof(IdPair *));
	for (int i = 0; i < graph->n; i++)
	{
		int			root = Find(work->trial, i);

		work->size[root]++;
		work->persons[root] += Find(work->joined, i) == i;
	}
	for (int i = 0; i < graph->n_apart; i++)
	{
		int			a = Position(graph, graph->apart[i].ids[0]);
		int			b = Position(graph, graph->apart[i].ids[1]);
		int			root;

		/* If links by hand join them all the same, that is not the rule's doing. */
		if (a < 0 || b < 0 || Find(work->joined, a) == Find(work->joined, b))
			continue;
		root = Find(work->trial, a);
		if (root == Find(work->trial, b) && work->apart[root] == NULL)
			work->apart[root] = &graph->apart[i];
	}
}

/* One of several groups of handles together. */
static void
AddGroupConflicts(Work *work, const LinkRule *rule)
{
	const LinkGraph *graph = &work->graph;
	int		   *conflict_of = palloc_extended(Max(graph->n, 1) * sizeof(int), MCXT_ALLOC_HUGE);
	StringInfoData *lists;
	int			first = work->n_conflicts;

	for (int i = 0; i < graph->n; i++)
	{
		bool		over = work->size[i] > rule->max_people;

		conflict_of[i] = -1;
		if (Find(work->trial, i) != i || work->persons[i] < 2 || (!over && work->apart[i] == NULL))
			continue;
		conflict_of[i] = work->n_conflicts;
		*AddConflict(work, rule, over ? "people" : "unlinked") =
			(Conflict) {rule, over ? "people" : "unlinked",.first = graph->ids[i],.people = work->size[i],
			.apart = over ? (IdPair) {{0, 0}} : *work->apart[i]};
	}
	lists = palloc0(Max(work->n_conflicts - first, 1) * sizeof(StringInfoData));
	for (int i = 0; i < graph->n && work->n_conflicts > first; i++)
	{
		int			at = conflict_of[Find(work->trial, i)];
		StringInfo	list;

		if (at < 0)
			continue;
		list = &lists[at - first];
		if (list->data == NULL)
			initStringInfo(list);
		if (list->cursor++ < SHOWN)
			appendStringInfo(list, "%s" INT64_FORMAT, list->len ? "," : "{", graph->ids[i]);
	}
	for (int at = first; at < work->n_conflicts; at++)
	{
		appendStringInfoChar(&lists[at - first], '}');
		work->conflicts[at].customers = lists[at - first].data;
	}
}

static void
MeetCandidates(Work *work, const LinkRule *rule)
{
	for (int i = 0; i < work->n_candidates; i++)
	{
		Wanted	   *candidate = &work->candidates[i];
		int			root = Find(work->trial, candidate->a);

		if (work->size[root] > rule->max_people || work->apart[root] != NULL ||
			!Unite(work->joined, candidate->a, candidate->b))
			continue;
		work->wanted = Room(work->wanted, work->n_wanted, &work->wanted_size, sizeof(Wanted));
		work->wanted[work->n_wanted++] = *candidate;
	}
}

static int
CompareWanted(const void *a, const void *b)
{
	const Wanted *x = a;
	const Wanted *y = b;

	return x->a != y->a ? x->a - y->a : x->b - y->b;
}

static void
ApplyRule(Work *work, const LinkRule *rule)
{
	const LinkGraph *graph = &work->graph;
	bool		merges = IsMergeRule(graph->rules, rule);

	CHECK_FOR_INTERRUPTS();
	work->n_candidates = 0;
	for (int i = 0; i < graph->n_groups; i++)
		if (graph->groups[i].kind == rule->kind && graph->groups[i].n > 1)
			(merges ? CandidatesOfMerge : CandidatesOfGroup) (work, rule, &graph->groups[i]);
	/* Which of several links joins them does not depend on the hashes. */
	if (work->n_candidates > 1)
		qsort(work->candidates, work->n_candidates, sizeof(Wanted), CompareWanted);
	TryCandidates(work);
	AddGroupConflicts(work, rule);
	MeetCandidates(work, rule);
}

/* ------------------------------------------------------------------------ links */

static Datum
TextArray(const char *const *texts, int n)
{
	Datum	   *values = palloc_extended(Max(n, 1) * sizeof(Datum), MCXT_ALLOC_HUGE);
	bool	   *nulls = palloc_extended(Max(n, 1) * sizeof(bool), MCXT_ALLOC_HUGE);
	int			lower = 1;

	for (int i = 0; i < n; i++)
	{
		nulls[i] = texts[i] == NULL;
		values[i] = texts[i] ? CStringGetTextDatum(texts[i]) : (Datum) 0;
	}
	return PointerGetDatum(construct_md_array(values, nulls, n > 0 ? 1 : 0, &n, &lower, TEXTOID, -1, false, TYPALIGN_INT));
}

/* What rules linked and want no more; those that they want and have are marked. */
static void
Unlink(Work *work, TimestampTz as_of)
{
	const LinkGraph *graph = &work->graph;
	int64	   *gone = palloc_extended(Max(graph->n_links, 1) * sizeof(int64), MCXT_ALLOC_HUGE);
	int			n_gone = 0;
	Oid			types[] = {INT8ARRAYOID, TIMESTAMPTZOID};
	Datum		values[lengthof(types)];

	for (int i = 0; i < graph->n_links; i++)
	{
		const ActiveLink *link = &graph->links[i];
		Wanted		key = {Position(graph, link->ids[0]), Position(graph, link->ids[1])};
		Wanted	   *wanted;

		if (link->rule == NULL)
			continue;
		wanted = work->n_wanted == 0 ? NULL : bsearch(&key, work->wanted, work->n_wanted, sizeof(Wanted), CompareWanted);
		if (wanted != NULL && strcmp(wanted->rule, link->rule) == 0)
			wanted->there = true;
		else
			gone[n_gone++] = link->link_id;
	}
	if (n_gone == 0)
		return;
	values[0] = IdArray(gone, n_gone);
	values[1] = TimestampTzGetDatum(as_of);
	SpiRun("WITH gone AS (UPDATE custseg.person_link SET unlinked_at = $2 WHERE link_id = ANY ($1) AND unlinked_at IS NULL"
		   "  RETURNING customer_id, other_id)"
		   " INSERT INTO custseg.person_pending SELECT customer_id FROM gone UNION SELECT other_id FROM gone",
		   lengthof(types), types, values, NULL);
}

static void
Link(Work *work, TimestampTz as_of)
{
	int64	   *ids = palloc_extended(Max(work->n_wanted, 1) * sizeof(int64), MCXT_ALLOC_HUGE);
	int64	   *others = palloc_extended(Max(work->n_wanted, 1) * sizeof(int64), MCXT_ALLOC_HUGE);
	const char **rules = palloc_extended(Max(work->n_wanted, 1) * sizeof(char *), MCXT_ALLOC_HUGE);
	int			n = 0;
	Oid			types[] = {INT8ARRAYOID, INT8ARRAYOID, TEXTARRAYOID, TIMESTAMPTZOID};
	Datum		values[lengthof(types)];

	for (int i = 0; i < work->n_wanted; i++)
	{
		const Wanted *wanted = &work->wanted[i];

		if (wanted->there)
			continue;
		ids[n] = work->graph.ids[wanted->a];
		others[n] = work->graph.ids[wanted->b];
		rules[n++] = wanted->rule;
	}
	if (n == 0)
		return;
	values[0] = IdArray(ids, n);
	values[1] = IdArray(others, n);
	values[2] = TextArray(rules, n);
	values[3] = TimestampTzGetDatum(as_of);
	/* Somebody may have linked, or parted, them just now: they are looked at again. */
	SpiRun("WITH made AS (INSERT INTO custseg.person_link (customer_id, other_id, rule, linked_at)"
		   "  SELECT n.customer_id, n.other_id, n.rule, $4 FROM unnest($1, $2, $3) n (customer_id, other_id, rule)"
		   "  ORDER BY n.customer_id, n.other_id"
		   "  ON CONFLICT (customer_id, other_id) WHERE unlinked_at IS NULL DO NOTHING RETURNING customer_id, other_id)"
		   " INSERT INTO custseg.person_pending SELECT customer_id FROM made UNION SELECT other_id FROM made",
		   lengthof(types), types, values, NULL);
}

/* -------------------------------------------------------------------- conflicts */

static char *
About(const Conflict *conflict)
{
	if (conflict->hash)
		return DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(conflict->hash)));
	return psprintf("customer " INT64_FORMAT, conflict->first);
}

static char *
Why(const Conflict *conflict)
{
	if (strcmp(conflict->kind, "unlinked") == 0)
		return psprintf("customers " INT64_FORMAT " and " INT64_FORMAT " were unlinked by hand",
						conflict->apart.ids[0], conflict->apart.ids[1]);
	return psprintf("%s, and max_people is %d", conflict->hash ? "they have the same handle" : "it would make them one person",
					conflict->rule->max_people);
}

static char *
WhatToDo(const Conflict *conflict)
{
	if (strcmp(conflict->kind, "unlinked") == 0)
		return psprintf("nothing, if they are two; else SELECT custseg.link(NULL, '" INT64_FORMAT "', NULL, '" INT64_FORMAT "')."
						" Others of them who are one person can be linked likewise.",
						conflict->apart.ids[0], conflict->apart.ids[1]);
	return "nothing, if it is no person's own; else custseg.link() those who are one, or add the rule anew with a larger max_people";
}

static void
WriteConflicts(Work *work, bool all, TimestampTz as_of)
{
	int			n = work->n_conflicts;
	const char **texts[6];
	Handle	   *hashes = palloc_extended(Max(n, 1) * sizeof(Handle), MCXT_ALLOC_HUGE);
	int64	   *people = palloc_extended(Max(n, 1) * sizeof(int64), MCXT_ALLOC_HUGE);
	int64	   *firsts = palloc_extended(Max(n, 1) * sizeof(int64), MCXT_ALLOC_HUGE);
	Handle	   *groups = palloc_extended(Max(work->graph.n_groups, 1) * sizeof(Handle), MCXT_ALLOC_HUGE);
	Oid			types[] = {TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID,
	UUIDARRAYOID, INT8ARRAYOID, INT8ARRAYOID, TIMESTAMPTZOID, INT8ARRAYOID, UUIDARRAYOID, BOOLOID};
	Datum		values[lengthof(types)];

	for (int t = 0; t < lengthof(texts); t++)
		texts[t] = palloc_extended(Max(n, 1) * sizeof(char *), MCXT_ALLOC_HUGE);
	for (int i = 0; i < n; i++)
	{
		const Conflict *conflict = &work->conflicts[i];

		texts[0][i] = conflict->rule->name;
		texts[1][i] = About(conflict);
		texts[2][i] = conflict->kind;
		texts[3][i] = Why(conflict);
		texts[4][i] = WhatToDo(conflict);
		texts[5][i] = conflict->customers;
		hashes[i] = conflict->hash ? *conflict->hash : no_handle;
		people[i] = conflict->people;
		firsts[i] = conflict->first;
	}
	for (int i = 0; i < work->graph.n_groups; i++)
		groups[i] = work->graph.groups[i].hash;
	for (int t = 0; t < lengthof(texts); t++)
		values[t] = TextArray(texts[t], n);
	values[6] = HandleArray(hashes, n);
	values[7] = IdArray(people, n);
	values[8] = IdArray(firsts, n);
	values[9] = TimestampTzGetDatum(as_of);
	values[10] = IdArray(work->graph.ids, work->graph.n);
	values[11] = HandleArray(groups, work->graph.n_groups);
	values[12] = BoolGetDatum(all);
	SpiRun("DELETE FROM custseg.link_conflict c WHERE c.kind <> 'proposal'"
		   " AND ($13 OR c.customer_id = ANY ($11) AND c.about LIKE 'customer %'"
		   "  OR c.about IN (SELECT g::text FROM unnest($12) g UNION ALL SELECT p.hash::text FROM custseg.link_pending p))"
		   " AND NOT EXISTS (SELECT FROM unnest($1, $2) n (rule, about) WHERE n.rule = c.rule AND n.about = c.about)",
		   lengthof(types), types, values, NULL);
	if (n == 0)
		return;
	/* Of a handle, whoever has it: they may be too many to be here. */
	SpiRun("INSERT INTO custseg.link_conflict AS c (rule, about, kind, customer_id, people, customers, why, what_to_do, found_at)"
		   " SELECT n.rule, n.about, n.kind, coalesce(m.customers[1], n.first), coalesce(m.people, n.people),"
		   "  coalesce(m.customers, n.customers::bigint[]), n.why, n.what_to_do, $10"
		   " FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9) n (rule, about, kind, why, what_to_do, customers, hash, people, first)"
		   " LEFT JOIN LATERAL (SELECT count(*) AS people, (array_agg(h.customer_id ORDER BY h.customer_id))[1:20] AS customers"
		   "  FROM (SELECT DISTINCT h.customer_id FROM custseg.person_handle h WHERE h.hash = n.hash) h) m ON n.hash IS NOT NULL"
		   " WHERE $11 IS NOT NULL AND $12 IS NOT NULL AND $13 IS NOT NULL"
		   " ON CONFLICT (about, rule) DO UPDATE SET kind = EXCLUDED.kind, customer_id = EXCLUDED.customer_id, people = EXCLUDED.people,"
		   "  customers = EXCLUDED.customers, why = EXCLUDED.why, what_to_do = EXCLUDED.what_to_do"
		   " WHERE (c.kind, c.people, c.customers, c.why) IS DISTINCT FROM (EXCLUDED.kind, EXCLUDED.people, EXCLUDED.customers, EXCLUDED.why)",
		   lengthof(types), types, values, NULL);
}

/* ------------------------------------------------------------------------- all */

static void
JoinByHand(Work *work)
{
	const LinkGraph *graph = &work->graph;

	for (int i = 0; i < graph->n; i++)
		work->joined[i] = i;
	for (int i = 0; i < graph->n_links; i++)
		if (graph->links[i].rule == NULL)
			(void) Unite(work->joined, Position(graph, graph->links[i].ids[0]), Position(graph, graph->links[i].ids[1]));
}

void
ApplyLinkRules(const LinkRules *rules, TimestampTz as_of)
{
	Work		work = {0};
	Size		room;
	bool		all;

	LinkGraphLoad(&work.graph, rules, &all);
	/* Whoever added one while the sources were read has noted everybody, and that note is taken now. */
	if (LinkRulesChanged(rules))
		LinksNoteAll();
	room = Max(work.graph.n, 1);
	work.joined = palloc_extended(room * sizeof(int), MCXT_ALLOC_HUGE);
	work.trial = palloc_extended(room * sizeof(int), MCXT_ALLOC_HUGE);
	work.size = palloc_extended(room * sizeof(int), MCXT_ALLOC_HUGE);
	work.persons = palloc_extended(room * sizeof(int), MCXT_ALLOC_HUGE);
	work.apart = palloc_extended(room * sizeof(IdPair *), MCXT_ALLOC_HUGE);
	JoinByHand(&work);
	for (int r = 0; r < rules->n; r++)
		ApplyRule(&work, &rules->rules[r]);
	if (work.n_wanted > 1)
		qsort(work.wanted, work.n_wanted, sizeof(Wanted), CompareWanted);
	Unlink(&work, as_of);
	Link(&work, as_of);
	WriteConflicts(&work, all, as_of);
	LinkPendingDone();
}
