/*
 * people.c
 *		From the rows of a source of people to one of each customer.
 *
 * A shop's customer table should have a row a customer. Often it is a view, a
 * load that ran twice, or the invoices, and then has several. The latest row
 * wins, by the moment of registration, and of equal ones that whose values come
 * first as bytes, so that the order of the rows does not matter. What the others
 * say otherwise is kept beside, for somebody to look at.
 *
 * Rows are sorted by customer, on disk where memory is short. What comes out is
 * in the order of what is stored, so that comparing both is one walk.
 *
 * Foreign code runs in a subtransaction of its own, while rows come. What the
 * sort opens belongs to ours.
 */
#include "postgres.h"

#include "access/tupdesc.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"
#include "utils/tuplesort.h"
#include "utils/uuid.h"

#include "common/compat.h"
#include "facts/attribute.h"
#include "facts/people.h"
#include "person/forgotten.h"
#include "source/read.h"
#include "timeline/day.h"

#define OTHERS			20		/* that are kept of a customer */
#define NOT_REGISTERED	PG_INT64_MAX	/* sorted last */

/* What is sorted. */
enum
{
	SORT_CUSTOMER = 1,			/* a bigint, or a text */
	SORT_AGE,					/* the moment of registration, counted backwards */
	SORT_VALUES,
};
#define SORT_COLUMNS SORT_VALUES

typedef struct PeopleDest
{
	DestReceiver pub;
	struct PeopleReader *reader;
} PeopleDest;

/* A row that lost to another. */
typedef struct Other
{
	char	   *values;
	int			len;
} Other;

struct PeopleReader
{
	PeopleDest	dest;
	MemoryContext context;
	MemoryContext samples;		/* of rejected rows, which outlive the reader */
	MemoryContext row;			/* of the row being received */
	MemoryContext customer;		/* of the customer being put together */
	ResourceOwner owner;
	const Source *source;
	bool		native;
	int			registered_at;	/* its column, -1: none */
	int			first_attribute;
	DayMapper  *days;
	uint64		seed;
	CollectCounts counts;
	PeopleOddities odd;

	Tuplesortstate *sort;
	TupleTableSlot *in;
	TupleTableSlot *out;
	bool		more;			/* "out" has a row that was not looked at yet */
	bool		knows_forgotten;
	Forgotten  *forgotten;		/* NULL: nobody */

	/* The customer that was handed out last. */
	Person		person;
	StringInfoData values;
	Other		others[OTHERS];
	int			n_others;
};

static void
BeginSort(PeopleReader *reader, int kilobytes)
{
	TupleDesc	desc = CreateTemplateTupleDesc(SORT_COLUMNS);
	AttrNumber	columns[SORT_COLUMNS] = {SORT_CUSTOMER, SORT_AGE, SORT_VALUES};
	Oid			operators[SORT_COLUMNS] = {reader->native ? Int8LessOperator : TextLessOperator, Int8LessOperator, ByteaLessOperator};
	Oid			collations[SORT_COLUMNS] = {reader->native ? InvalidOid : C_COLLATION_OID, InvalidOid, InvalidOid};
	bool		nulls_first[SORT_COLUMNS] = {false};

	TupleDescInitEntry(desc, SORT_CUSTOMER, "customer", reader->native ? INT8OID : TEXTOID, -1, 0);
	TupleDescInitEntry(desc, SORT_AGE, "age", INT8OID, -1, 0);
	TupleDescInitEntry(desc, SORT_VALUES, "values", BYTEAOID, -1, 0);
	TupleDescFinalize(desc);
	reader->in = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);
	reader->out = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	reader->sort = tuplesort_begin_heap(desc, SORT_COLUMNS, columns, operators, collations, nulls_first,
										Max(kilobytes, 64), NULL, TUPLESORT_NONE);
}

