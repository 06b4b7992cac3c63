/*
 * bgbb.c
 *		BG/BB: buying or not at each of a row of opportunities.
 *
 * Before each opportunity a customer leaves with probability theta ~
 * Beta(gamma, delta); if still there, buys with probability p ~ Beta(alpha,
 * beta).  The paper writes everything as sums of products of beta functions.
 * Here they are walked one opportunity at a time: a customer who has not
 * bought since t_x, and is alive after opportunity i, at the next
 *
 *		leaves					gamma / (gamma+delta+i)
 *		stays and does not buy	(delta+i) / (gamma+delta+i) *
 *								(beta+i-x) / (alpha+beta+i)
 *
 * so the sum over when the customer may have left (equation 5) is made of
 * positive terms that follow from each other without a gamma function, and the
 * derivatives of their logarithms are sums of reciprocals.
 */
#include "postgres.h"

#include "model/fit/interrupt.h"
#include "model/fit/special.h"
#include "model/purchase/bgbb.h"

#define STARTS 3
#define WEAK_PRIOR_SD 2.5		/* as for purchase models */
#define CLEAR_GAIN 4.6			/* likewise */
#define CLEAR_ERROR 0.5
#define LEAST_PARAM 1e-12
#define GREATEST_PARAM 1e12
#define SMALL	1e-200

const char *const bgbb_param_names[BGBB_PARAMS] = {"alpha", "beta", "gamma", "delta"};

static const double rough[STARTS][MAX_PARAMS] = {{1, 1, 0.7, 3}, {0.5, 2, 0.3, 3}, {3, 3, 2, 10}};

/* Sums over the histories. */
typedef struct BgbbData
{
	const Chances *chances;
	int64		n;
} BgbbData;

static int
Compare(const Chances *a, const Chances *b)
{
	if (a->n != b->n)
		return a->n < b->n ? -1 : 1;
	if (a->x != b->x)
		return a->x < b->x ? -1 : 1;
	if (a->t_x != b->t_x)
		return a->t_x < b->t_x ? -1 : 1;
	return 0;
}

#define ST_SORT SortChances
#define ST_ELEMENT_TYPE Chances
#define ST_COMPARE(a, b) Compare(a, b)
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

int64
CollapseChances(Chances *chances, int64 n)
{
	int64		kept = 0;

	SortChances(chances, n);
	for (int64 i = 0; i < n; i++)
	{
		Chances    *last = kept > 0 ? &chances[kept - 1] : NULL;

		CHECK_EVERY_SO_OFTEN(i);
		if (last && Compare(last, &chances[i]) == 0 &&
			chances[i].customers <= PG_INT32_MAX - last->customers)
			last->customers += chances[i].customers;
		else
			chances[kept++] = chances[i];
	}
	return kept;
}

/* ln of the probability of a history up to t_x and of being alive then. */
static double
LogSeen(const double *params, double x, double t_x)
{
	double		buys = params[0] + params[1];
	double		leaves = params[2] + params[3];
	double		level = 0;
	double		seen = 1;

	for (double i = 0; i < t_x; i++)
	{
		seen *= (params[3] + i) / (leaves + i) *
			((i < x ? params[0] + i : params[1] + (i - x)) / (buys + i));
		if (seen < SMALL)
		{
			level += log(seen);
			seen = 1;
		}
	}
	return level + log(seen);
}

/*
 * What may have happened since t_x: still alive after the n-th opportunity,
 * left before, or, which is known not to be so, bought again.
 */
typedef struct Fates
{
	double		alive;
	double		left;
	double		bought;
} Fates;

static Fates
GetFates(const double *params, double x, double t_x, double n)
{
	double		buys = params[0] + params[1];
	double		leaves = params[2] + params[3];
	Fates		fates = {.alive = 1};

	for (double i = t_x; i < n; i++)
	{
		double		stays = fates.alive * ((params[3] + i) / (leaves + i));

		fates.left += fates.alive * (params[2] / (leaves + i));
		fates.bought += stays * ((params[0] + x) / (buys + i));
		fates.alive = stays * ((params[1] + (i - x)) / (buys + i));
	}
	return fates;
}

/* Equation 5. */
double
BgbbLogLikelihood(const double *params, double x, double t_x, double n)
{
	Fates		fates = GetFates(params, x, t_x, n);

	return LogSeen(params, x, t_x) +
		(fates.bought < 0.5 ? log1p(-fates.bought) : log(fates.alive + fates.left));
}

/* Equation 11. */
double
BgbbAlive(const double *params, double x, double t_x, double n)
{
	Fates		fates = GetFates(params, x, t_x, n);

	return fates.alive / (fates.alive + fates.left) * ((params[3] + n) / (params[2] + params[3] + n));
}

