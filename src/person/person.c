/*
 * person.c
 *		Which customers are one person.
 *
 * Links make groups: whoever is linked to one of a person's accounts is that
 * person. The members of groups of two and more are in custseg.person, with the
 * one who stands for all: the smallest number of the shop's own, else the first
 * that we gave. Only a refresh writes there, so that while it works the persons
 * stay as they are, and custseg.person says what the profiles were merged by.
 *
 * What a link changes is worked out for the customers it touches, which are all
 * who were one person with them and all who are now; union-find makes the groups.
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "common/ids.h"
#include "common/spi.h"
#include "common/stream.h"
#include "person/person.h"

bool
PersonsLinked(void)
{
	static SPIPlanPtr kept = NULL;

	SpiRunPlan(SpiKeep(&kept,
					   "SELECT EXISTS (SELECT FROM custseg.person) OR EXISTS (SELECT FROM custseg.person_pending)"
					   " OR EXISTS (SELECT FROM custseg.person_link WHERE unlinked_at IS NULL)", 0, NULL), NULL, NULL);
	return SpiInt64(0, 1, 0) != 0;
}

/* ------------------------------------------------------- who is to be looked at */

void
PersonsNotePending(const int64 *ids, int n)
{
	PersonsNoteSome(IdArray(ids, n));
}

void
PersonsNoteSome(Datum ids)
{
	Oid			types[] = {INT8ARRAYOID};
	Datum		values[] = {ids};

	SpiRun("INSERT INTO custseg.person_pending SELECT unnest($1)", 1, types, values, NULL);
}

void
PersonsNoteIfLinked(int64 id)
{
	Oid			types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(id)};

	SpiRun("INSERT INTO custseg.person_pending SELECT $1 WHERE EXISTS (SELECT FROM custseg.person_link"
		   "  WHERE (customer_id = $1 OR other_id = $1) AND unlinked_at IS NULL)",
		   1, types, values, NULL);
}

/* ------------------------------------------------------------------ groups */

static int64 *
FoundIds(int *n)
{
	int64	   *ids;

	*n = (int) SPI_processed;
	ids = palloc_extended(Max(*n, 1) * sizeof(int64), MCXT_ALLOC_HUGE);
	for (int i = 0; i < *n; i++)
		ids[i] = SpiInt64(i, 1, 0);
	SPI_freetuptable(SPI_tuptable);
	return ids;
}

/*
 * All that are, or were until now, one person with some customers. A person that
 * was is a step of its own: from each member to each other would be their square.
 */
static int64 *
Touched(const int64 *ids, int n, int *n_touched)
{
	Oid			types[] = {INT8ARRAYOID};
	Datum		values[] = {IdArray(ids, n)};

	SpiRun("WITH RECURSIVE touched (was, id) AS ("
		   " SELECT false, unnest($1) UNION SELECT o.was, o.id FROM touched t CROSS JOIN LATERAL ("
		   "  SELECT false AS was, l.other_id AS id FROM custseg.person_link l"
		   "   WHERE NOT t.was AND l.customer_id = t.id AND l.unlinked_at IS NULL"
		   "  UNION ALL SELECT false, l.customer_id FROM custseg.person_link l"
		   "   WHERE NOT t.was AND l.other_id = t.id AND l.unlinked_at IS NULL"
		   "  UNION ALL SELECT true, g.person_id FROM custseg.person g WHERE NOT t.was AND g.customer_id = t.id"
		   "  UNION ALL SELECT false, g.customer_id FROM custseg.person g WHERE t.was AND g.person_id = t.id) o)"
		   " SELECT id FROM touched WHERE NOT was ORDER BY id", 1, types, values, NULL);
	return FoundIds(n_touched);
}

/* Whether one number is to stand for a person rather than another. */
static bool
StandsBefore(int64 a, int64 b)
{
	return (a > 0) != (b > 0) ? a > 0 : a > 0 ? a < b : a > b;
}

typedef struct Groups
{
	const int64 *ids;			/* ascending */
	int			n;
	int		   *parent;			/* of each; itself: the root of a group */
} Groups;

static int
Find(Groups *groups, int i)
{
	while (groups->parent[i] != i)
		i = groups->parent[i] = groups->parent[groups->parent[i]];
	return i;
}

static int
PositionOf(const Groups *groups, int64 id)
{
	const int64 *found = bsearch(&id, groups->ids, groups->n, sizeof(int64), CompareIds);

	return found ? found - groups->ids : -1;
}