PeopleReader *
PeopleReaderBegin(const Source *source, const char *time_zone, int kilobytes)
{
	MemoryContext own = AllocSetContextCreate(CurrentMemoryContext, "custseg people", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(own);
	PeopleReader *reader = palloc0(sizeof(PeopleReader));

	reader->context = own;
	reader->samples = old;
	reader->row = AllocSetContextCreate(own, "custseg people row", ALLOCSET_DEFAULT_SIZES);
	reader->customer = AllocSetContextCreate(own, "custseg people customer", ALLOCSET_DEFAULT_SIZES);
	reader->owner = CurrentResourceOwner;
	reader->source = source;
	reader->native = source->key_kind == KEY_NATIVE;
	reader->registered_at = source->column[COLUMN_REGISTERED_AT] ? READ_REGISTERED_AT : -1;
	reader->first_attribute = reader->registered_at < 0 ? READ_REGISTERED_AT : READ_REGISTERED_AT + 1;
	reader->days = DayMapperCreate(time_zone);
	reader->seed = AttributesSeed(source);
	reader->counts.processes = 1;
	reader->counts.ahead = DATEVAL_NOEND;
	initStringInfo(&reader->values);
	BeginSort(reader, kilobytes);
	MemoryContextSwitchTo(old);
	return reader;
}

void
PeopleReaderEnd(PeopleReader *reader)
{
	tuplesort_end(reader->sort);
	ExecDropSingleTupleTableSlot(reader->in);
	ExecDropSingleTupleTableSlot(reader->out);
	MemoryContextDelete(reader->context);
}

const CollectCounts *
PeopleCounts(const PeopleReader *reader)
{
	return &reader->counts;
}

const PeopleOddities *
PeopleOdd(const PeopleReader *reader)
{
	return &reader->odd;
}

/* ----------------------------------------------------------- receiving */

static void
RejectPerson(PeopleReader *reader, TupleTableSlot *slot, RejectReason reason)
{
	int64		n = reader->counts.rejected[reason]++;
	MemoryContext old;

	if (n >= REJECT_SAMPLES)
		return;
	old = MemoryContextSwitchTo(reader->samples);
	reader->counts.samples[reason][n].customer = ShownValue(slot, READ_CUSTOMER);
	MemoryContextSwitchTo(old);
}

static int64
NumberOf(Oid type, Datum value)
{
	return type == INT2OID ? DatumGetInt16(value) : type == INT4OID ? DatumGetInt32(value) : DatumGetInt64(value);
}

/* The customer as it is sorted; false, and the row is rejected, where it cannot be one. */
static bool
TakeCustomer(PeopleReader *reader, TupleTableSlot *slot, Datum *customer)
{
	Datum		value = slot->tts_values[READ_CUSTOMER];
	KeyKind		kind = reader->source->key_kind;

	if (slot->tts_isnull[READ_CUSTOMER])
		return RejectPerson(reader, slot, REJECT_NO_CUSTOMER), false;
	if (kind == KEY_NATIVE || kind == KEY_NUMBER)
	{
		int64		number = NumberOf(reader->source->type[COLUMN_CUSTOMER], value);

		if (number <= 0)
			return RejectPerson(reader, slot, REJECT_CUSTOMER_ID), false;
		*customer = kind == KEY_NATIVE ? Int64GetDatum(number) : CStringGetTextDatum(psprintf(INT64_FORMAT, number));
	}
	else if (kind == KEY_UUID)
		*customer = CStringGetTextDatum(DatumGetCString(DirectFunctionCall1(uuid_out, value)));
	else
	{
		text	   *key = DatumGetTextPP(value);
		int			len = VARSIZE_ANY_EXHDR(key);

		if (len == 0 || len > KEY_MAX_LENGTH)
			return RejectPerson(reader, slot, len == 0 ? REJECT_NO_CUSTOMER : REJECT_KEY_LENGTH), false;
		*customer = PointerGetDatum(key);
	}
	return true;
}

/* The day of a moment of registration; false where it has none. */
static bool
DayRegistered(const PeopleReader *reader, int64 at, DateADT *day)
{
	switch (reader->source->type[COLUMN_REGISTERED_AT])
	{
		case TIMESTAMPTZOID:
			return DayMapperDay(reader->days, at, day);
		case TIMESTAMPOID:
			return DayOfTimestamp(at, day);
		default:
			return DayOfDate((DateADT) at, day);
	}
}

/* Counted backwards: days where the column has days, else microseconds. */
static int64
TakeAge(PeopleReader *reader, TupleTableSlot *slot)
{
	Datum		value;
	int64		at;
	DateADT		day;

	if (reader->registered_at < 0)
		return NOT_REGISTERED;
	value = slot->tts_values[reader->registered_at];
	if (!slot->tts_isnull[reader->registered_at])
	{
		at = reader->source->type[COLUMN_REGISTERED_AT] == DATEOID ? DatumGetDateADT(value) : DatumGetTimestamp(value);
		if (DayRegistered(reader, at, &day))
			return -at;
	}
	reader->odd.unregistered++;
	return NOT_REGISTERED;
}

static bool
ReceivePerson(TupleTableSlot *slot, DestReceiver *self)
{
	PeopleReader *reader = ((PeopleDest *) self)->reader;
	MemoryContext old = MemoryContextSwitchTo(reader->row);
	ResourceOwner owner = CurrentResourceOwner;
	TupleTableSlot *in = reader->in;
	Datum		customer;
	StringInfoData packed;

	slot_getallattrs(slot);
	reader->counts.rows++;
	if (TakeCustomer(reader, slot, &customer))
	{
		initStringInfo(&packed);
		appendStringInfoSpaces(&packed, VARHDRSZ);
		reader->odd.too_long += AttributesPack(reader->source, slot, reader->first_attribute, &packed);
		SET_VARSIZE(packed.data, packed.len);

		ExecClearTuple(in);
		in->tts_values[SORT_CUSTOMER - 1] = customer;
		in->tts_values[SORT_AGE - 1] = Int64GetDatum(TakeAge(reader, slot));
		in->tts_values[SORT_VALUES - 1] = PointerGetDatum(packed.data);
		memset(in->tts_isnull, 0, SORT_COLUMNS * sizeof(bool));
		ExecStoreVirtualTuple(in);
		CurrentResourceOwner = reader->owner;
		tuplesort_puttupleslot(reader->sort, in);
		CurrentResourceOwner = owner;
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(reader->row);
	return true;
}

/* Rows are taken by the types that the mapping found. */
static void
Startup(DestReceiver *self, int operation, TupleDesc desc)
{
	PeopleReader *reader = ((PeopleDest *) self)->reader;
	const Source *source = reader->source;
	bool		same = desc->natts == reader->first_attribute + source->n_attributes;

	for (int i = 0; same && i < desc->natts; i++)
	{
		Oid			expected = i == READ_CUSTOMER ? source->type[COLUMN_CUSTOMER] :
			i == reader->registered_at ? source->type[COLUMN_REGISTERED_AT] :
			source->attributes[i - reader->first_attribute].type;

		same = getBaseType(TupleDescAttr(desc, i)->atttypid) == expected;
	}
	if (!same)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the columns of %s changed while it was about to be read", SourceRelation(source)),
				 errhint("Refresh again.")));
}

