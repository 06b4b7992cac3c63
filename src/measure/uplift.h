/*
 * uplift.h
 *		How much two rates differ, and how sure that is.
 */
#ifndef CUSTSEG_UPLIFT_H
#define CUSTSEG_UPLIFT_H

typedef struct RateDifference
{
	double		difference;
	double		low;
	double		high;
} RateDifference;

/* x1 of n1 against x0 of n0, with a 95 % interval; 0 <= x <= n, n > 0. */
extern RateDifference CompareRates(double x1, double n1, double x0, double n0);

#endif							/* CUSTSEG_UPLIFT_H */
