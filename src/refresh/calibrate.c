/*
 * calibrate.c
 *		New cut points from the shop's customers.
 *
 * One pass over the timelines, none of which is kept. Days and orders take
 * few different values and are tallied; amounts are sorted, on disk where
 * memory is short. All quantiles are exact and do not depend on the order in
 * which customers are read.
 */
#include "postgres.h"

#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"
#include "utils/tuplesort.h"

#include "common/compat.h"
#include "common/settings.h"
#include "common/spi.h"
#include "common/stream.h"
#include "model/quantile.h"
#include "refresh/calibrate.h"
#include "timeline/amount.h"
#include "timeline/timeline.h"

#define FEWEST_CUSTOMERS 20

static const double quintiles[SCORE_CUTS] = {0.2, 0.4, 0.6, 0.8};

typedef struct Calibration
{
	DateADT		day;
	int64		customers;
	int64		orders;
	Tally	   *recencies;
	Tally	   *order_counts;
	Tuplesortstate *spends;
	Tuplesortstate *order_values;
} Calibration;

/* What the history up to the day adds up to, and the last day with an order. */
static void
Totals(struct varlena *timeline, DateADT day, TimelineHead *head)
{
	TimelineIter iter;
	TimelineEntry entry;

	if (!TimelineIterInit(&iter, timeline))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("a timeline is of a format that this version of custseg does not know"),
				 errhint("Upgrade the custseg library, or rebuild with CALL custseg.refresh(rebuild => true).")));
	*head = iter.head;
	if (head->entries == 0 || (head->last_day <= day && head->last_is_order))
		return;

	head->orders = 0;
	head->gross = head->refunded = 0;
	while (TimelineIterNext(&iter, &entry) && entry.day <= day)
	{
		head->orders += entry.orders;
		head->gross += entry.gross;
		head->refunded += entry.refunded;
		if (entry.orders > 0)
			head->last_day = entry.day;
	}
}

static void
CalibrateRow(TupleTableSlot *slot, void *arg)
{
	Calibration *calibration = arg;
	struct varlena *stored = (struct varlena *) DatumGetPointer(slot->tts_values[0]);
	struct varlena *timeline = pg_detoast_datum_packed(stored);
	TimelineHead head;

	Totals(timeline, calibration->day, &head);
	if (timeline != stored)
		pfree(timeline);
	if (head.orders == 0)
		return;

	calibration->customers++;
	calibration->orders += head.orders;
	TallyAdd(calibration->recencies, (int64) calibration->day - head.last_day);
	TallyAdd(calibration->order_counts, head.orders);
	tuplesort_putdatum(calibration->spends, Int64GetDatum(head.gross - head.refunded), false);
	tuplesort_putdatum(calibration->order_values,
					   Int64GetDatum(RoundedShare(head.gross, head.orders)), false);
	if (calibration->customers % 1024 == 0)
		CHECK_FOR_INTERRUPTS();
}

static Tuplesortstate *
BeginSort(void)
{
	return tuplesort_begin_datum(INT8OID, Int8LessOperator, InvalidOid, false,
								 Max(custseg_work_mem / 4, 64), NULL, TUPLESORT_NONE);
}

/* The quantiles of n sorted numbers, for shares in any order. */
static void
SortedQuantiles(Tuplesortstate *sort, int64 n, const double *shares, int nshares, int64 *quantiles)
{
	int64		position = 0;
	int64		value = 0;
	bool		done[16] = {0};

	Assert(nshares <= lengthof(done));
	for (int k = 0; k < nshares; k++)
	{
		int			next = -1;
		int64		rank;

		for (int i = 0; i < nshares; i++)
			if (!done[i] && (next < 0 || shares[i] < shares[next]))
				next = i;
		done[next] = true;
		rank = QuantileRank(shares[next], n);
		if (rank > position)
		{
			Datum		datum;
			bool		isnull;

			if (!tuplesort_skiptuples(sort, rank - position - 1, true) ||
				!SortedDatum(sort, &datum, &isnull))
				elog(ERROR, "sorted %lld numbers but found fewer", (long long) n);
			position = rank;
			value = DatumGetInt64(datum);
		}
		quantiles[next] = value;
	}
}