static void
Shutdown(DestReceiver *self)
{
}

DestReceiver *
PeopleReceiver(PeopleReader *reader)
{
	PeopleDest *dest = &reader->dest;

	dest->pub.receiveSlot = ReceivePerson;
	dest->pub.rStartup = Startup;
	dest->pub.rShutdown = Shutdown;
	dest->pub.rDestroy = Shutdown;
	dest->pub.mydest = DestNone;
	dest->reader = reader;
	return &dest->pub;
}

/* ---------------------------------------------------------- handing out */

static bool
NextRow(PeopleReader *reader)
{
	CHECK_FOR_INTERRUPTS();
	reader->more = tuplesort_gettupleslot(reader->sort, true, false, reader->out, NULL);
	if (reader->more)
		slot_getallattrs(reader->out);
	return reader->more;
}

void
PeopleSort(PeopleReader *reader)
{
	tuplesort_performsort(reader->sort);
	NextRow(reader);
}

static inline Datum
OutColumn(PeopleReader *reader, int column)
{
	return reader->out->tts_values[column - 1];
}

static bool
IsSameCustomer(PeopleReader *reader)
{
	Datum		customer = OutColumn(reader, SORT_CUSTOMER);
	text	   *key;

	if (reader->native)
		return DatumGetInt64(customer) == reader->person.customer_id;
	key = DatumGetTextPP(customer);
	return strlen(reader->person.key) == VARSIZE_ANY_EXHDR(key) &&
		memcmp(reader->person.key, VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key)) == 0;
}

