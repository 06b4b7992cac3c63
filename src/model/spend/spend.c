/*
 * spend.c
 *		Gamma-Gamma: what customers spend per order day.
 *
 * Fader and Hardie (2013), "The Gamma-Gamma Model of Monetary Value".  The
 * likelihood of a mean m of x spends is
 *
 *		Gamma(px+q) / (Gamma(px) Gamma(q)) v^q m^(px-1) x^(px) / (v+xm)^(px+q),
 *
 * that is, xm/(v+xm) has a beta distribution.  Sorted by x, customers with the
 * same x share all gamma functions; of each customer only 1 + xm/v is left, its
 * logarithm for the likelihood, its inverse for gradient and Hessian.  Written
 * so, nothing large cancels where q and v run away.  Means are scaled by a
 * power of two to be around one whatever the currency.
 *
 * The model has no mean spend for q <= 1: the tail of what customers spend is
 * so heavy that the average of all depends on the next big one.  Where that
 * may be for want of data a weak prior decides; where the data insist, there
 * is no number to give.
 */
#include "postgres.h"

#include "model/fit/interrupt.h"
#include "model/fit/special.h"
#include "model/spend/spend.h"

#define SAMPLE 20000			/* customers that the starts climb on */
#define STARTS 3
#define WEAK_PRIOR_SD 2.5		/* as for purchase models */
#define CLEAR_CORRELATION 0.3
#define SAME 1e-9				/* relative: a sum divided is not always the price */
#define LIKE_NO_OTHER 1e6		/* p, and q - 1, of spends that do not differ */
#define LEAST_PARAM 1e-12
#define GREATEST_PARAM 1e12
#define LEAST_SPEND 1e-100
#define GREATEST_SPEND 1e100

const char *const spend_param_names[SPEND_PARAMS] = {"p", "q", "v"};

/* of p and q, with v such that the mean of all is 1 */
static const double rough[STARTS][2] = {{4, 4}, {1, 2}, {20, 10}};

/* What a likelihood sums over. */
typedef struct SpendData
{
	const Spends *spends;
	int64		n;
	double		scale;			/* of means, a power of two */
	double		sum_log;		/* of ln mean */
	double		sum_x_log;		/* of x ln (x mean) */
	double		customers;
} SpendData;

static int
Compare(const Spends *a, const Spends *b)
{
	if (a->x != b->x)
		return a->x < b->x ? -1 : 1;
	if (a->mean != b->mean)
		return a->mean < b->mean ? -1 : 1;
	return 0;
}

#define ST_SORT SortSpends
#define ST_ELEMENT_TYPE Spends
#define ST_COMPARE(a, b) Compare(a, b)
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

int64
CollapseSpends(Spends *spends, int64 n)
{
	int64		kept = 0;

	for (int64 i = 0; i < n; i++)
	{
		CHECK_EVERY_SO_OFTEN(i);
		if (spends[i].x >= 1 && spends[i].mean > 0)
			spends[kept++] = spends[i];
	}
	n = kept;
	SortSpends(spends, n);
	kept = 0;
	for (int64 i = 0; i < n; i++)
	{
		Spends	   *last = kept > 0 ? &spends[kept - 1] : NULL;

		CHECK_EVERY_SO_OFTEN(i);
		if (last && Compare(last, &spends[i]) == 0 &&
			spends[i].customers <= PG_INT32_MAX - last->customers)
			last->customers += spends[i].customers;
		else
			spends[kept++] = spends[i];
	}
	return kept;
}

static void
Summarize(SpendData *data)
{
	double		x_log;

	data->sum_log = data->sum_x_log = data->customers = 0;
	for (int64 i = 0; i < data->n; i++)
	{
		const Spends *spends = &data->spends[i];

		CHECK_EVERY_SO_OFTEN(i);
		x_log = log(spends->mean * data->scale);
		data->sum_log += spends->customers * x_log;
		data->sum_x_log += spends->customers * (spends->x * (x_log + log(spends->x)));
		data->customers += spends->customers;
	}
}

