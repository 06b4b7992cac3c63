/*
 * gap.c
 *		The gap rule: a customer's own rhythm as a shrunken log-normal of the
 *		days between order days.
 *
 * The logarithms of a customer's gaps vary about the customer's own mean with
 * variance "within", and those means about the mean of customers with as many
 * gaps (the bucket) with variance "between".  The next gap after x gaps is then
 * log-normal with
 *
 *		m = (sum of ln gap + k mu) / (x + k),  s^2 = within + between k/(x + k),
 *		k = within / between,
 *
 * the best linear prediction (Robinson 1991, "That BLUP Is a Good Thing").  The
 * variances are those of the analysis of variance of an unbalanced one-way
 * layout, Henderson's method I (Searle, Casella and McCulloch 1992, "Variance
 * Components", 3.6), with a mean for each bucket: over customers i with x_i
 * gaps y_ij, their means y_i, and the N_b gaps of bucket b with mean mu_b,
 *
 *		SSE = sum (y_ij - y_i)^2,       E SSE = (gaps - customers) within,
 *		SSA = sum x_i (y_i - mu_b)^2,   E SSA = (customers - buckets) within
 *						+ between sum over b of (N_b - sum x_i^2 / N_b).
 *
 * Who has no gap yet is told by everybody's first one, with its own variance.
 *
 * Sums come out the same whatever the order in which customers are added: each
 * customer's share is computed from that customer alone, rounded to 2^-24 and
 * added up as an integer.
 */
#include "postgres.h"

#include <math.h>

#include "model/fit/interrupt.h"
#include "model/fit/special.h"
#include "model/gap/gap.h"

#define FEWEST_GAPS		20
#define FEWEST_REGULARS	10		/* customers with two gaps or more */
#define LEAST_VARIANCE	1e-6	/* a gap that varies by a thousandth */
#define FIXED_POINT		16777216.0	/* 2^24: room for 10^10 gaps */

typedef struct GapBucket
{
	int64		customers;
	int64		gaps;
	int64		squared_gaps;	/* sum of x^2 */
	int64		logs;			/* sum of ln gap, fixed point */
	int64		squared_means;	/* sum of x (mean ln gap)^2, fixed point */
} GapBucket;

struct GapSums
{
	GapBucket	buckets[GAP_BUCKETS];	/* bucket 0: everybody's first gap */
	int64		regulars;
	int64		errors;			/* SSE, fixed point */
};

static inline int
BucketOf(int n)
{
	return Min(n, GAP_BUCKETS - 1);
}

GapSums *
GapSumsCreate(void)
{
	return palloc0(sizeof(GapSums));
}

static void
AddToBucket(GapBucket *bucket, int n, double log_sum)
{
	bucket->customers++;
	bucket->gaps += n;
	bucket->squared_gaps += (int64) n * n;
	bucket->logs += llrint(log_sum * FIXED_POINT);
	bucket->squared_means += llrint(log_sum * log_sum / n * FIXED_POINT);
}

double
SumOfLogs(const int32 *gaps, int n)
{
	double		sum = 0;

	for (int i = 0; i < n; i++)
	{
		CHECK_EVERY_SO_OFTEN(i);
		sum += log(gaps[i]);
	}
	return sum;
}

void
GapSumsAdd(GapSums *sums, const int32 *gaps, int n)
{
	double		log_sum;
	double		errors = 0;
	double		mean;

	if (n == 0)
		return;
	log_sum = SumOfLogs(gaps, n);
	AddToBucket(&sums->buckets[0], 1, log(gaps[0]));
	AddToBucket(&sums->buckets[BucketOf(n)], n, log_sum);
	if (n == 1)
		return;

	mean = log_sum / n;
	for (int i = 0; i < n; i++)
	{
		CHECK_EVERY_SO_OFTEN(i);
		errors += (log(gaps[i]) - mean) * (log(gaps[i]) - mean);
	}
	sums->errors += llrint(errors * FIXED_POINT);
	sums->regulars++;
}

