/*
 * quantile.h
 *		Cut points, scores and medians: sums over numbers, nothing else.
 */
#ifndef CUSTSEG_QUANTILE_H
#define CUSTSEG_QUANTILE_H

#include "postgres.h"

#define SCORE_CUTS	4			/* quintiles */

/* Which of n sorted values, counted from 1, is the quantile: as percentile_disc has it. */
extern int64 QuantileRank(double share, int64 n);

/* 1 + how many of the cut points lie strictly below the value. */
extern int	ScoreAbove(const int64 *cuts, int64 value);

/* The median as percentile_cont has it, rounded up. Reorders the values. */
extern int32 MedianCeil(int32 *values, int n);

/* n / parts rounded half up, for n >= 0 and parts > 0. */
extern int64 RoundedShare(int64 n, int64 parts);

/* multiple x days rounded up; a multiple written in decimals counts as written. */
extern int64 MultipleOfDays(double multiple, int32 days);

/* How often each value occurred, for values of which there are few different ones. */
typedef struct Tally Tally;
extern Tally *TallyCreate(void);
extern void TallyAdd(Tally *tally, int64 value);
/* The quantiles for rising shares, as percentile_disc has them. */
extern void TallyQuantiles(Tally *tally, const double *shares, int nshares, int64 *quantiles);

#endif							/* CUSTSEG_QUANTILE_H */