static double
SpendLikelihood(const double *theta, double *gradient, double (*hessian)[MAX_PARAMS], void *arg)
{
	const SpendData *data = arg;
	const Spends *spends = data->spends;
	double		p = exp(theta[0]);
	double		q = exp(theta[1]);
	double		v = exp(theta[2]);
	double		trigamma_q = hessian ? Trigamma(q) : 0;
	double		total = p * data->sum_x_log - data->sum_log;

	gradient[0] = p * data->sum_x_log;
	gradient[1] = gradient[2] = 0;
	if (hessian)
		memset(hessian, 0, SPEND_PARAMS * sizeof(*hessian));

	for (int64 i = 0; i < data->n;)
	{
		double		x = spends[i].x;
		double		px = p * x;
		double		customers = 0;
		double		logs = 0;	/* of ln (1 + xm/v), */
		double		shares = 0;	/* xm/(v + xm), */
		double		products = 0;	/* v xm/(v + xm)^2 */
		double		rising;

		for (; i < data->n && spends[i].x == x; i++)
		{
			double		ratio = x * (spends[i].mean * data->scale) / v;
			double		rest = 1 / (1 + ratio);
			double		share = spends[i].customers * (ratio * rest);

			CHECK_EVERY_SO_OFTEN(i);
			customers += spends[i].customers;
			logs += spends[i].customers * log1p(ratio);
			shares += share;
			products += share * rest;
		}
		rising = DigammaRising(q, px);
		total += customers * (LogRising(q, px) - LogGamma(px) - px * theta[2]) - (px + q) * logs;
		gradient[0] += px * (customers * (DigammaRising(px, q) - theta[2]) - logs);
		gradient[1] += q * (customers * rising - logs);
		gradient[2] += (px + q) * shares - px * customers;
		if (hessian)
		{
			double		trigamma = Trigamma(px + q);

			hessian[0][0] += px * px * customers * (trigamma - Trigamma(px));
			hessian[0][1] += px * q * customers * trigamma;
			hessian[0][2] -= px * (customers - shares);
			hessian[1][1] += q * q * customers * (trigamma - trigamma_q);
			hessian[1][2] += q * shares;
			hessian[2][2] -= (px + q) * products;
		}
	}

	if (hessian)
	{
		hessian[0][0] += gradient[0];
		hessian[1][1] += gradient[1];
		hessian[1][0] = hessian[0][1];
		hessian[2][0] = hessian[0][2];
		hessian[2][1] = hessian[1][2];
	}
	return total;
}

/* Every so many-th customer, or all if they are few. */
static SpendData
TakeSample(const SpendData *all)
{
	SpendData	sample = {.scale = all->scale};
	int64		every = (int64) (all->customers / SAMPLE);
	int64		seen = 0;
	Spends	   *spends;

	if (every < 2 || all->n <= 2 * SAMPLE)
		return *all;
	spends = palloc((Size) (all->customers / every + 1) * sizeof(Spends));
	for (int64 i = 0; i < all->n; i++)
	{
		int64		next = seen + all->spends[i].customers;
		int64		taken = next / every - seen / every;

		CHECK_EVERY_SO_OFTEN(i);
		if (taken > 0)
		{
			spends[sample.n] = all->spends[i];
			spends[sample.n++].customers = (int32) taken;
		}
		seen = next;
	}
	sample.spends = spends;
	Summarize(&sample);
	return sample;
}

