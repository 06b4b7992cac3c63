/*
 * favourite.c
 *		What customers bought most often, from the lines of their orders.
 *
 * The timelines of lines know what was a bargain and what a bestseller, and not
 * which product it was. Who writes to a few customers wants that, and reads it
 * when it is asked for. Nothing is stored.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/tuplestore.h"

#include "common/attempt.h"
#include "common/guard.h"
#include "common/ids.h"
#include "common/spi.h"
#include "common/stream.h"
#include "person/identity.h"
#include "person/person.h"
#include "profile/status.h"
#include "source/follow.h"
#include "source/keys.h"
#include "source/read.h"

PG_FUNCTION_INFO_V1(custseg_favourite_products);

#define LONGEST_WAIT	1000	/* ms, for a lock */
#define MOST_ASKED		1000	/* customers */
#define MOST_PRODUCTS	100		/* of each */

/* What was bought, a line each, as arrays of a statement. */
enum
{
	BOUGHT_CUSTOMER,
	BOUGHT_SOURCE,
	BOUGHT_PRODUCT,
	BOUGHT_QUANTITY,
	BOUGHT_PRICE,
	BOUGHT_COLUMNS
};

static const Oid bought_types[BOUGHT_COLUMNS] = {INT8OID, INT4OID, TEXTOID, NUMERICOID, NUMERICOID};

/* A look at one source. */
typedef struct LinesLook
{
	Source	   *source;
	int			n;
	const int64 *ids;			/* accounts */
	const int64 *persons;		/* whom of those asked for each belongs to */
	MemoryContext context;		/* of what was bought */
	ArrayBuildState *bought[BOUGHT_COLUMNS];

	/* Of the source that is read. */
	ReadPlaces	at;
	const KeyIndex *index;
	StatusCounts *statuses;		/* NULL: no status is mapped */
	MemoryContext row;
} LinesLook;

/* A number, which is read as a numeric or an integer (source/lines.c). */
static Datum
NumberAt(const TupleTableSlot *slot, int place)
{
	Datum		value = slot->tts_values[place];

	switch (TupleDescAttr(slot->tts_tupleDescriptor, place)->atttypid)
	{
		case INT2OID:
			return NumericGetDatum(int64_to_numeric(DatumGetInt16(value)));
		case INT4OID:
			return NumericGetDatum(int64_to_numeric(DatumGetInt32(value)));
		case INT8OID:
			return NumericGetDatum(int64_to_numeric(DatumGetInt64(value)));
		default:
			return value;
	}
}

/* Does the line count? What it shows decides, whatever it said to the conditions. */
static bool
LineIsBought(LinesLook *look, const TupleTableSlot *slot)
{
	const ReadPlaces *at = &look->at;

	return !slot->tts_isnull[READ_CUSTOMER] && !slot->tts_isnull[at->product] &&
		!slot->tts_isnull[READ_AMOUNT] && !slot->tts_isnull[at->price] &&
		(at->counts < 0 || (!slot->tts_isnull[at->counts] && DatumGetBool(slot->tts_values[at->counts]))) &&
		(look->statuses == NULL || StatusCount(look->statuses, slot->tts_isnull[at->status], slot->tts_values[at->status]));
}

static void
AddBought(LinesLook *look, int64 customer_id, const TupleTableSlot *slot)
{
	Datum		values[BOUGHT_COLUMNS] = {Int64GetDatum(customer_id), Int32GetDatum(look->source->source_id),
		slot->tts_values[look->at.product], NumberAt(slot, READ_AMOUNT), NumberAt(slot, look->at.price)
	};

	for (int i = 0; i < BOUGHT_COLUMNS; i++)
		look->bought[i] = accumArrayResult(look->bought[i], values[i], false, bought_types[i], look->context);
}