/* Expected opportunities at which a customer who is alive after n of them is alive, of so many. */
static double
ExpectedChances(const double *params, double n, double periods)
{
	double		leaves = params[2] + params[3];
	double		alive = 1;
	double		sum = 0;

	for (double i = n; i < n + periods; i++)
	{
		alive *= (params[3] + i) / (leaves + i);
		sum += alive;
	}
	return sum;
}

/* Equation 13: it is alive after n, then buys with the mean of p given the history. */
double
BgbbExpected(const double *params, double x, double t_x, double n, double periods)
{
	Fates		fates = GetFates(params, x, t_x, n);

	return fates.alive / (fates.alive + fates.left) *
		((params[0] + x) / (params[0] + params[1] + n)) * ExpectedChances(params, n, periods);
}

/* Equation 8. */
double
BgbbExpectedNew(const double *params, double periods)
{
	return params[0] / (params[0] + params[1]) * ExpectedChances(params, 0, periods);
}

/*
 * Equation 7: k purchases and alive to the end, or gone after i opportunities.
 * The terms over i can rise from next to nothing, so they are counted in units
 * of e^level.
 */
double
BgbbPmf(const double *params, double k, double n)
{
	double		buys = params[0] + params[1];
	double		leaves = params[2] + params[3];
	double		level = LogSeen(params, k, k);
	double		alive = 1;		/* with k purchases at i opportunities */
	double		sum = 0;

	for (double i = k; i < n; i++)
	{
		sum += alive * (params[2] / (leaves + i));
		alive *= (params[3] + i) / (leaves + i) * ((params[1] + (i - k)) / (buys + i)) *
			((i + 1) / (i + 1 - k));
		if (alive + sum > 1 / SMALL)
		{
			alive *= SMALL;
			sum *= SMALL;
			level -= log(SMALL);
		}
	}
	return Min(exp(level + log(alive + sum)), 1);
}

static double
BgbbLikelihood(const double *theta, double *gradient, double (*hessian)[MAX_PARAMS], void *arg)
{
	const BgbbData *data = arg;
	double		params[BGBB_PARAMS] = {exp(theta[0]), exp(theta[1]), exp(theta[2]), exp(theta[3])};
	double		alpha = params[0];
	double		beta = params[1];
	double		gamma = params[2];
	double		delta = params[3];
	double		total = 0;

	memset(gradient, 0, BGBB_PARAMS * sizeof(double));
	for (int64 h = 0; h < data->n; h++)
	{
		double		customers = data->chances[h].customers;
		double		x = data->chances[h].x;
		double		t_x = data->chances[h].t_x;
		double		n = data->chances[h].n;
		double		buys = DigammaRising(alpha + beta, t_x);
		double		leaves = DigammaRising(gamma + delta, t_x);
		double		by[BGBB_PARAMS] = {0};	/* of ln alive */
		double		by_sum[BGBB_PARAMS] = {0};	/* of sum */
		double		alive = 1;
		double		sum = 0;

		CHECK_FOR_INTERRUPTS();
		for (double i = t_x; i < n; i++)
		{
			double		either = 1 / (alpha + beta + i);
			double		stay = 1 / (gamma + delta + i);
			double		term = alive * gamma * stay;

			sum += term;
			by_sum[0] += term * by[0];
			by_sum[1] += term * by[1];
			by_sum[2] += term * (by[2] + 1 / gamma - stay);
			by_sum[3] += term * (by[3] - stay);
			alive *= (delta + i) * stay * ((beta + (i - x)) * either);
			by[0] -= either;
			by[1] += 1 / (beta + (i - x)) - either;
			by[2] -= stay;
			by[3] += 1 / (delta + i) - stay;
		}
		sum += alive;
		for (int k = 0; k < BGBB_PARAMS; k++)
			by_sum[k] = (by_sum[k] + alive * by[k]) / sum;

		total += customers * (LogSeen(params, x, t_x) + log(sum));
		gradient[0] += customers * alpha * (by_sum[0] + DigammaRising(alpha, x) - buys);
		gradient[1] += customers * beta * (by_sum[1] + DigammaRising(beta, t_x - x) - buys);
		gradient[2] += customers * gamma * (by_sum[2] - leaves);
		gradient[3] += customers * delta * (by_sum[3] + DigammaRising(delta, t_x) - leaves);
	}
	if (hessian)
		HessianByDifferences(BgbbLikelihood, theta, BGBB_PARAMS, hessian, arg);
	return total;
}

/* The model without dropout: beta-binomial. */
static double
BinomialLikelihood(const double *theta, double *gradient, double (*hessian)[MAX_PARAMS], void *arg)
{
	const BgbbData *data = arg;
	double		alpha = exp(theta[0]);
	double		beta = exp(theta[1]);
	double		total = 0;

	gradient[0] = gradient[1] = 0;
	for (int64 h = 0; h < data->n; h++)
	{
		double		customers = data->chances[h].customers;
		double		x = data->chances[h].x;
		double		n = data->chances[h].n;
		double		both = DigammaRising(alpha + beta, n);

		CHECK_FOR_INTERRUPTS();
		total += customers * (LogRising(alpha, x) + LogRising(beta, n - x) - LogRising(alpha + beta, n));
		gradient[0] += customers * alpha * (DigammaRising(alpha, x) - both);
		gradient[1] += customers * beta * (DigammaRising(beta, n - x) - both);
	}
	if (hessian)
		HessianByDifferences(BinomialLikelihood, theta, 2, hessian, arg);
	return total;
}