/* Pearson's correlation of x and the mean, which the model takes to be independent. */
static double
Correlation(const SpendData *data)
{
	double		mean_x = 0;
	double		mean_m = 0;
	double		xx = 0;
	double		xm = 0;
	double		mm = 0;

	for (int64 i = 0; i < data->n; i++)
	{
		CHECK_EVERY_SO_OFTEN(i);
		mean_x += data->spends[i].x * (data->spends[i].customers / data->customers);
		mean_m += data->spends[i].mean * data->scale * (data->spends[i].customers / data->customers);
	}
	for (int64 i = 0; i < data->n; i++)
	{
		double		x = data->spends[i].x - mean_x;
		double		m = data->spends[i].mean * data->scale - mean_m;

		CHECK_EVERY_SO_OFTEN(i);
		xx += x * x * data->spends[i].customers;
		xm += x * m * data->spends[i].customers;
		mm += m * m * data->spends[i].customers;
	}
	return xx > 0 && mm > 0 ? xm / (sqrt(xx) * sqrt(mm)) : 0;
}

/* NULL, or why there is no mean spend. */
static const char *
InfiniteMean(const Fit *fit)
{
	if (fit->params[1] > 1)
		return NULL;
	return psprintf("mean spend is infinite: q = %.3g, not above 1", fit->params[1]);
}

/* NULL, or why a maximum is to be taken with care. */
static const char *
Doubt(const SpendData *data, const Fit *fit)
{
	double		correlation = Correlation(data);

	if (fit->params[1] - 1 < fit->errors[1])
		return psprintf("mean spend may be infinite: q = %.3g, with a standard error of %.2g, is hardly above 1",
						fit->params[1], fit->errors[1]);
	if (fabs(correlation) > CLEAR_CORRELATION)
		return psprintf("spend depends on how often customers buy, but the model takes them to be "
						"independent: correlation %.2f", correlation);
	return NULL;
}

/*
 * Where the model has nothing to learn, as in a shop with one price, what is to
 * be expected is still known.  The limit in which neither customers nor the
 * spends of one differ is taken at a distance, where p (v + xm)/(px + q - 1) is
 * the mean of the own x spends and one of the mean of all.
 */
static void
ExpectTheMean(const Spends *spends, int64 n, const char *why, Fit *fit)
{
	double		total = 0;
	double		orders = 0;

	for (int64 i = 0; i < n; i++)
	{
		double		weight = (double) spends[i].x * spends[i].customers;

		CHECK_EVERY_SO_OFTEN(i);
		orders += weight;
		total += weight * spends[i].mean;
	}
	fit->usable = true;
	fit->params[0] = LIKE_NO_OTHER;
	fit->params[1] = LIKE_NO_OTHER + 1;
	fit->params[2] = total / orders;
	for (int k = 0; k < SPEND_PARAMS; k++)
		fit->errors[k] = NAN;
	fit->log_likelihood = fit->gradient_norm = NAN;
	fit->verdict = psprintf("%s: everybody is expected to spend the mean", why);
	fit->fallback = psprintf("the mean of all: %s", why);
}