static void
BoughtRow(TupleTableSlot *slot, void *arg)
{
	LinesLook  *look = arg;
	MemoryContext old = MemoryContextSwitchTo(look->row);

	CHECK_FOR_INTERRUPTS();
	if (LineIsBought(look, slot))
	{
		Oid			out;
		bool		is_varlena;
		char	   *key;
		int			at;

		getTypeOutputInfo(TupleDescAttr(slot->tts_tupleDescriptor, READ_CUSTOMER)->atttypid, &out, &is_varlena);
		key = OidOutputFunctionCall(out, slot->tts_values[READ_CUSTOMER]);
		for (int i = KeyIndexFirst(look->index, key, &at); i >= 0; i = KeyIndexNext(look->index, &at))
			AddBought(look, look->persons[i], slot);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(look->row);
}

static void
LookForLines(void *arg)
{
	LinesLook  *look = arg;
	Source	   *source = look->source;
	char	  **keys;
	Oid			type;
	Datum		array;

	(void) SourceFollow(source);
	SourceOpen(source);
	PlacesOfRead(source, &look->at);
	keys = IdentityKeys(source, look->n, look->ids);
	look->index = KeyIndexCreate(look->n, keys);
	look->statuses = source->column[COLUMN_STATUS] ?
		StatusCountsCreate(CurrentMemoryContext, DatumGetArrayTypeP(source->accepted)) : NULL;
	array = KeyArray(source, look->n, keys, &type);
	SourceReadCustomers(source, type, array, StreamTo(BoughtRow, look));
}

/* A source that cannot be read is said, and the others are looked at. */
static void
LookAt(LinesLook *look)
{
	int			before = look->bought[0] ? look->bought[0]->nelems : 0;
	int			level = LimitLockWait(LONGEST_WAIT);
	ErrorData  *error = Attempt(LookForLines, look);

	AtEOXact_GUC(false, level);
	/* Half of what a source says is worse than nothing of it. */
	for (int i = 0; error && i < BOUGHT_COLUMNS; i++)
		if (look->bought[i])
			look->bought[i]->nelems = before;
	if (error)
		ereport(WARNING,
				(errcode(error->sqlerrcode),
				 errmsg("could not read the lines of %s: %s", SourceRelation(look->source), error->message),
				 error->hint ? errhint("%s", error->hint) : 0));
}

/* The first products of each customer. */
static void
ReturnFavourites(const LinesLook *look, int most, ReturnSetInfo *result)
{
	Oid			types[BOUGHT_COLUMNS + 1];
	Datum		values[BOUGHT_COLUMNS + 1];

	if (look->bought[0] == NULL)
		return;
	for (int i = 0; i < BOUGHT_COLUMNS; i++)
	{
		types[i] = get_array_type(bought_types[i]);
		values[i] = makeArrayResult(look->bought[i], look->context);
	}
	types[BOUGHT_COLUMNS] = INT4OID;
	values[BOUGHT_COLUMNS] = Int32GetDatum(most);
	/* NaN is above all other numbers. */
	SpiRun("SELECT r.customer_id, r.product, p.name, r.lines, r.spend, coalesce(p.bestseller, false), r.source_id FROM"
		   " (SELECT b.customer_id, b.source_id, b.product, count(*) AS lines, sum(round(b.quantity * b.price, 4)) AS spend, row_number() OVER"
		   "   (PARTITION BY b.customer_id ORDER BY count(*) DESC, sum(round(b.quantity * b.price, 4)) DESC, b.product COLLATE \"C\", b.source_id) AS n"
		   "  FROM unnest($1, $2, $3, $4, $5) b (customer_id, source_id, product, quantity, price)"
		   "  WHERE b.quantity > 0 AND b.quantity < 'Infinity' AND b.price > 0 AND b.price < 'Infinity' AND b.product <> ''"
		   "  GROUP BY 1, 2, 3) r"
		   " LEFT JOIN custseg.product p ON p.source_id = r.source_id AND p.product = r.product"
		   " WHERE r.n <= $6 ORDER BY r.customer_id, r.n", lengthof(types), types, values, NULL);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		Datum		columns[7];
		bool		nulls[7];

		for (int i = 0; i < lengthof(columns); i++)
			columns[i] = SpiField(row, i + 1, &nulls[i]);
		tuplestore_putvalues(result->setResult, result->setDesc, columns, nulls);
	}
}

Datum
custseg_favourite_products(PG_FUNCTION_ARGS)
{
	LinesLook	look = {.context = CurrentMemoryContext};
	int32		most = PG_GETARG_INT32(1);
	int64	   *asked;
	int64	   *persons;
	int		   *owners;
	int			n;
	Guard		guard;
	ListCell   *cell;

	asked = IdsOfArray(PG_GETARG_ARRAYTYPE_P(0), MOST_ASKED, &n);
	if (most < 1 || most > MOST_PRODUCTS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("most must be between 1 and %d products", MOST_PRODUCTS),
				 errhint("Leave it out for the first of each customer.")));
	InitMaterializedSRF(fcinfo, 0);
	OwnerBegin(&guard);
	look.row = AllocSetContextCreate(CurrentMemoryContext, "custseg lines", ALLOCSET_SMALL_SIZES);
	look.ids = MembersOf(asked, n, &look.n, &owners);
	persons = palloc(Max(look.n, 1) * sizeof(int64));
	for (int i = 0; i < look.n; i++)
		persons[i] = asked[i < n ? i : owners[i - n]];
	look.persons = persons;
	foreach(cell, ListSources(SOURCE_LINES))
	{
		look.source = lfirst(cell);
		LookAt(&look);
	}
	ReturnFavourites(&look, most, (ReturnSetInfo *) fcinfo->resultinfo);
	MemoryContextDelete(look.row);
	OwnerEnd(&guard);
	return (Datum) 0;
}
