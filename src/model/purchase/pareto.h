/*
 * pareto.h
 *		The integrals behind the Pareto/NBD.
 */
#ifndef CUSTSEG_PARETO_H
#define CUSTSEG_PARETO_H

#include "postgres.h"

/*
 * A positive function that falls from 1 at v = 0:
 * e^(-rate v) (1 + v/a)^-p (1 + v/b)^-q, with a, b > 0 and p, q, rate >= 0.
 * Without a second factor b is infinite and q = 0.
 */
typedef struct Decay
{
	double		rate;
	double		a;
	double		p;
	double		b;
	double		q;
} Decay;

/*
 * Called with the nodes and weights of a quadrature: the integral of decay(v)
 * g(v) dv is the sum of weight * g(v).
 */
typedef void (*DecayNode) (double v, double weight, void *data);

/* Integral of a decay over (0, length); length may be infinite where that is finite. */
extern double DecayIntegral(const Decay *decay, double length, DecayNode node, void *data);

#endif							/* CUSTSEG_PARETO_H */