/* The root of each group is the one who stands for it. */
static void
MakeGroups(Groups *groups)
{
	Oid			types[] = {INT8ARRAYOID};
	Datum		values[] = {IdArray(groups->ids, groups->n)};

	groups->parent = palloc_extended(groups->n * sizeof(int), MCXT_ALLOC_HUGE);
	for (int i = 0; i < groups->n; i++)
		groups->parent[i] = i;
	SpiRun("SELECT customer_id, other_id FROM custseg.person_link WHERE customer_id = ANY ($1) AND unlinked_at IS NULL",
		   1, types, values, NULL);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		int			a = PositionOf(groups, SpiInt64(row, 1, 0));
		int			b = PositionOf(groups, SpiInt64(row, 2, 0));

		/* Linked since we looked: they are on the list again. */
		if (a < 0 || b < 0)
			continue;
		a = Find(groups, a);
		b = Find(groups, b);
		if (a != b && StandsBefore(groups->ids[a], groups->ids[b]))
			groups->parent[b] = a;
		else if (a != b)
			groups->parent[a] = b;
	}
	SPI_freetuptable(SPI_tuptable);
}

/* Write what differs. */
static void
StoreGroups(Groups *groups)
{
	Oid			types[] = {INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID};
	Datum		values[3];
	int		   *size = palloc0(groups->n * sizeof(int));
	int64	   *members = palloc(groups->n * sizeof(int64));
	int64	   *persons = palloc(groups->n * sizeof(int64));
	int			n = 0;

	for (int i = 0; i < groups->n; i++)
		size[Find(groups, i)]++;
	for (int i = 0; i < groups->n; i++)
	{
		int			root = Find(groups, i);

		if (size[root] < 2)
			continue;
		members[n] = groups->ids[i];
		persons[n++] = groups->ids[root];
	}
	values[0] = IdArray(groups->ids, groups->n);
	values[1] = IdArray(members, n);
	values[2] = IdArray(persons, n);
	SpiRun("DELETE FROM custseg.person g WHERE g.customer_id = ANY ($1) AND NOT EXISTS"
		   " (SELECT FROM unnest($2, $3) n (customer_id, person_id)"
		   "  WHERE n.customer_id = g.customer_id AND n.person_id = g.person_id)", 3, types, values, NULL);
	SpiRun("INSERT INTO custseg.person (customer_id, person_id)"
		   " SELECT * FROM unnest($2, $3) n (customer_id, person_id) WHERE $1 IS NOT NULL"
		   " ON CONFLICT DO NOTHING", 3, types, values, NULL);
}

int64 *
PersonsTake(int most, int *n)
{
	Oid			types[] = {INT4OID};
	Datum		values[] = {Int32GetDatum(most)};
	int64	   *taken;

	SpiRun("DELETE FROM custseg.person_pending WHERE customer_id = ANY (ARRAY("
		   "SELECT DISTINCT customer_id FROM custseg.person_pending ORDER BY customer_id LIMIT $1)) RETURNING customer_id",
		   1, types, values, NULL);
	taken = FoundIds(n);
	*n = SortIds(taken, *n);
	return *n > 0 ? taken : NULL;
}

/*
 * They are off the list before anything is read: what is committed after that has
 * a note of its own that stays.
 */
int64 *
PersonsWorkOut(const int64 *taken, int n_taken, int *n)
{
	int64	   *touched = Touched(taken, n_taken, n);
	Groups		groups = {.ids = touched,.n = *n};

	MakeGroups(&groups);
	StoreGroups(&groups);
	return touched;
}

/* Whom custseg.person has as somebody else's account than links make them; the stored ones come ascending. */
static int
WrongOnes(Groups *groups, int64 *wrong)
{
	int		   *size = palloc0(Max(groups->n, 1) * sizeof(int));
	int64	   *stored = palloc_extended(Max(groups->n, 1) * sizeof(int64), MCXT_ALLOC_HUGE);
	int			n = 0;

	for (int i = 0; i < groups->n; i++)
	{
		size[Find(groups, i)]++;
		stored[i] = 0;
	}
	SpiRun("SELECT customer_id, person_id FROM custseg.person", 0, NULL, NULL, NULL);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		int			at = PositionOf(groups, SpiInt64(row, 1, 0));

		if (at >= 0)
			stored[at] = SpiInt64(row, 2, 0);
	}
	SPI_freetuptable(SPI_tuptable);
	for (int i = 0; i < groups->n; i++)
	{
		int			root = Find(groups, i);

		if (stored[i] != (size[root] > 1 ? groups->ids[root] : 0))
			wrong[n++] = groups->ids[i];
	}
	return n;
}

