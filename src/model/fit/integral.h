/*
 * integral.h
 *		Integrals of positive functions over the whole line, in logarithms.
 */
#ifndef CUSTSEG_INTEGRAL_H
#define CUSTSEG_INTEGRAL_H

#include "postgres.h"

/*
 * The logarithm of a positive integrand at center + offset; -INFINITY where it
 * vanishes.  It is given the offset, for a narrow peak is better told from
 * there than from the sum.
 */
typedef double (*LogIntegrand) (double offset, const void *data);

/*
 * ln of the integral over the whole line of e^integrand, to about 1e-13 of the
 * integral.  The integrand must fall off at least exponentially on both sides,
 * center be near its bulk, and scale be about the width of its narrowest
 * feature; other features may be many scales away and much wider.
 */
extern double LogIntegral(LogIntegrand integrand, const void *data, double scale);

#endif							/* CUSTSEG_INTEGRAL_H */
