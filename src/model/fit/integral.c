/*
 * integral.c
 *		Integrals of positive functions over the whole line, in logarithms.
 *
 * Where a closed form is a difference of hypergeometric functions that cancel,
 * the integral behind it is a sum of positive terms, which cannot.  The
 * integrands of the purchase models, taken on a logarithmic or logistic axis,
 * are smooth there, have one bulk and fall off exponentially on both sides,
 * though one side can be a thousand times as wide as the bulk.
 *
 * For such functions the trapezoidal rule converges exponentially once the
 * tails fall off fast, and the substitution u = scale sinh(v) makes them: it
 * is plain near the middle and logarithmic far out, so that any width takes a
 * few dozen points.  The step is halved until nothing changes.  As each halving
 * squares the error, a small change means that what is left of it is nothing.
 */
#include "postgres.h"

#include <math.h>

#include "model/fit/integral.h"
#include "model/fit/interrupt.h"

#define FIRST_STEP 0.25
#define HALVINGS 8
#define CHANGE 1e-9				/* by the last halving, relative */
#define NEGLIGIBLE 1e-19		/* of the sum, where a tail is given up */
#define FARTHEST 100			/* sinh of it is 1e43 */

/* A sum of exponentials: e^level x sum */
typedef struct Sum
{
	double		level;
	double		sum;
} Sum;

/* Add the term at v; what share of the sum it is. */
static double
Add(Sum *sum, LogIntegrand integrand, const void *data, double scale, double v)
{
	double		e = expm1(fabs(v));
	double		sinh_v = copysign(0.5 * (e + e / (1 + e)), v);
	double		cosh_v = 1 + 0.5 * e * (e / (1 + e));
	double		height = integrand(scale * sinh_v, data);
	double		term;

	if (!(height > -INFINITY))
		return 0;
	if (height > sum->level + 100)
	{
		sum->sum *= exp(sum->level - height);
		sum->level = height;
	}
	term = exp(height - sum->level) * cosh_v;
	sum->sum += term;
	return term / sum->sum;
}

double
LogIntegral(LogIntegrand integrand, const void *data, double scale)
{
	Sum			sum = {-INFINITY, 0};
	double		step = FIRST_STEP;
	int			first = 0;
	int			last = 0;
	double		before;

	Add(&sum, integrand, data, scale, 0);
	while (Add(&sum, integrand, data, scale, ++last * step) > NEGLIGIBLE || last * step < 1)
	{
		if (last * step > FARTHEST)
			break;
	}
	while (Add(&sum, integrand, data, scale, --first * step) > NEGLIGIBLE || first * step > -1)
	{
		if (first * step < -FARTHEST)
			break;
	}
	for (int i = 0; i < HALVINGS; i++)
	{
		CHECK_FOR_INTERRUPTS();
		before = sum.level + log(sum.sum * step);
		for (int k = first; k < last; k++)
			Add(&sum, integrand, data, scale, (k + 0.5) * step);
		step *= 0.5;
		first *= 2;
		last *= 2;
		if (fabs(sum.level + log(sum.sum * step) - before) <= CHANGE)
			break;
	}
	return sum.level + log(sum.sum * step * scale);
}