void
PersonsNoteWrong(void)
{
	Groups		groups;
	int64	   *ids;
	int64	   *wrong;
	int			n;

	SpiRun("SELECT customer_id FROM custseg.person UNION ALL SELECT customer_id FROM custseg.person_link WHERE unlinked_at IS NULL"
		   " UNION ALL SELECT other_id FROM custseg.person_link WHERE unlinked_at IS NULL", 0, NULL, NULL, NULL);
	ids = FoundIds(&n);
	if (n == 0)
		return;
	groups = (Groups) {.ids = ids,.n = SortIds(ids, n)};
	MakeGroups(&groups);
	wrong = palloc_extended(groups.n * sizeof(int64), MCXT_ALLOC_HUGE);
	n = WrongOnes(&groups, wrong);
	if (n > 0)
		PersonsNotePending(wrong, n);
}

/* ----------------------------------------------------------------- members */

int64 *
WithMembers(const int64 *ids, int n, int *n_all)
{
	static SPIPlanPtr kept = NULL;
	Oid			types[] = {INT8ARRAYOID};
	Datum		values[] = {IdArray(ids, n)};
	int64	   *others;
	int64	   *all;
	int			n_others;
	int			level = PlanByIndexBegin();

	SpiRunPlan(SpiKeep(&kept,
					   "SELECT m.customer_id FROM custseg.person m WHERE m.person_id = ANY (ARRAY("
					   " SELECT g.person_id FROM custseg.person g WHERE g.customer_id = ANY ($1)))",
					   1, types), values, NULL);
	PlanByIndexEnd(level);
	others = FoundIds(&n_others);
	all = palloc_extended(Max(n + n_others, 1) * sizeof(int64), MCXT_ALLOC_HUGE);
	memcpy(all, ids, n * sizeof(int64));
	memcpy(all + n, others, n_others * sizeof(int64));
	*n_all = SortIds(all, n + n_others);
	return all;
}

int64 *
MembersOf(const int64 *ids, int n, int *n_all, int **owners)
{
	static SPIPlanPtr kept = NULL;
	Oid			types[] = {INT8ARRAYOID};
	Datum		values[] = {IdArray(ids, n)};
	int			n_others;
	int64	   *all;
	int			level = PlanByIndexBegin();

	SpiRunPlan(SpiKeep(&kept,
					   "SELECT w.n, m.customer_id FROM unnest($1) WITH ORDINALITY w (id, n)"
					   " JOIN custseg.person g ON g.customer_id = w.id"
					   " JOIN custseg.person m ON m.person_id = g.person_id AND m.customer_id <> w.id"
					   " ORDER BY 1, m.customer_id <= 0, pg_catalog.abs(m.customer_id)", 1, types), values, NULL);
	PlanByIndexEnd(level);
	n_others = (int) SPI_processed;
	all = palloc((n + n_others + 1) * sizeof(int64));
	*owners = palloc((n_others + 1) * sizeof(int));
	memcpy(all, ids, n * sizeof(int64));
	for (int i = 0; i < n_others; i++)
	{
		(*owners)[i] = (int) SpiInt64(i, 1, 0) - 1;
		all[n + i] = SpiInt64(i, 2, 0);
	}
	SPI_freetuptable(SPI_tuptable);
	*n_all = n + n_others;
	return all;
}

void
PersonsPending(const int64 *ids, int n, bool *pending)
{
	static SPIPlanPtr kept = NULL;
	Oid			types[] = {INT8ARRAYOID};
	Datum		values[] = {IdArray(ids, n)};
	int			level = PlanByIndexBegin();

	SpiRunPlan(SpiKeep(&kept,
					   "SELECT w.n FROM unnest($1) WITH ORDINALITY w (id, n)"
					   " JOIN custseg.person_pending p ON p.customer_id = w.id", 1, types), values, NULL);
	PlanByIndexEnd(level);
	for (uint64 row = 0; row < SPI_processed; row++)
		pending[SpiInt64(row, 1, 0) - 1] = true;
	SPI_freetuptable(SPI_tuptable);
}