static Datum
IntegerArray(const int64 *numbers, Oid type)
{
	Datum		elements[SCORE_CUTS];

	for (int i = 0; i < SCORE_CUTS; i++)
		elements[i] = type == INT4OID ? Int32GetDatum((int32) numbers[i]) :
			Int64GetDatum(numbers[i]);
	if (type == INT4OID)
		return PointerGetDatum(construct_array(elements, SCORE_CUTS, INT4OID, sizeof(int32), true,
											   TYPALIGN_INT));
	return PointerGetDatum(construct_array(elements, SCORE_CUTS, INT8OID, sizeof(int64),
										   FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

static Datum
MoneyArray(const int64 *amounts)
{
	Datum		elements[SCORE_CUTS];

	for (int i = 0; i < SCORE_CUTS; i++)
		elements[i] = NumericGetDatum(AmountToNumeric(amounts[i]));
	return PointerGetDatum(construct_array(elements, SCORE_CUTS, NUMERICOID, -1, false,
										   TYPALIGN_INT));
}

static bool
Store(const Calibration *calibration, const int64 *r_cuts, const int64 *f_cuts,
	  const int64 *m_cuts, const int64 *spend_cuts, int64 order_value_cut,
	  TimestampTz as_of, int64 run_id)
{
	Oid			types[13] = {TIMESTAMPTZOID, DATEOID, INT8OID, INT8OID, INT8OID,
		INT4ARRAYOID, INT8ARRAYOID, NUMERICARRAYOID, NUMERICOID, NUMERICOID, NUMERICOID,
	NUMERICOID, TEXTOID};
	Datum		values[13];
	const char *verdict = "ok";

	if (calibration->customers < FEWEST_CUSTOMERS)
		verdict = psprintf("not enough data: %lld customers with an order, fewer than %d",
						   (long long) calibration->customers, FEWEST_CUSTOMERS);
	values[0] = TimestampTzGetDatum(as_of);
	values[1] = DateADTGetDatum(calibration->day);
	values[2] = Int64GetDatum(run_id);
	values[3] = Int64GetDatum(calibration->customers);
	values[4] = Int64GetDatum(calibration->orders);
	values[5] = IntegerArray(r_cuts, INT4OID);
	values[6] = IntegerArray(f_cuts, INT8OID);
	values[7] = MoneyArray(m_cuts);
	for (int i = 0; i < 3; i++)
		values[8 + i] = NumericGetDatum(AmountToNumeric(spend_cuts[i]));
	values[11] = NumericGetDatum(AmountToNumeric(order_value_cut));
	values[12] = CStringGetTextDatum(verdict);

	SpiRun("INSERT INTO custseg.calibration (fitted_at, as_of, run_id, customers, orders,"
		   " r_cuts, f_cuts, m_cuts, tier_high_cut, tier_mid_cut, quadrant_m_cut,"
		   " order_value_cut, verdict)"
		   " SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13"
		   " WHERE NOT EXISTS"
		   " (SELECT FROM (SELECT * FROM custseg.calibration ORDER BY calibration_id DESC LIMIT 1) c"
		   " WHERE (c.r_cuts, c.f_cuts, c.m_cuts, c.tier_high_cut, c.tier_mid_cut,"
		   " c.quadrant_m_cut, c.order_value_cut, c.verdict)"
		   " = ($6, $7, $8, $9, $10, $11, $12, $13))",
		   13, types, values, NULL);
	return SPI_processed > 0;
}

bool
Calibrate(DateADT day, TimestampTz as_of, int64 run_id)
{
	static SPIPlanPtr plan = NULL;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "custseg calibration",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Calibration calibration = {day};
	double		spend_shares[SCORE_CUTS + 3];
	double		order_value_share;
	int64		r_cuts[SCORE_CUTS];
	int64		f_cuts[SCORE_CUTS];
	int64		spend_cuts[SCORE_CUTS + 3];
	int64		order_value_cut;
	bool		isnull;
	bool		added = false;

	SpiRun("SELECT 1 - tier_high_share, 1 - tier_high_share - tier_mid_share,"
		   " quadrant_m_percentile, 1 - activity_value_share FROM custseg.settings",
		   0, NULL, NULL, NULL);
	memcpy(spend_shares, quintiles, sizeof(quintiles));
	for (int i = 0; i < 3; i++)
		spend_shares[SCORE_CUTS + i] = DatumGetFloat8(SpiField(0, 1 + i, &isnull));
	order_value_share = DatumGetFloat8(SpiField(0, 4, &isnull));

	calibration.recencies = TallyCreate();
	calibration.order_counts = TallyCreate();
	calibration.spends = BeginSort();
	calibration.order_values = BeginSort();
	SpiKeep(&plan, "SELECT timeline FROM custseg.profile", 0, NULL);
	SpiStream(plan, 0, NULL, NULL, CalibrateRow, &calibration);

	if (calibration.customers > 0)
	{
		TallyQuantiles(calibration.recencies, quintiles, SCORE_CUTS, r_cuts);
		TallyQuantiles(calibration.order_counts, quintiles, SCORE_CUTS, f_cuts);
		tuplesort_performsort(calibration.spends);
		SortedQuantiles(calibration.spends, calibration.customers, spend_shares,
						lengthof(spend_shares), spend_cuts);
		tuplesort_performsort(calibration.order_values);
		SortedQuantiles(calibration.order_values, calibration.customers, &order_value_share, 1,
						&order_value_cut);
		added = Store(&calibration, r_cuts, f_cuts, spend_cuts, spend_cuts + SCORE_CUTS,
					  order_value_cut, as_of, run_id);
	}
	tuplesort_end(calibration.spends);
	tuplesort_end(calibration.order_values);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return added;
}
