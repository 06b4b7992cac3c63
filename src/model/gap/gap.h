/*
 * gap.h
 *		The gap rule: a customer's own rhythm as a shrunken log-normal of the
 *		days between order days.
 */
#ifndef CUSTSEG_GAP_H
#define CUSTSEG_GAP_H

#include "postgres.h"

#define GAP_BUCKETS 5			/* by number of gaps: 0, 1, 2, 3, 4 and more */

/* Bounds of a rule that somebody passes: no calibration comes near them. */
#define GREATEST_LOG_GAP 100.0
#define LEAST_GAP_VARIANCE 1e-9
#define GREATEST_GAP_VARIANCE 1e4

typedef struct GapModel
{
	bool		usable;
	double		means[GAP_BUCKETS]; /* of ln gap; bucket 0: of everybody's first gap */
	double		within;			/* variance of ln gap within customers */
	double		between;		/* variance of a customer's mean ln gap */
	double		first;			/* variance of ln first gap, for those with none yet */
	int64		gaps;
	int64		customers;		/* with at least one gap */
	const char *verdict;
} GapModel;

/* Sums that do not depend on the order in which customers are added. */
typedef struct GapSums GapSums;
extern GapSums *GapSumsCreate(void);
/* One customer's gaps in days, each at least 1, first to last. */
extern void GapSumsAdd(GapSums *sums, const int32 *gaps, int n);
extern void FitGaps(const GapSums *sums, GapModel *model);

/* What the rule needs to know of a customer's gaps. */
extern double SumOfLogs(const int32 *gaps, int n);

/*
 * The p-quantile in days, given z = NormalQuantile(p), of the next gap after n
 * gaps whose logarithms sum to log_sum. Infinite where no number can hold it.
 */
extern double GapQuantile(const GapModel *model, int n, double log_sum, double z);

/* The probability that the next gap is at most that many days. */
extern double GapCdf(const GapModel *model, int n, double log_sum, double days);

#endif							/* CUSTSEG_GAP_H */
