/*
 * people_write.c
 *		What sources say of people, written where it differs.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "common/bulk.h"
#include "common/changes.h"
#include "common/ids.h"
#include "common/spi.h"
#include "common/stream.h"
#include "facts/people_compare.h"
#include "person/forgotten.h"

static Datum
JsonDatum(const char *json)
{
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(json));
}

static void
InsertPeople(const Source *source, const Person *people, int n)
{
	BulkWriter *writer = NULL;

	for (int i = 0; i < n; i++)
	{
		const Person *person = &people[i];
		Datum		values[5];
		bool		nulls[5] = {false};

		if (person->stored || person->attributes == NULL)
			continue;
		if (writer == NULL)
			writer = BulkOpen(OwnRelation("profile_attribute"), lengthof(values));
		values[0] = Int64GetDatum(person->customer_id);
		values[1] = Int32GetDatum(source->source_id);
		values[2] = DateADTGetDatum(person->registered_on);
		nulls[2] = person->registered_on == DATEVAL_NOBEGIN;
		values[3] = Int64GetDatum(person->digest);
		values[4] = JsonDatum(person->attributes);
		BulkPut(writer, values, nulls);
		pfree(DatumGetPointer(values[4]));
	}
	if (writer)
		BulkClose(writer);
}

static void
UpdatePeople(const Source *source, const Person *people, int n)
{
	static SPIPlanPtr kept = NULL;
	Changes		changes = {.ncolumns = 4,.columns = {{INT8OID}, {DATEOID}, {INT8OID}, {JSONBOID}}};
	Oid			types[1] = {INT4OID};
	Datum		more[1] = {Int32GetDatum(source->source_id)};

	for (int i = 0; i < n; i++)
	{
		const Person *person = &people[i];
		Datum		values[4];
		bool		nulls[4] = {false};

		if (!person->stored || person->attributes == NULL)
			continue;
		values[0] = Int64GetDatum(person->customer_id);
		values[1] = DateADTGetDatum(person->registered_on);
		nulls[1] = person->registered_on == DATEVAL_NOBEGIN;
		values[2] = Int64GetDatum(person->digest);
		values[3] = JsonDatum(person->attributes);
		AddChange(&changes, values, nulls);
	}
	if (changes.n > 0 &&
		WriteChanges(&kept,
					 "UPDATE custseg.profile_attribute a"
					 " SET registered_on = n.registered_on, digest = n.digest, attributes = n.attributes"
					 " FROM unnest($1, $2, $3, $4) n (customer_id, registered_on, digest, attributes)"
					 " WHERE a.customer_id = n.customer_id AND a.source_id = $5",
					 &changes, 1, types, more) != changes.n && !ForgettingGoesOn())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("rows of custseg.profile_attribute vanished while it was refreshed"),
				 errhint("Only a refresh should write there. Refresh again.")));
}

static void
DeletePeople(const Source *source, const Person *people, int n)
{
	static SPIPlanPtr kept = NULL;
	Oid			types[2] = {INT8ARRAYOID, INT4OID};
	Datum		values[2];
	int64	   *ids = palloc_extended(Max(n, 1) * sizeof(int64), MCXT_ALLOC_HUGE);
	int			gone = 0;

	for (int i = 0; i < n; i++)
		if (people[i].attributes == NULL)
			ids[gone++] = people[i].customer_id;
	if (gone == 0)
		return;
	values[0] = IdArray(ids, gone);
	values[1] = Int32GetDatum(source->source_id);
	SpiRunPlan(SpiKeep(&kept, "DELETE FROM custseg.profile_attribute WHERE customer_id = ANY ($1) AND source_id = $2",
					   2, types), values, NULL);
}

/* Those of whom rows say different things. */
static void
WriteConflicts(const Source *source, const Person *people, int n)
{
	static SPIPlanPtr remove = NULL;
	static SPIPlanPtr insert = NULL;
	Changes		changes = {.ncolumns = 3,.columns = {{INT8OID}, {INT8OID}, {JSONBOID}}};
	Oid			types[2] = {INT8ARRAYOID, INT4OID};
	Datum		values[2];
	int64	   *ids = palloc_extended(Max(n, 1) * sizeof(int64), MCXT_ALLOC_HUGE);
	int			stored = 0;

	for (int i = 0; i < n; i++)
	{
		const Person *person = &people[i];
		Datum		columns[3];
		bool		nulls[3] = {false};

		if (person->stored)
			ids[stored++] = person->customer_id;
		if (person->others == NULL)
			continue;
		columns[0] = Int64GetDatum(person->customer_id);
		columns[1] = Int64GetDatum(person->other_rows);
		columns[2] = JsonDatum(person->others);
		AddChange(&changes, columns, nulls);
	}
	values[0] = IdArray(ids, stored);
	values[1] = Int32GetDatum(source->source_id);
	if (stored > 0)
		SpiRunPlan(SpiKeep(&remove, "DELETE FROM custseg.attribute_conflict WHERE customer_id = ANY ($1) AND source_id = $2",
						   2, types), values, NULL);
	if (changes.n > 0)
		(void) WriteChanges(&insert,
							"INSERT INTO custseg.attribute_conflict (customer_id, source_id, other_rows, others)"
							" SELECT n.customer_id, $4, n.other_rows, n.others"
							" FROM unnest($1, $2, $3) n (customer_id, other_rows, others)",
							&changes, 1, &types[1], &values[1]);
}

void
PeopleWrite(const Source *source, const Person *people, int n)
{
	int			level = PlanByIndexBegin();

	DeletePeople(source, people, n);
	UpdatePeople(source, people, n);
	InsertPeople(source, people, n);
	WriteConflicts(source, people, n);
	PlanByIndexEnd(level);
}