void
FitSpend(const Spends *spends, int64 n, const Prior *prior, Fit *fit)
{
	SpendData	all = {.spends = spends,.n = n,.scale = 1};
	SpendData	sample;
	FitData		data = {SpendLikelihood, &all, &all};
	Prior		weak = {.sd = WEAK_PRIOR_SD};
	Prior		scaled;
	double		starts[STARTS][MAX_PARAMS] = {{0}};
	double		mean;
	bool		differ = false;
	bool		no_maximum = false;
	const char *fault = NULL;

	memset(fit, 0, sizeof(*fit));
	fit->nparams = SPEND_PARAMS;
	for (int64 i = 0; i < n; i++)
	{
		CHECK_EVERY_SO_OFTEN(i);
		fit->customers += spends[i].customers;
		fit->transactions += (int64) spends[i].x * spends[i].customers;
		differ = differ || fabs(spends[i].mean - spends[0].mean) > SAME * spends[0].mean;
	}
	fit->repeaters = fit->customers;
	if (fit->customers < FEWEST_REPEATERS)
	{
		fit->verdict = psprintf("not enough data: " INT64_FORMAT " customers with a mean spend, fewer than %d",
								fit->customers, FEWEST_REPEATERS);
		return;
	}
	if (!differ)
	{
		ExpectTheMean(spends, n, "all mean spends are the same", fit);
		return;
	}

	/* the geometric mean, which does not depend on a few big spenders */
	Summarize(&all);
	mean = exp(all.sum_log / all.customers);
	all.scale = exp2(-floor(log2(mean)));
	mean *= all.scale;
	Summarize(&all);
	sample = TakeSample(&all);
	data.customers = all.customers;
	data.sampled = sample.customers;
	if (sample.spends != all.spends)
		data.sample = &sample;
	for (int i = 0; i < STARTS; i++)
	{
		starts[i][0] = log(rough[i][0]);
		starts[i][1] = log(rough[i][1]);
		starts[i][2] = log(mean * (rough[i][1] - 1) / rough[i][0]);
	}
	for (int k = 0; k < SPEND_PARAMS; k++)
		weak.center[k] = exp(starts[0][k]);
	if (prior)
	{
		scaled = *prior;
		scaled.center[2] *= all.scale;
		prior = &scaled;
	}

	fit->usable = MaximizeBySample(&data, SPEND_PARAMS, starts, STARTS, prior, &weak, fit);
	if (fit->usable)
		fault = InfiniteMean(fit);
	if (!fit->usable || fault)
	{
		fit->usable = MaximizeBySample(&data, SPEND_PARAMS, starts, STARTS, &weak, &weak, fit);
		if (!fit->usable)
		{
			no_maximum = fault == NULL;
			fault = fault ? fault : "the likelihood has no regular maximum";
		}
		else if (InfiniteMean(fit))
		{
			fault = InfiniteMean(fit);
			fit->usable = false;
		}
		else
		{
			if (!fault)
				fault = fit->covariance[0][0] > fit->covariance[1][1] ?
					"the spends of a customer do not differ: p runs away" :
					"customers do not differ in what they spend: q and v run away";
			fit->fallback = psprintf("weak prior: %s", fault);
		}
	}
	else
		fault = Doubt(&all, fit);
	fit->verdict = fault ? fault : "ok";

	/* back to the currency of the means */
	fit->log_likelihood += all.customers * log(all.scale);
	fit->params[2] /= all.scale;
	fit->errors[2] /= all.scale;
	if (data.sample != data.all)
		pfree(unconstify(Spends *, sample.spends));
	if (no_maximum)
		ExpectTheMean(spends, n, fault, fit);
}

const char *
SpendParamsFault(const double *params, int nparams)
{
	if (nparams != SPEND_PARAMS)
		return psprintf("gamma_gamma has %d parameters, not %d", SPEND_PARAMS, nparams);
	for (int i = 0; i < SPEND_PARAMS; i++)
	{
		double		least = i == 2 ? LEAST_SPEND : LEAST_PARAM;
		double		greatest = i == 2 ? GREATEST_SPEND : GREATEST_PARAM;

		if (!(params[i] >= least && params[i] <= greatest))
			return psprintf("parameter %s of gamma_gamma must be between %g and %g, not %g",
							spend_param_names[i], least, greatest, params[i]);
	}
	return NULL;
}

const char *
SpendFault(double x, double mean)
{
	if (!(x >= 0 && x <= PG_INT32_MAX) || x != floor(x))
		return psprintf("the number of spends must be a whole number from 0 to %d", PG_INT32_MAX);
	if (x > 0 && !(mean >= LEAST_SPEND && mean <= GREATEST_SPEND))
		return psprintf("a mean spend must be between %g and %g", LEAST_SPEND, GREATEST_SPEND);
	return NULL;
}

double
SpendLogLikelihood(const double *params, double x, double mean)
{
	double		sum = params[2] + x * mean;

	if (x == 0)
		return 0;
	return LogBetaTerm(params[0] * x, params[1], x * mean / sum, params[2] / sum) - log(mean);
}

double
SpendExpected(const double *params, double x, double mean)
{
	double		p = params[0];
	double		excess = params[1] - 1 + p * x;

	if (x == 0)
		mean = 0;
	return excess > 0 ? p * (params[2] + x * mean) / excess : INFINITY;
}
