/*
 * product.c
 *		What the shop's products usually cost, who bought them, and which are
 *		bestsellers, by sources of lines of orders.
 *
 * PostgreSQL's own aggregates work it out, as the owner of the lines, and only
 * with a calibration: between two of them a line is judged by the same prices
 * whenever it is read, so that what a refresh makes of some changes is what a
 * rebuild makes of all.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"

#include "common/spi.h"
#include "common/stream.h"
#include "facts/product.h"
#include "profile/products.h"
#include "source/limits.h"
#include "source/lines.h"
#include "source/read.h"

/* What the statement says of a product, column by column. */
enum
{
	SAID_PRODUCT,
	SAID_PRICE,
	SAID_LIST_PRICE,
	SAID_BUYERS,
	SAID_NAME,
	SAID_CLEARANCE,
	SAID_COLUMNS
};

static const struct
{
	Oid			type;
	int16		length;
	bool		byval;
	char		align;
}			said_types[SAID_COLUMNS] = {
	[SAID_PRODUCT] = {TEXTOID, -1, false, TYPALIGN_INT},
	[SAID_PRICE] = {NUMERICOID, -1, false, TYPALIGN_INT},
	[SAID_LIST_PRICE] = {NUMERICOID, -1, false, TYPALIGN_INT},
	[SAID_BUYERS] = {INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE},
	[SAID_NAME] = {TEXTOID, -1, false, TYPALIGN_INT},
	[SAID_CLEARANCE] = {BOOLOID, 1, true, TYPALIGN_CHAR},
};

typedef struct Said
{
	MemoryContext context;
	ArrayBuildState *columns[SAID_COLUMNS];
} Said;

static void
SaidRow(TupleTableSlot *slot, void *arg)
{
	Said	   *said = arg;

	for (int i = 0; i < SAID_COLUMNS; i++)
		said->columns[i] = accumArrayResult(said->columns[i], slot->tts_values[i], slot->tts_isnull[i],
											said_types[i].type, said->context);
}

bool
ProductsLearn(Source *source, const char *time_zone, DateADT day)
{
	Said		said = {CurrentMemoryContext};
	Oid			types[1 + SAID_COLUMNS] = {INT4OID};
	Datum		values[1 + SAID_COLUMNS] = {Int32GetDatum(source->source_id)};
	DayLimits	limits;
	int			level;

	SourceOpen(source);
	(void) ReadDayLimits(source->source_id, day, &limits);
	level = PlanWholeBegin();
	SourceQuery(source, ProductsStatement(source, time_zone, limits.first, day), 0, NULL, NULL, StreamTo(SaidRow, &said));
	PlanByIndexEnd(level);
	for (int i = 0; i < SAID_COLUMNS; i++)
	{
		types[1 + i] = get_array_type(said_types[i].type);
		values[1 + i] = said.columns[i] == NULL ? PointerGetDatum(construct_empty_array(said_types[i].type)) :
			makeArrayResult(said.columns[i], said.context);
	}

	/* What a product is called, or who bought it, judges no line. */
	SpiRun("WITH said AS (SELECT s.product, coalesce(s.list_price, s.price) AS usual_price, s.buyers, s.name, s.clearance"
		   "  FROM unnest($2, $3, $4, $5, $6, $7) AS s (product, price, list_price, buyers, name, clearance)"
		   "  WHERE s.product IS NOT NULL AND coalesce(s.list_price, s.price) > 0 AND coalesce(s.list_price, s.price) < 'Infinity'),"
		   " cut AS (SELECT pg_catalog.percentile_disc(g.bestseller_quantile) WITHIN GROUP (ORDER BY s.buyers) AS buyers"
		   "  FROM said s CROSS JOIN custseg.settings g WHERE s.buyers > 0 GROUP BY g.bestseller_quantile),"
		   " new AS (SELECT s.product, s.name, s.usual_price, s.usual_price * g.bargain_price_share AS bargain_price, s.buyers,"
		   "  coalesce(s.buyers > 0 AND s.buyers >= c.buyers, false) AS bestseller, s.clearance"
		   "  FROM said s CROSS JOIN custseg.settings g LEFT JOIN cut c ON true),"
		   " gone AS (DELETE FROM custseg.product p WHERE p.source_id = $1"
		   "  AND NOT EXISTS (SELECT FROM new n WHERE n.product = p.product) RETURNING 1),"
		   " written AS (INSERT INTO custseg.product AS p (source_id, product, name, usual_price, bargain_price, buyers, bestseller, clearance)"
		   "  SELECT $1, n.product, n.name, n.usual_price, n.bargain_price, n.buyers, n.bestseller, n.clearance FROM new n"
		   "  WHERE NOT EXISTS (SELECT FROM custseg.product o WHERE o.source_id = $1 AND o.product = n.product"
		   "   AND (o.name, o.usual_price, o.bargain_price, o.buyers, o.bestseller, o.clearance)"
		   "    IS NOT DISTINCT FROM (n.name, n.usual_price, n.bargain_price, n.buyers, n.bestseller, n.clearance))"
		   "  ON CONFLICT (source_id, product) DO UPDATE SET name = EXCLUDED.name, usual_price = EXCLUDED.usual_price,"
		   "   bargain_price = EXCLUDED.bargain_price, buyers = EXCLUDED.buyers, bestseller = EXCLUDED.bestseller,"
		   "   clearance = EXCLUDED.clearance)"
		   " SELECT EXISTS (SELECT FROM gone) OR EXISTS (SELECT FROM new n LEFT JOIN custseg.product o"
		   "  ON o.source_id = $1 AND o.product = n.product WHERE (o.usual_price, o.bargain_price, o.bestseller, o.clearance)"
		   "   IS DISTINCT FROM (n.usual_price, n.bargain_price, n.bestseller, n.clearance))",
		   lengthof(types), types, values, NULL);
	return SpiInt64(0, 1, 0) != 0;
}

void
ProductsLoad(MemoryContext context, Source *source)
{
	Oid			types[1] = {INT4OID};
	Datum		values[1] = {Int32GetDatum(source->source_id)};
	MemoryContext old;
	ProductFact *facts;
	int			n;

	if (source->kind != SOURCE_LINES || source->products != NULL)
		return;
	/* Above all amounts there is nothing to tell apart. */
	SpiRun("SELECT product, pg_catalog.floor(price * 10000)::bigint,"
		   " pg_catalog.floor((price * 10000 - pg_catalog.floor(price * 10000)) * 10000)::integer, bestseller"
		   " FROM (SELECT product, least(bargain_price, 100000000000) AS price, bestseller FROM custseg.product"
		   "  WHERE source_id = $1) p ORDER BY product", 1, types, values, NULL);
	n = SPI_processed;
	facts = palloc_extended(Max(n, 1) * sizeof(ProductFact), MCXT_ALLOC_HUGE);
	for (int i = 0; i < n; i++)
	{
		facts[i].name = SpiText(i, 1);
		facts[i].len = strlen(facts[i].name);
		facts[i].bargain = SpiInt64(i, 2, 0);
		facts[i].rest = SpiInt64(i, 3, 0);
		facts[i].bestseller = SpiInt64(i, 4, 0) != 0;
	}
	SPI_freetuptable(SPI_tuptable);
	old = MemoryContextSwitchTo(context);
	source->products = ProductTableCreate(facts, n);
	MemoryContextSwitchTo(old);
}
