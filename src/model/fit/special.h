/*
 * special.h
 *		Special functions that libm lacks, in forms that neither overflow nor
 *		cancel.
 */
#ifndef CUSTSEG_SPECIAL_H
#define CUSTSEG_SPECIAL_H

#include "postgres.h"

#include <math.h>

/* ln Gamma(x), for x > 0; without the global that lgamma() writes. */
extern double LogGamma(double x);

/* d/dx ln Gamma(x) and its derivative, for x > 0. */
extern double Digamma(double x);
extern double Trigamma(double x);

/* ln Gamma(a + n) - ln Gamma(a), for a > 0 and n >= 0, without cancellation. */
extern double LogRising(double a, double n);

/* Digamma(a + n) - Digamma(a), likewise. */
extern double DigammaRising(double a, double n);

/* LogRising(a, n) and its first two derivatives by a, for a growing whole n. */
typedef struct Rising
{
	double		a;
	double		n;
	double		log;
	double		first;
	double		second;
} Rising;

/* Begin with {.a = a}; n may only grow. */
extern void RaiseTo(Rising *rising, double n);

/* ln B(a, b) for positive arguments of any size. */
extern double LogBeta(double a, double b);

/* ln of x^a y^b / B(a, b), for y = 1 - x. */
extern double LogBetaTerm(double a, double b, double x, double y);

/*
 * The regularized incomplete beta function I_x(a, b) for y = 1 - x, to a
 * relative 1e-13 or so however small it is.
 */
extern double IncompleteBeta(double a, double b, double x, double y);

/* ln(e^a + e^b) */
extern double LogSum(double a, double b);

/* The standard normal distribution function and its inverse (0 < p < 1). */
extern double NormalCdf(double z);
extern double NormalQuantile(double p);

/* Gauss-Legendre quadrature: nodes on (-1, 1), ascending and symmetric, and weights. */
typedef struct Legendre
{
	int			order;
	double		nodes[16];
	double		weights[16];
} Legendre;

extern const Legendre legendre_8;
extern const Legendre legendre_12;
extern const Legendre legendre_16;

#endif							/* CUSTSEG_SPECIAL_H */
