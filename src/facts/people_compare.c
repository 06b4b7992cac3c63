/*
 * people_compare.c
 *		What a whole source says of people, beside what is stored of them.
 *
 * Both come in the order of the customers' numbers. Where keys are not numbers, the
 * people come in the order of their keys, get the numbers of custseg.identity in
 * a first walk, and are sorted anew.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/tuplesort.h"
#include "utils/tuplestore.h"

#include "common/bulk.h"
#include "common/compat.h"
#include "common/settings.h"
#include "common/spi.h"
#include "facts/people_compare.h"
#include "facts/people_walk.h"
#include "person/identity.h"
#include "source/read.h"

#define FETCH_KEYS		10000

/* Columns of custseg.profile_attribute. */
enum
{
	STORED_CUSTOMER_ID = 1,
	STORED_SOURCE_ID,
	STORED_REGISTERED_ON,
	STORED_DIGEST,
	STORED_ATTRIBUTES,
};

/* A person as a row of ours. */
enum
{
	SPOOL_CUSTOMER_ID,
	SPOOL_KEY,
	SPOOL_REGISTERED_ON,
	SPOOL_DIGEST,
	SPOOL_ATTRIBUTES,
	SPOOL_OTHER_ROWS,
	SPOOL_OTHERS,
	SPOOL_STORED,
	SPOOL_COLUMNS
};

struct PeopleSpool
{
	MemoryContext context;
	TupleDesc	desc;
	TupleTableSlot *slot;
	Tuplestorestate *store;
	CollectCounts counts;
	PeopleOddities odd;
};

/* ------------------------------------------------------------- a person's row */

static TupleDesc
SpoolColumns(void)
{
	static const Oid types[SPOOL_COLUMNS] = {INT8OID, TEXTOID, INT4OID, INT8OID, TEXTOID, INT8OID, TEXTOID, BOOLOID};
	TupleDesc	desc = CreateTemplateTupleDesc(SPOOL_COLUMNS);

	for (int i = 0; i < SPOOL_COLUMNS; i++)
		TupleDescInitEntry(desc, i + 1, NULL, types[i], -1, 0);
	TupleDescFinalize(desc);
	return desc;
}

static void
PutColumnText(Datum *values, bool *nulls, int column, const char *text)
{
	nulls[column] = text == NULL;
	values[column] = text ? CStringGetTextDatum(text) : (Datum) 0;
}

static void
PersonToColumns(const Person *person, Datum *values, bool *nulls)
{
	memset(nulls, 0, SPOOL_COLUMNS * sizeof(bool));
	values[SPOOL_CUSTOMER_ID] = Int64GetDatum(person->customer_id);
	PutColumnText(values, nulls, SPOOL_KEY, person->key);
	values[SPOOL_REGISTERED_ON] = Int32GetDatum(person->registered_on);
	values[SPOOL_DIGEST] = Int64GetDatum(person->digest);
	PutColumnText(values, nulls, SPOOL_ATTRIBUTES, person->attributes);
	values[SPOOL_OTHER_ROWS] = Int64GetDatum(person->other_rows);
	PutColumnText(values, nulls, SPOOL_OTHERS, person->others);
	values[SPOOL_STORED] = BoolGetDatum(person->stored);
}

static char *
ColumnText(TupleTableSlot *slot, int column)
{
	return slot->tts_isnull[column] ? NULL : TextDatumGetCString(slot->tts_values[column]);
}

static void
PersonFromColumns(TupleTableSlot *slot, Person *person)
{
	slot_getallattrs(slot);
	person->customer_id = DatumGetInt64(slot->tts_values[SPOOL_CUSTOMER_ID]);
	person->key = ColumnText(slot, SPOOL_KEY);
	person->registered_on = DatumGetInt32(slot->tts_values[SPOOL_REGISTERED_ON]);
	person->digest = DatumGetInt64(slot->tts_values[SPOOL_DIGEST]);
	person->attributes = ColumnText(slot, SPOOL_ATTRIBUTES);
	person->other_rows = DatumGetInt64(slot->tts_values[SPOOL_OTHER_ROWS]);
	person->others = ColumnText(slot, SPOOL_OTHERS);
	person->stored = DatumGetBool(slot->tts_values[SPOOL_STORED]);
}

/* ------------------------------------------------- a whole source: stored */

/* All that is stored of a source, by an ordered scan without a plan. */
typedef struct StoredScan
{
	int			source_id;
	Relation	rel;
	Relation	index;
	SysScanDesc scan;
	StoredPerson person;
} StoredScan;

static void
StoredScanBegin(StoredScan *stored, int source_id)
{
	stored->source_id = source_id;
	stored->rel = table_open(OwnRelation("profile_attribute"), AccessShareLock);
	stored->index = index_open(OwnRelation("profile_attribute_pkey"), AccessShareLock);
	PushActiveSnapshot(GetTransactionSnapshot());
	stored->scan = systable_beginscan_ordered(stored->rel, stored->index, GetActiveSnapshot(), 0, NULL);
}

