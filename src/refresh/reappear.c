/*
 * reappear.c
 *		Customers who vanish while their history appears at somebody new.
 *
 * A table that is not tracked does not say why a customer is gone. Where in the
 * same read the same history, to the cent and the day, appears at a customer who
 * was not there before, and nobody else has such a one, the two may be one: that is
 * proposed in custseg.link_conflict, and nobody is linked. Many who bought once
 * have the same history as others; of those nothing can be said.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "utils/memutils.h"

#include "common/bulk.h"
#include "common/ids.h"
#include "common/spi.h"
#include "profile/writer.h"
#include "refresh/reappear.h"

#define MOST_NOTED		100000	/* customers who come or go; more are another numbering */

/* A customer and what the history looks like. */
typedef struct Noted
{
	int64		id;
	uint64		hash;
} Noted;

typedef struct NotedList
{
	Noted	   *noted;
	int			n;
	int			size;
} NotedList;

struct Reappear
{
	MemoryContext context;
	NotedList	gone;
	NotedList	came;
};

void
ReappearBegin(Run *run)
{
	MemoryContext context = AllocSetContextCreate(run->context, "custseg reappear", ALLOCSET_DEFAULT_SIZES);

	run->reappear = MemoryContextAllocZero(context, sizeof(Reappear));
	run->reappear->context = context;
}

static void
Note(Run *run, NotedList *list, int64 id, const struct varlena *timeline)
{
	if (list->n > MOST_NOTED)
		return;
	if (list->n == list->size)
	{
		list->size = Max(list->size * 2, 256);
		list->noted = list->noted ? repalloc(list->noted, list->size * sizeof(Noted)) :
			MemoryContextAlloc(run->reappear->context, list->size * sizeof(Noted));
	}
	list->noted[list->n++] = (Noted) {id, hash_bytes_extended((const unsigned char *) VARDATA_ANY(timeline),
															  VARSIZE_ANY_EXHDR(timeline), 0)};
}

void
ReappearGone(Run *run, const ProfileTarget *target, const int64 *ids, int n)
{
	Oid			types[] = {INT8ARRAYOID, INT4OID};
	Datum		values[] = {IdArray(ids, n), Int32GetDatum(target->source_id)};

	if (run->reappear == NULL || n == 0 || run->reappear->gone.n > MOST_NOTED)
		return;
	SpiRun(target->source_id ? "SELECT customer_id, timeline FROM custseg.profile_part WHERE source_id = $2 AND customer_id = ANY ($1)" :
		   "SELECT customer_id, timeline FROM custseg.profile WHERE customer_id = ANY ($1) AND $2 = 0", 2, types, values, NULL);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		bool		isnull;

		Note(run, &run->reappear->gone, SpiInt64(row, 1, 0), PG_DETOAST_DATUM_PACKED(SpiField(row, 2, &isnull)));
	}
	SPI_freetuptable(SPI_tuptable);
}

void
ReappearCame(Run *run, int64 id, const struct varlena *timeline)
{
	if (run->reappear != NULL)
		Note(run, &run->reappear->came, id, timeline);
}

void
ReappearDifferences(Run *run, const ProfileTarget *target, const Collected *rows, int n)
{
	int64	   *gone;
	int			n_gone = 0;

	if (run->reappear == NULL || n == 0)
		return;
	gone = palloc_extended(n * sizeof(int64), MCXT_ALLOC_HUGE);
	for (int i = 0; i < n; i++)
		if (rows[i].timeline == NULL)
			gone[n_gone++] = rows[i].customer_id;
		else if (!rows[i].stored)
			ReappearCame(run, rows[i].customer_id, rows[i].timeline);
	ReappearGone(run, target, gone, n_gone);
}

static int
CompareNoted(const void *a, const void *b)
{
	const Noted *x = a;
	const Noted *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return (x->id > y->id) - (x->id < y->id);
}

/* Sorted, without those that are there twice. */
static void
KeepSingle(NotedList *list)
{
	int			kept = 0;

	if (list->n > 1)
		qsort(list->noted, list->n, sizeof(Noted), CompareNoted);
	for (int i = 0; i < list->n; i++)
		if ((i == 0 || list->noted[i - 1].hash != list->noted[i].hash) &&
			(i + 1 == list->n || list->noted[i + 1].hash != list->noted[i].hash))
			list->noted[kept++] = list->noted[i];
	list->n = kept;
}

