/*
 * cuts.c
 *		Cut points from the shop's customers.
 *
 * Days and orders take few different values and are tallied; amounts are
 * sorted, on disk where memory is short. All quantiles are exact and do not
 * depend on the order in which customers are read.
 */
#include "postgres.h"

#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "utils/tuplesort.h"

#include "common/compat.h"
#include "common/settings.h"
#include "common/spi.h"
#include "refresh/cuts.h"

static const double quintiles[SCORE_CUTS] = {0.2, 0.4, 0.6, 0.8};

struct CutCollector
{
	DateADT		day;
	int64		customers;
	Tally	   *recencies;
	Tally	   *order_counts;
	Tuplesortstate *spends;
	Tuplesortstate *order_values;
};

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

CutCollector *
CutsBegin(DateADT day)
{
	CutCollector *collector = palloc0(sizeof(CutCollector));

	collector->day = day;
	collector->recencies = TallyCreate();
	collector->order_counts = TallyCreate();
	collector->spends = BeginSort();
	collector->order_values = BeginSort();
	return collector;
}

void
CutsAdd(CutCollector *collector, const History *history)
{
	collector->customers++;
	TallyAdd(collector->recencies, (int64) collector->day - history->last_order);
	TallyAdd(collector->order_counts, history->orders);
	tuplesort_putdatum(collector->spends, Int64GetDatum(history->gross - history->refunded), false);
	tuplesort_putdatum(collector->order_values,
					   Int64GetDatum(RoundedShare(history->gross, history->orders)), false);
}

bool
CutsEnd(CutCollector *collector, Cuts *cuts)
{
	double		spend_shares[SCORE_CUTS + 3];
	int64		spend_cuts[SCORE_CUTS + 3];
	double		order_value_share;
	bool		isnull;

	if (collector->customers > 0)
	{
		SpiRun("SELECT 1 - tier_high_share, 1 - tier_high_share - tier_mid_share,"
			   " quadrant_m_percentile, 1 - activity_value_share FROM custseg.settings",
			   0, NULL, NULL, NULL);
		memcpy(spend_shares, quintiles, sizeof(quintiles));
		for (int i = 0; i < 3; i++)
			spend_shares[SCORE_CUTS + i] = DatumGetFloat8(SpiField(0, 1 + i, &isnull));
		order_value_share = DatumGetFloat8(SpiField(0, 4, &isnull));

		TallyQuantiles(collector->recencies, quintiles, SCORE_CUTS, cuts->r);
		TallyQuantiles(collector->order_counts, quintiles, SCORE_CUTS, cuts->f);
		tuplesort_performsort(collector->spends);
		SortedQuantiles(collector->spends, collector->customers, spend_shares,
						lengthof(spend_shares), spend_cuts);
		memcpy(cuts->m, spend_cuts, sizeof(cuts->m));
		cuts->tier_high = spend_cuts[SCORE_CUTS];
		cuts->tier_mid = spend_cuts[SCORE_CUTS + 1];
		cuts->quadrant_m = spend_cuts[SCORE_CUTS + 2];
		tuplesort_performsort(collector->order_values);
		SortedQuantiles(collector->order_values, collector->customers, &order_value_share, 1,
						&cuts->order_value);
	}
	tuplesort_end(collector->spends);
	tuplesort_end(collector->order_values);
	return collector->customers > 0;
}