static void
StoredScanEnd(StoredScan *stored)
{
	systable_endscan_ordered(stored->scan);
	PopActiveSnapshot();
	index_close(stored->index, NoLock);
	table_close(stored->rel, NoLock);
}

static const StoredPerson *
NextStored(void *arg)
{
	StoredScan *stored = arg;
	StoredPerson *person = &stored->person;
	TupleDesc	desc = RelationGetDescr(stored->rel);
	HeapTuple	tuple;
	bool		isnull;

	while ((tuple = systable_getnext_ordered(stored->scan, ForwardScanDirection)) != NULL)
	{
		if (DatumGetInt32(heap_getattr(tuple, STORED_SOURCE_ID, desc, &isnull)) != stored->source_id)
			continue;
		person->customer_id = DatumGetInt64(heap_getattr(tuple, STORED_CUSTOMER_ID, desc, &isnull));
		person->registered_on = DatumGetDateADT(heap_getattr(tuple, STORED_REGISTERED_ON, desc, &isnull));
		if (isnull)
			person->registered_on = DATEVAL_NOBEGIN;
		person->digest = DatumGetInt64(heap_getattr(tuple, STORED_DIGEST, desc, &isnull));
		person->attributes = heap_getattr(tuple, STORED_ATTRIBUTES, desc, &isnull);
		return person;
	}
	return NULL;
}

/* -------------------------------------------- keys that are not numbers */

/* The numbers of a namespace, by key. */
typedef struct Numbers
{
	Portal		cursor;
	SPITupleTable *table;
	uint64		n;
	uint64		at;
} Numbers;

static void
NumbersBegin(Numbers *numbers, const char *namespace)
{
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(namespace)};

	memset(numbers, 0, sizeof(*numbers));
	numbers->cursor = SPI_cursor_open_with_args(NULL,
												"SELECT key, customer_id FROM custseg.identity WHERE namespace = $1 ORDER BY key",
												1, types, values, NULL, true, 0);
}

/* The next of them in "row", or false. */
static bool
NumbersFetch(Numbers *numbers)
{
	MemoryContext old;

	if (numbers->at < numbers->n)
		return true;
	old = CurrentMemoryContext;
	if (numbers->table)
		SPI_freetuptable(numbers->table);
	SPI_cursor_fetch(numbers->cursor, true, FETCH_KEYS);
	MemoryContextSwitchTo(old);
	numbers->table = SPI_tuptable;
	numbers->n = SPI_processed;
	numbers->at = 0;
	return numbers->n > 0;
}

/* The number of a key, 0 without one; keys are asked for in their order. */
static int64
NumberOf(Numbers *numbers, const char *key)
{
	for (; NumbersFetch(numbers); numbers->at++)
	{
		HeapTuple	row = numbers->table->vals[numbers->at];
		bool		isnull;
		text	   *known = DatumGetTextPP(SPI_getbinval(row, numbers->table->tupdesc, 1, &isnull));
		int			len = VARSIZE_ANY_EXHDR(known);
		int			key_len = strlen(key);
		int			compared = memcmp(VARDATA_ANY(known), key, Min(len, key_len));

		if (compared == 0)
			compared = (len > key_len) - (len < key_len);
		if (compared == 0)
			return DatumGetInt64(SPI_getbinval(row, numbers->table->tupdesc, 2, &isnull));
		if (compared > 0)
			break;
	}
	return 0;
}

static void
NumbersEnd(Numbers *numbers)
{
	if (numbers->table)
		SPI_freetuptable(numbers->table);
	SPI_cursor_close(numbers->cursor);
}

/* People by number, those without one last. */
typedef struct ByNumber
{
	Tuplesortstate *sort;
	TupleTableSlot *slot;
	Person		person;
	MemoryContext row;
} ByNumber;

static void
SortByNumber(ByNumber *by_number, PeopleReader *reader, const char *namespace, int kilobytes)
{
	TupleDesc	desc = SpoolColumns();
	AttrNumber	columns[2] = {SPOOL_CUSTOMER_ID + 1, SPOOL_KEY + 1};
	Oid			operators[2] = {Int8LessOperator, TextLessOperator};
	Oid			collations[2] = {InvalidOid, C_COLLATION_OID};
	bool		nulls_first[2] = {false};
	TupleTableSlot *in = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);
	Numbers		numbers;
	Person	   *person;

	by_number->slot = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	by_number->sort = tuplesort_begin_heap(desc, 2, columns, operators, collations, nulls_first,
										   Max(kilobytes, 64), NULL, TUPLESORT_NONE);
	NumbersBegin(&numbers, namespace);
	while ((person = PeopleNext(reader)) != NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(by_number->row);

		person->customer_id = NumberOf(&numbers, person->key);
		if (person->customer_id != 0 || !PersonIsForgotten(reader, person))
		{
			PersonShow(reader, person);
			ExecClearTuple(in);
			PersonToColumns(person, in->tts_values, in->tts_isnull);
			ExecStoreVirtualTuple(in);
			tuplesort_puttupleslot(by_number->sort, in);
		}
		MemoryContextSwitchTo(old);
		MemoryContextReset(by_number->row);
	}
	NumbersEnd(&numbers);
	ExecDropSingleTupleTableSlot(in);
	tuplesort_performsort(by_number->sort);
}

