/*
 * people_some.c
 *		What a source says of some customers.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "common/ids.h"
#include "common/spi.h"
#include "common/stream.h"
#include "facts/people_compare.h"
#include "facts/people_walk.h"
#include "source/keys.h"
#include "source/read.h"

#define SOME_KILOBYTES	4096	/* to read them in */

typedef struct People
{
	Person	   *people;
	int			n;
	int			at;
} People;

static int
CompareNumbers(const void *a, const void *b)
{
	const Person *x = a;
	const Person *y = b;

	if (x->customer_id == 0 && y->customer_id == 0)
		return strcmp(x->key, y->key);
	if (x->customer_id == 0 || y->customer_id == 0)
		return x->customer_id == 0 ? 1 : -1;
	return (x->customer_id > y->customer_id) - (x->customer_id < y->customer_id);
}

/*
 * All that was read of the customers with these keys. A function that lies about
 * what it depends on may have shown us others than we asked for.
 */
static void
GatherPeople(const Source *source, PeopleReader *reader, char **keys, const int64 *ids, int n, People *all)
{
	KeyIndex   *asked = KeyIndexCreate(n, keys);
	Person	   *person;

	all->people = palloc_extended(Max(n, 1) * sizeof(Person), MCXT_ALLOC_HUGE);
	while ((person = PeopleNext(reader)) != NULL)
	{
		const char *key = person->key ? person->key : psprintf(INT64_FORMAT, person->customer_id);
		int			at;
		int			position = KeyIndexFirst(asked, key, &at);

		if (all->n == n || position < 0)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("%s shows customers that were not asked for", SourceRelation(source)),
					 errdetail("Customer %s is one of them.", quote_literal_cstr(key)),
					 errhint("A function it calls says that it is IMMUTABLE or STABLE and is not; mark it VOLATILE.")));
		if (PersonIsForgotten(reader, person))
			continue;
		PersonShow(reader, person);
		if (person->key)
		{
			person->key = pstrdup(person->key);
			person->customer_id = ids[position];
		}
		all->people[all->n++] = *person;
	}
	if (all->n > 1)
		qsort(all->people, all->n, sizeof(Person), CompareNumbers);
}

static Person *
NextOfPeople(void *arg)
{
	People	   *all = arg;

	return all->at < all->n ? &all->people[all->at++] : NULL;
}

typedef struct StoredPeople
{
	StoredPerson *people;
	int			n;
	int			at;
} StoredPeople;

static void
ReadStored(int source_id, const int64 *ids, int n, StoredPeople *stored)
{
	static SPIPlanPtr kept = NULL;
	Oid			types[2] = {INT4OID, INT8ARRAYOID};
	Datum		values[2] = {Int32GetDatum(source_id), IdArray(ids, n)};
	int			level = PlanByIndexBegin();

	SpiRunPlan(SpiKeep(&kept,
					   "SELECT customer_id, digest FROM custseg.profile_attribute"
					   " WHERE source_id = $1 AND customer_id = ANY ($2) ORDER BY customer_id", 2, types), values, NULL);
	PlanByIndexEnd(level);
	stored->n = SPI_processed;
	stored->people = palloc0(Max(stored->n, 1) * sizeof(StoredPerson));
	for (int i = 0; i < stored->n; i++)
	{
		stored->people[i].customer_id = SpiInt64(i, 1, 0);
		stored->people[i].digest = SpiInt64(i, 2, 0);
	}
	SPI_freetuptable(SPI_tuptable);
}

static const StoredPerson *
NextOfStored(void *arg)
{
	StoredPeople *stored = arg;

	return stored->at < stored->n ? &stored->people[stored->at++] : NULL;
}

static void
ToPeople(const Person *person, void *arg)
{
	People	   *differences = arg;

	differences->people[differences->n++] = *person;
}

static void
LeaveDifferences(int source_id, const int64 *ids, int n, People *all)
{
	StoredPeople stored = {0};
	People		differences = {0};
	PeopleWalkAlong walk = {
		.row = AllocSetContextCreate(CurrentMemoryContext, "custseg person", ALLOCSET_DEFAULT_SIZES),
		.next = NextOfPeople,.from = all,.stored = NextOfStored,.beside = &stored,
		.differs = ToPeople,.to = &differences
	};

	ReadStored(source_id, ids, n, &stored);
	differences.people = palloc_extended((all->n + stored.n + 1) * sizeof(Person), MCXT_ALLOC_HUGE);
	PeopleWalk(&walk);
	MemoryContextDelete(walk.row);
	*all = differences;
}

Person *
PeopleReadSome(Source *source, const char *time_zone, char **keys, const int64 *ids, int n, bool differences,
			   CollectCounts *counts, int *n_people)
{
	PeopleReader *reader = PeopleReaderBegin(source, time_zone, SOME_KILOBYTES);
	Oid			type;
	Datum		array = KeyArray(source, n, keys, &type);
	People		all = {0};

	SourceReadCustomers(source, type, array, PeopleReceiver(reader));
	PeopleSort(reader);
	GatherPeople(source, reader, keys, ids, n, &all);
	*counts = *PeopleCounts(reader);
	PeopleReaderEnd(reader);
	if (differences)
		LeaveDifferences(source->source_id, ids, n, &all);
	*n_people = all.n;
	return all.people;
}
