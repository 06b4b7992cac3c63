/*
 * potential.c
 *		Cut points of potential_value: percentiles of what customers are
 *		expected to bring.
 *
 * The models are fitted only once all customers have been read, and by then
 * none of them is kept. A sample is: those whose hash lies below a limit. When
 * there are too many the limit is halved, so in the end it depends on the
 * customers alone.
 */
#include "postgres.h"

#include "common/hashfn.h"

#include "model/fit/interrupt.h"
#include "model/fit/quantile.h"
#include "model/potential.h"

typedef struct Sampled
{
	uint64		hash;
	History		history;
} Sampled;

struct PotentialSample
{
	DateADT		day;
	uint64		limit;
	int			n;
	Sampled		customers[POTENTIAL_SAMPLE];
};

PotentialSample *
PotentialBegin(DateADT day)
{
	PotentialSample *sample = palloc_extended(sizeof(PotentialSample), MCXT_ALLOC_HUGE);

	sample->day = day;
	sample->limit = PG_UINT64_MAX;
	sample->n = 0;
	return sample;
}

void
PotentialAdd(PotentialSample *sample, const History *history)
{
	struct
	{
		int64		orders;
		int64		gross;
		int64		refunded;
		int64		repeat_spend;
		int32		order_days;
		DateADT		first_order;
		DateADT		last_order;
		int32		zero;
	}			key = {history->orders, history->gross, history->refunded, history->repeat_spend,
	history->order_days, history->first_order, history->last_order, 0};
	uint64		hash = hash_bytes_extended((const unsigned char *) &key, sizeof(key), 0);

	if (hash > sample->limit)
		return;
	while (sample->n == POTENTIAL_SAMPLE)
	{
		int			kept = 0;

		/* Customers who did the same have the same hash and go together. */
		if (sample->limit == 0)
			return;
		sample->limit /= 2;
		for (int i = 0; i < sample->n; i++)
			if (sample->customers[i].hash <= sample->limit)
				sample->customers[kept++] = sample->customers[i];
		sample->n = kept;
		if (hash > sample->limit)
			return;
	}
	sample->customers[sample->n].hash = hash;
	sample->customers[sample->n].history = *history;
	sample->customers[sample->n++].history.gaps = NULL;
}

static int
CompareDoubles(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return (x > y) - (x < y);
}

bool
PotentialCuts(PotentialSample *sample, const Predictor *predictor, const double shares[2],
			  double cuts[2])
{
	double	   *values = palloc(Max(sample->n, 1) * sizeof(double));
	int			n = 0;

	for (int i = 0; i < sample->n; i++)
	{
		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		if (PredictValue(predictor, &sample->customers[i].history, sample->day, 12, &values[n]))
			n++;
	}
	qsort(values, n, sizeof(double), CompareDoubles);
	for (int i = 0; i < 2 && n > 0; i++)
		cuts[i] = values[QuantileRank(shares[i], n) - 1];
	pfree(values);
	return n > 0;
}