static bool
SameValues(const char *a, int len_a, const char *b, int len_b)
{
	return len_a == len_b && memcmp(a, b, len_a) == 0;
}

/* The row that wins: the first. */
static void
TakeWinner(PeopleReader *reader)
{
	Person	   *person = &reader->person;
	int64		age = DatumGetInt64(OutColumn(reader, SORT_AGE));
	struct varlena *values = (struct varlena *) DatumGetPointer(OutColumn(reader, SORT_VALUES));

	memset(person, 0, sizeof(*person));
	if (reader->native)
		person->customer_id = DatumGetInt64(OutColumn(reader, SORT_CUSTOMER));
	else
		person->key = TextDatumGetCString(OutColumn(reader, SORT_CUSTOMER));
	if (age == NOT_REGISTERED || !DayRegistered(reader, -age, &person->registered_on))
		person->registered_on = DATEVAL_NOBEGIN;
	resetStringInfo(&reader->values);
	appendBinaryStringInfo(&reader->values, VARDATA_ANY(values), VARSIZE_ANY_EXHDR(values));
	person->digest = AttributesHash(reader->values.data, reader->values.len, reader->seed);
	person->digest = hash_combine64(person->digest, (uint32) person->registered_on);
	reader->n_others = 0;
}

/* Another row of the same customer. */
static void
TakeOther(PeopleReader *reader)
{
	Person	   *person = &reader->person;
	struct varlena *values = (struct varlena *) DatumGetPointer(OutColumn(reader, SORT_VALUES));
	const char *bytes = VARDATA_ANY(values);
	int			len = VARSIZE_ANY_EXHDR(values);
	Other	   *other;

	if (SameValues(reader->values.data, reader->values.len, bytes, len))
		return;
	person->other_rows++;
	for (int i = 0; i < reader->n_others; i++)
		if (SameValues(reader->others[i].values, reader->others[i].len, bytes, len))
			return;
	if (reader->n_others == OTHERS)
		return;
	other = &reader->others[reader->n_others++];
	other->values = palloc(Max(len, 1));
	other->len = len;
	memcpy(other->values, bytes, len);
	person->digest = hash_combine64(person->digest, AttributesHash(bytes, len, reader->seed));
}

Person *
PeopleNext(PeopleReader *reader)
{
	MemoryContext old;

	if (!reader->more)
		return NULL;
	MemoryContextReset(reader->customer);
	old = MemoryContextSwitchTo(reader->customer);
	TakeWinner(reader);
	reader->person.rows = 1;
	while (NextRow(reader) && IsSameCustomer(reader))
	{
		reader->person.rows++;
		TakeOther(reader);
	}
	if (reader->person.other_rows > 0)
		reader->person.digest = hash_combine64(reader->person.digest, reader->person.other_rows);
	reader->counts.customers++;
	MemoryContextSwitchTo(old);
	return &reader->person;
}

bool
PersonIsForgotten(PeopleReader *reader, const Person *person)
{
	if (!reader->knows_forgotten)
		reader->forgotten = ForgottenRead(reader->context);
	reader->knows_forgotten = true;
	if (reader->forgotten == NULL ||
		!(person->key ? IsForgotten(reader->forgotten, reader->source->namespace, person->key) :
		  IsNumberForgotten(reader->forgotten, person->customer_id)))
		return false;
	reader->counts.rows -= person->rows;
	reader->counts.forgotten += person->rows;
	reader->counts.customers--;
	return true;
}

void
PersonShow(PeopleReader *reader, Person *person)
{
	StringInfoData others;

	person->attributes = AttributesJson(reader->source, reader->values.data, reader->values.len);
	if (reader->n_others == 0)
		return;
	initStringInfo(&others);
	for (int i = 0; i < reader->n_others; i++)
		appendStringInfo(&others, "%s%s", i == 0 ? "[" : ", ",
						 AttributesJson(reader->source, reader->others[i].values, reader->others[i].len));
	appendStringInfoChar(&others, ']');
	person->others = others.data;
}
