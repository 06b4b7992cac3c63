/*
 * score.c
 *		How good predictions were: errors, ranking and calibration.
 */
#include "postgres.h"

#include <math.h>

#include "measure/score.h"
#include "model/fit/interrupt.h"

#define ST_SORT SortScored
#define ST_ELEMENT_TYPE Scored
#define ST_COMPARE(a, b) \
	((a)->predicted != (b)->predicted ? ((a)->predicted < (b)->predicted ? 1 : -1) : \
	 ((a)->actual < (b)->actual ? 1 : (a)->actual > (b)->actual ? -1 : 0))
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

void
ScorePredictions(Scored *rows, int64 n, Score *score)
{
	double		buyers = 0;
	double		buyers_above = 0;
	double		pairs = 0;		/* of a buyer and a non-buyer, the buyer ranked above */
	double		top_buyers = 0;
	double		in_decile[DECILES] = {0};

	memset(score, 0, sizeof(Score));
	score->auc = score->lift = NAN;
	if (n == 0)
		return;
	SortScored(rows, n);

	for (int64 i = 0; i < n; i++)
	{
		double		error = rows[i].predicted - rows[i].actual;

		CHECK_EVERY_SO_OFTEN(i);
		score->predicted += rows[i].predicted;
		score->actual += rows[i].actual;
		score->mae += fabs(error);
		score->rmse += error * error;
		buyers += rows[i].actual > 0;
	}
	score->mae /= n;
	score->rmse = sqrt(score->rmse / n);

	for (int64 first = 0, next; first < n; first = next)
	{
		double		actual = 0;
		double		bought = 0;
		int64		size;

		for (next = first; next < n && rows[next].predicted == rows[first].predicted; next++)
		{
			CHECK_EVERY_SO_OFTEN(next);
			actual += rows[next].actual;
			bought += rows[next].actual > 0;
		}
		size = next - first;

		/* Non-buyers of this rank are below the buyers above it, and half below its own. */
		pairs += (size - bought) * (buyers_above + bought / 2);
		buyers_above += bought;

		for (int d = 0; d < DECILES; d++)
		{
			double		from = (double) n * d / DECILES;
			double		until = (double) n * (d + 1) / DECILES;
			double		share = (Min(until, next) - Max(from, first)) / size;

			if (share <= 0)
				continue;
			in_decile[d] += share * size;
			score->decile_predicted[d] += share * size * rows[first].predicted;
			score->decile_actual[d] += share * actual;
			if (d == 0)
				top_buyers += share * bought;
		}
	}
	for (int d = 0; d < DECILES; d++)
	{
		score->decile_predicted[d] /= in_decile[d];
		score->decile_actual[d] /= in_decile[d];
	}
	if (buyers > 0)
	{
		score->lift = (top_buyers / in_decile[0]) / (buyers / n);
		if (buyers < n)
			score->auc = pairs / (buyers * (n - buyers));
	}
}