/* Of pairs with the same history, those of whom nobody else has it. */
static void
Propose(const Run *run, const ProfileTarget *target, const int64 *from, const int64 *to, int n)
{
	Oid			types[] = {INT8ARRAYOID, INT8ARRAYOID, INT4OID, TIMESTAMPTZOID};
	Datum		values[] = {IdArray(from, n), IdArray(to, n), Int32GetDatum(target->source_id), TimestampTzGetDatum(run->now.as_of)};
	const char *had = target->source_id ? "custseg.profile_part p WHERE p.source_id = $3" : "custseg.profile p WHERE $3 = 0";

	SpiRun(psprintf("INSERT INTO custseg.link_conflict (rule, about, kind, customer_id, people, customers, why, what_to_do, found_at)"
					" SELECT 'moved', 'customers ' || n.was || ' and ' || n.now, 'proposal', n.now, 2, ARRAY[n.was, n.now],"
					"  'customer ' || n.was || ' is gone, and the whole history is that of customer ' || n.now || ', who is new',"
					"  'if they are one, SELECT custseg.link(NULL, ''' || n.was || ''', NULL, ''' || n.now || '''); else nothing', $4"
					" FROM unnest($1, $2) n (was, now) JOIN (SELECT p.customer_id, custseg.timeline_send(p.timeline) AS bytes FROM %s"
					"   AND p.customer_id = ANY ($2)) c ON c.customer_id = n.now"
					" JOIN (SELECT b.bytes FROM (SELECT custseg.timeline_send(p.timeline) AS bytes FROM %s) b WHERE b.bytes IN ("
					"   SELECT custseg.timeline_send(p.timeline) FROM %s AND p.customer_id = ANY ($2))"
					"  GROUP BY 1 HAVING count(*) = 1) s ON s.bytes = c.bytes"
					" ON CONFLICT DO NOTHING", had, had, had), 4, types, values, NULL);
}

void
ReappearEnd(Run *run, const ProfileTarget *target, bool give_up)
{
	Reappear   *reappear = run->reappear;
	int64	   *from;
	int64	   *to;
	int			n = 0;

	if (reappear == NULL)
		return;
	run->reappear = NULL;
	if (!give_up && reappear->gone.n > 0 && reappear->came.n > 0 &&
		reappear->gone.n <= MOST_NOTED && reappear->came.n <= MOST_NOTED)
	{
		NotedList  *came = &reappear->came;

		KeepSingle(&reappear->gone);
		KeepSingle(came);
		from = palloc(Max(reappear->gone.n, 1) * sizeof(int64));
		to = palloc(Max(reappear->gone.n, 1) * sizeof(int64));
		for (int i = 0, j = 0; i < reappear->gone.n; i++)
		{
			while (j < came->n && came->noted[j].hash < reappear->gone.noted[i].hash)
				j++;
			if (j == came->n || came->noted[j].hash != reappear->gone.noted[i].hash)
				continue;
			from[n] = reappear->gone.noted[i].id;
			to[n++] = came->noted[j].id;
		}
		if (n > 0)
			Propose(run, target, from, to, n);
	}
	MemoryContextDelete(reappear->context);
}

void
ForgetProposals(void)
{
	if (NeverUsed("link_conflict"))
		return;
	SpiRun("DELETE FROM custseg.link_conflict c WHERE c.kind = 'proposal' AND ("
		   " EXISTS (SELECT FROM custseg.person_link l WHERE l.customer_id = least(c.customers[1], c.customers[2])"
		   "  AND l.other_id = greatest(c.customers[1], c.customers[2]) AND (l.unlinked_at IS NULL OR l.unlinked_by IS NOT NULL))"
		   " OR EXISTS (SELECT FROM custseg.profile p WHERE p.customer_id = c.customers[1])"
		   " OR NOT EXISTS (SELECT FROM custseg.profile p WHERE p.customer_id = c.customers[2]))", 0, NULL, NULL, NULL);
}