/* Whether dropout is identified: NULL, or in words why not. */
static const char *
DropoutFault(BgbbData *data, const Fit *fit)
{
	double		share = fit->params[3] / (fit->params[2] + fit->params[3]);
	double		error = ErrorOfLogs(fit, (double[MAX_PARAMS]) {0, 0, share, -share});
	Prior		weak = {.center = {1, 1},.sd = WEAK_PRIOR_SD};
	Fit			without = {0};
	double		gain;

	(void) (Maximize(BinomialLikelihood, data, 2, rough, STARTS, NULL, fit->customers, &without) ||
			Maximize(BinomialLikelihood, data, 2, rough, STARTS, &weak, fit->customers, &without));
	gain = fit->log_likelihood - without.log_likelihood;
	if (gain < CLEAR_GAIN)
		return psprintf("dropout is not identified: it gains %.1f in log-likelihood over a model "
						"without, less than %.1f", Max(gain, 0), CLEAR_GAIN);
	if (!(error < CLEAR_ERROR))
		return psprintf("dropout is not identified: the logarithm of its mean chance has a "
						"standard error of %.2f, not below %.1f", error, CLEAR_ERROR);
	return NULL;
}

void
FitBgbb(const Chances *chances, int64 n, const Prior *prior, Fit *fit)
{
	BgbbData	data = {.chances = chances,.n = n};
	Prior		weak = {.sd = WEAK_PRIOR_SD};
	const char *fault;
	bool		regular;

	memset(fit, 0, sizeof(*fit));
	fit->nparams = BGBB_PARAMS;
	for (int64 i = 0; i < n; i++)
	{
		CHECK_EVERY_SO_OFTEN(i);
		fit->customers += chances[i].customers;
		if (chances[i].x > 0)
			fit->repeaters += chances[i].customers;
		fit->transactions += (int64) chances[i].x * chances[i].customers;
	}
	if (fit->repeaters < FEWEST_REPEATERS)
	{
		fit->verdict = psprintf("not enough data: " INT64_FORMAT " customers with a repeat purchase, fewer than %d",
								fit->repeaters, FEWEST_REPEATERS);
		return;
	}
	memcpy(weak.center, rough[0], sizeof(weak.center));
	regular = Maximize(BgbbLikelihood, &data, BGBB_PARAMS, rough, STARTS, prior, fit->customers, fit);
	fit->usable = regular ||
		Maximize(BgbbLikelihood, &data, BGBB_PARAMS, rough, STARTS, &weak, fit->customers, fit);
	if (!fit->usable)
	{
		fit->verdict = "the likelihood has no regular maximum";
		return;
	}
	fault = DropoutFault(&data, fit);
	fit->dropout_identified = fault == NULL;
	if (!regular)
	{
		if (Max(fit->covariance[0][0], fit->covariance[1][1]) >=
			Max(fit->covariance[2][2], fit->covariance[3][3]))
			fault = "customers do not differ in how often they buy: alpha and beta run away";
		else if (fit->dropout_identified)
			fault = "customers do not differ in dropout: gamma and delta run away";
		fit->fallback = psprintf("weak prior: %s", fault);
	}
	fit->verdict = fault ? fault : "ok";
}

const char *
BgbbParamsFault(const double *params, int nparams)
{
	if (nparams != BGBB_PARAMS)
		return psprintf("bgbb has %d parameters, not %d", BGBB_PARAMS, nparams);
	for (int i = 0; i < BGBB_PARAMS; i++)
	{
		if (!(params[i] >= LEAST_PARAM && params[i] <= GREATEST_PARAM))
			return psprintf("parameter %s of bgbb must be between %g and %g, not %g",
							bgbb_param_names[i], LEAST_PARAM, GREATEST_PARAM, params[i]);
	}
	return NULL;
}

const char *
ChancesFault(double x, double t_x, double n)
{
	if (!(n >= 0 && n <= BGBB_MOST_PERIODS) || n != floor(n))
		return psprintf("the number of opportunities must be a whole number from 0 to %d",
						BGBB_MOST_PERIODS);
	if (!(x >= 0 && x <= t_x && t_x <= n) || x != floor(x) || t_x != floor(t_x))
		return "x, t_x and n must be whole numbers that rise";
	if (x == 0 && t_x != 0)
		return "without a repeat purchase the time of the last one must be 0";
	return NULL;
}
