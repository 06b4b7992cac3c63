/*
 * uplift.h
 *		How much two rates differ, and how sure that is.
 */
#ifndef CUSTSEG_UPLIFT_H
#define CUSTSEG_UPLIFT_H

#include <stdbool.h>

typedef struct RateDifference
{
	double		difference;
	double		low;
	double		high;
} RateDifference;

/* x1 of n1 against x0 of n0, with a 95 % interval; 0 <= x <= n, n > 0. */
extern RateDifference CompareRates(double x1, double n1, double x0, double n0);

/* People who were drawn under the same share: x1 of n1 against x0 of n0, 0 <= x <= n. */
typedef struct Stratum
{
	double		x1;
	double		n1;
	double		x0;
	double		n0;
} Stratum;

typedef struct StratifiedDifference
{
	double		rate;			/* of the first group, as if it were made up like the second */
	double		control_rate;
	RateDifference of;			/* rate less control_rate */
} StratifiedDifference;

/* The same over strata, each compared within itself. False when none has people in both groups. */
extern bool CompareStrata(const Stratum *strata, int n, StratifiedDifference *result);

#endif							/* CUSTSEG_UPLIFT_H */
