/*
 * nbd.c
 *		The NBD model: customers buy at random at rates of their own, gamma
 *		distributed, and never leave.
 *
 * Ehrenberg (1959).  Here it is what the models with dropout are measured
 * against, and the part of them that counts the purchases of those alive.
 */
#include "postgres.h"

#include <math.h>

#include "model/fit/interrupt.h"
#include "model/fit/special.h"
#include "model/purchase/family.h"

/*
 * ln L = ln (r)_x - r ln((alpha + T)/alpha) - x ln(alpha + T), for the times of
 * the purchases; with l = ln((alpha + T)/alpha) and v = alpha/(alpha + T).
 */
double
NbdLikelihood(const double *theta, double *gradient, double (*hessian)[MAX_PARAMS], void *data)
{
	const Histories *histories = data;
	double		r = exp(theta[0]);
	double		alpha = exp(theta[1]);
	Rising		rising = {.a = r};
	double		height = 0;

	memset(gradient, 0, 2 * sizeof(double));
	if (hessian)
		memset(hessian, 0, MAX_PARAMS * sizeof(*hessian));
	for (int64 i = 0; i < histories->n;)
	{
		int32		x = histories->repeats[i].x;
		double		n = 0;
		double		l = 0;
		double		v = 0;
		double		rest = 0;	/* 1 - v */
		double		both = 0;	/* v (1 - v) */

		while (i < histories->n && histories->repeats[i].x == x)
		{
			double		T = histories->repeats[i].T;
			double		scaled = T * histories->scale;
			double		customers = 0;

			for (; i < histories->n && histories->repeats[i].x == x && histories->repeats[i].T == T; i++)
			{
				CHECK_EVERY_SO_OFTEN(i);
				customers += histories->repeats[i].customers;
			}
			n += customers;
			l += customers * log1p(scaled / alpha);
			v += customers * (alpha / (alpha + scaled));
			rest += customers * (scaled / (alpha + scaled));
			both += customers * (alpha / (alpha + scaled)) * (scaled / (alpha + scaled));
		}
		RaiseTo(&rising, x);
		height += n * (rising.log - x * theta[1]) - (r + x) * l;
		gradient[0] += r * (n * rising.first - l);
		gradient[1] += r * rest - x * v;
		if (hessian)
		{
			hessian[0][0] += r * (n * rising.first - l) + r * r * n * rising.second;
			hessian[0][1] += r * rest;
			hessian[1][1] -= (r + x) * both;
		}
	}
	if (hessian)
		hessian[1][0] = hessian[0][1];
	return height;
}

double
NbdLogLikelihood(double r, double alpha, double x, double T)
{
	return LogRising(r, x) - r * log1p(T / alpha) - x * log(alpha + T);
}

double
NbdPmf(double r, double alpha, double n, double t)
{
	if (n == 0)
		return exp(-r * log1p(t / alpha));
	if (t == 0)
		return 0;
	return exp(LogBetaTerm(n, r, t / (alpha + t), alpha / (alpha + t))) / n;
}

double
NbdTail(double r, double alpha, double n, double t)
{
	return n == 0 ? 1 : IncompleteBeta(n, r, t / (alpha + t), alpha / (alpha + t));
}
