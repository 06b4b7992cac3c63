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