static Person *
NextByNumber(void *arg)
{
	ByNumber   *by_number = arg;
	MemoryContext old;

	if (!tuplesort_gettupleslot(by_number->sort, true, false, by_number->slot, NULL))
		return NULL;
	MemoryContextReset(by_number->row);
	old = MemoryContextSwitchTo(by_number->row);
	PersonFromColumns(by_number->slot, &by_number->person);
	MemoryContextSwitchTo(old);
	return &by_number->person;
}

/* ---------------------------------------------------------- a whole source */

static Person *
NextOfReader(void *reader)
{
	return PeopleNext(reader);
}

static void
ToSpool(const Person *person, void *arg)
{
	PeopleSpool *spool = arg;
	Datum		values[SPOOL_COLUMNS];
	bool		nulls[SPOOL_COLUMNS];

	PersonToColumns(person, values, nulls);
	tuplestore_putvalues(spool->store, spool->desc, values, nulls);
}

PeopleSpool *
PeopleSpoolCreate(MemoryContext context)
{
	MemoryContext own = AllocSetContextCreate(context, "custseg people that differ", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(own);
	PeopleSpool *spool = palloc0(sizeof(PeopleSpool));

	spool->context = own;
	spool->desc = SpoolColumns();
	spool->slot = MakeSingleTupleTableSlot(spool->desc, &TTSOpsMinimalTuple);
	spool->store = tuplestore_begin_heap(false, true, Max(custseg_work_mem / 4, 64));
	MemoryContextSwitchTo(old);
	return spool;
}

void
PeopleSpoolRead(PeopleSpool *spool, Source *source, const char *time_zone, bool full)
{
	int			kilobytes = custseg_work_mem / (source->key_kind == KEY_NATIVE ? 2 : 4);
	MemoryContext old = MemoryContextSwitchTo(spool->context);
	PeopleReader *reader = PeopleReaderBegin(source, time_zone, kilobytes);
	MemoryContext row = AllocSetContextCreate(spool->context, "custseg person", ALLOCSET_DEFAULT_SIZES);
	ByNumber	by_number = {0};
	StoredScan	stored = {0};
	PeopleWalkAlong walk = {reader, row, full, NextOfReader, reader, NextStored, &stored, ToSpool, spool};

	MemoryContextSwitchTo(old);
	SourceRead(source, PeopleReceiver(reader));
	MemoryContextSwitchTo(spool->context);
	PeopleSort(reader);
	if (source->key_kind != KEY_NATIVE)
	{
		by_number.row = AllocSetContextCreate(spool->context, "custseg person by number", ALLOCSET_DEFAULT_SIZES);
		SortByNumber(&by_number, reader, source->namespace, kilobytes);
		walk.next = NextByNumber;
		walk.from = &by_number;
	}
	StoredScanBegin(&stored, source->source_id);
	PeopleWalk(&walk);
	StoredScanEnd(&stored);

	if (by_number.sort)
	{
		tuplesort_end(by_number.sort);
		ExecDropSingleTupleTableSlot(by_number.slot);
	}
	spool->counts = *PeopleCounts(reader);
	spool->odd = *PeopleOdd(reader);
	PeopleReaderEnd(reader);
	MemoryContextDelete(row);
	tuplestore_rescan(spool->store);
	MemoryContextSwitchTo(old);
}

int
PeopleSpoolNext(PeopleSpool *spool, int most, Person **people)
{
	int			n = 0;

	*people = palloc_extended(most * sizeof(Person), MCXT_ALLOC_HUGE);
	while (n < most && tuplestore_gettupleslot(spool->store, true, false, spool->slot))
		PersonFromColumns(spool->slot, &(*people)[n++]);
	ExecClearTuple(spool->slot);	/* what it has is of the caller's memory */
	return n;
}

const CollectCounts *
PeopleSpoolCounts(const PeopleSpool *spool)
{
	return &spool->counts;
}

const PeopleOddities *
PeopleSpoolOdd(const PeopleSpool *spool)
{
	return &spool->odd;
}

void
PeopleSpoolClose(PeopleSpool *spool)
{
	ExecDropSingleTupleTableSlot(spool->slot);
	tuplestore_end(spool->store);
	MemoryContextDelete(spool->context);
}