static double
BucketMean(const GapBucket *bucket)
{
	return (double) bucket->logs / FIXED_POINT / bucket->gaps;
}

/* The sum of x (mean of a customer - mean of the bucket)^2. */
static double
BucketSquares(const GapBucket *bucket)
{
	double		logs = (double) bucket->logs / FIXED_POINT;

	return (double) bucket->squared_means / FIXED_POINT - logs * logs / bucket->gaps;
}

/* A bucket that nobody is in takes the mean of the nearest, of two as near that of fewer gaps. */
static int
NearestBucket(const GapSums *sums, int bucket)
{
	for (int distance = 0; distance < GAP_BUCKETS; distance++)
	{
		if (bucket - distance >= 1 && sums->buckets[bucket - distance].customers > 0)
			return bucket - distance;
		if (bucket + distance < GAP_BUCKETS && sums->buckets[bucket + distance].customers > 0)
			return bucket + distance;
	}
	return 0;
}

void
FitGaps(const GapSums *sums, GapModel *model)
{
	const GapBucket *first = &sums->buckets[0];
	double		squares = 0;
	double		weight = 0;
	int			buckets = 0;

	memset(model, 0, sizeof(GapModel));
	for (int b = 1; b < GAP_BUCKETS; b++)
	{
		const GapBucket *bucket = &sums->buckets[b];

		if (bucket->customers == 0)
			continue;
		buckets++;
		model->customers += bucket->customers;
		model->gaps += bucket->gaps;
		squares += BucketSquares(bucket);
		weight += bucket->gaps - (double) bucket->squared_gaps / bucket->gaps;
	}
	if (model->gaps < FEWEST_GAPS)
	{
		model->verdict = psprintf("not enough data: %lld gaps between order days, fewer than %d",
								  (long long) model->gaps, FEWEST_GAPS);
		return;
	}
	if (sums->regulars < FEWEST_REGULARS)
	{
		model->verdict = psprintf("not enough data: %lld customers with two gaps or more, fewer than %d",
								  (long long) sums->regulars, FEWEST_REGULARS);
		return;
	}

	for (int b = 0; b < GAP_BUCKETS; b++)
		model->means[b] = BucketMean(b == 0 ? first : &sums->buckets[NearestBucket(sums, b)]);
	model->within = (double) sums->errors / FIXED_POINT / (model->gaps - model->customers);
	model->within = Max(model->within, LEAST_VARIANCE);
	if (weight > 0)
		model->between = (squares - (model->customers - buckets) * model->within) / weight;
	model->between = Max(model->between, LEAST_VARIANCE);
	model->first = BucketSquares(first) / (first->customers - 1);
	model->first = Max(model->first, LEAST_VARIANCE);
	model->usable = true;
	model->verdict = "ok";
}

/* Mean and standard deviation of the logarithm of the next gap. */
static void
NextGap(const GapModel *model, int n, double log_sum, double *mean, double *sd)
{
	double		shop;			/* k / (n + k): what the bucket counts for */

	*mean = model->means[BucketOf(n)];
	*sd = sqrt(model->first);
	if (n == 0)
		return;
	shop = model->within / (model->within + n * model->between);
	*mean = shop * *mean + (1 - shop) * (log_sum / n);
	/* between k/(n + k) is within/(n + k), which cannot overflow. */
	*sd = sqrt(model->within) * sqrt(1 + (1 - shop) / n);
}

double
GapQuantile(const GapModel *model, int n, double log_sum, double z)
{
	double		mean;
	double		sd;

	NextGap(model, n, log_sum, &mean, &sd);
	return exp(mean + z * sd);
}

double
GapCdf(const GapModel *model, int n, double log_sum, double days)
{
	double		mean;
	double		sd;

	if (!(days > 0))
		return 0;
	NextGap(model, n, log_sum, &mean, &sd);
	return NormalCdf((log(days) - mean) / sd);
}
