/*
 * uplift.c
 *		How much two rates differ, and how sure that is.
 *
 * Pure functions of numbers. The interval is Newcombe's hybrid score interval
 * (method 10 in R. G. Newcombe, Interval estimation for the difference between
 * independent proportions: comparison of eleven methods, Statistics in Medicine
 * 17, 1998, 873-890): each rate gets its Wilson score interval, and the
 * distances from rate to bound add up in squares. Unlike the textbook interval
 * it holds where few convert, does not shrink to nothing at 0 %, and stays
 * within -1 and 1.
 */
#include <math.h>

#include "measure/uplift.h"

#define Z_95 1.959963984540054

static void
Wilson(double x, double n, double *low, double *high)
{
	double		z2 = Z_95 * Z_95;
	double		p = x / n;
	double		center = (2 * x + z2) / (2 * (n + z2));
	double		half = Z_95 * sqrt(z2 + 4 * n * p * (1 - p)) / (2 * (n + z2));

	*low = x > 0 ? center - half : 0;
	*high = x < n ? center + half : 1;
}

RateDifference
CompareRates(double x1, double n1, double x0, double n0)
{
	RateDifference result;
	double		p1 = x1 / n1;
	double		p0 = x0 / n0;
	double		low1,
				high1,
				low0,
				high0;

	Wilson(x1, n1, &low1, &high1);
	Wilson(x0, n0, &low0, &high0);
	result.difference = p1 - p0;
	result.low = result.difference - hypot(p1 - low1, high0 - p0);
	result.high = result.difference + hypot(high1 - p1, p0 - low0);
	return result;
}

/*
 * The common difference of strata with the weights of Mantel and Haenszel,
 * n1 n0 / (n1 + n0), which are those of the least variance where the rates are
 * alike and are fixed by the numbers of people alone. Each stratum keeps its
 * own Newcombe interval, and the distances from the differences to their bounds
 * add up in squares, weighted: the limits of a sum that G. Y. Zou and A. Donner
 * derive in Construction of confidence limits about effect measures: a general
 * approach, Statistics in Medicine 27, 2008, 1693-1702, which is what Newcombe
 * did for two rates. So it is Newcombe's interval where there is one stratum, and
 * does not suppose that contacting adds the same in each.
 */
bool
CompareStrata(const Stratum *strata, int n, StratifiedDifference *result)
{
	double		weights = 0;
	double		rate = 0;
	double		control_rate = 0;
	double		below = 0;
	double		above = 0;

	for (int i = 0; i < n; i++)
	{
		const Stratum *s = &strata[i];
		RateDifference within;
		double		weight;

		if (s->n1 <= 0 || s->n0 <= 0)
			continue;
		within = CompareRates(s->x1, s->n1, s->x0, s->n0);
		weight = s->n1 / (s->n1 + s->n0) * s->n0;
		weights += weight;
		rate += weight * (s->x1 / s->n1);
		control_rate += weight * (s->x0 / s->n0);
		below = hypot(below, weight * (within.difference - within.low));
		above = hypot(above, weight * (within.high - within.difference));
	}
	if (weights <= 0)
		return false;
	result->rate = rate / weights;
	result->control_rate = control_rate / weights;
	result->of.difference = result->rate - result->control_rate;
	result->of.low = result->of.difference - below / weights;
	result->of.high = result->of.difference + above / weights;
	return true;
}
