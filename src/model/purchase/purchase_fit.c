/*
 * purchase_fit.c
 *		Fits of the purchase models, and what is to be thought of them.
 *
 * Times are scaled by a power of two, which changes no digit, so that they are
 * around one whatever the unit.  A few starts climb on a sample of the
 * customers, every so many-th of the sorted histories; from where the best of
 * them ends all customers need no more than a few evaluations.
 *
 * A maximum can be missing: customers who do not differ from each other send
 * the parameters of their rate to infinity, histories that show no dropout send
 * those of dropout.  Then the fit is done again with a weak prior, which moves a
 * parameter only where the data say next to nothing about it, and says so.
 *
 * And a maximum can mean nothing.  Irregular buying looks like dropout that
 * everybody is spared, so that P(alive) is near one for all; or dropout improves
 * the likelihood no more than chance would.  Dropout counts as identified if
 * the model beats NBD, which it contains as the case without dropout, by 4.6
 * units of log-likelihood (the 1 % point of chi-square for its two further
 * parameters, halved), and if the logarithm of its size, the mean chance to
 * leave a/(a + b), or the rate s/beta of Pareto/NBD, has a standard error below
 * a half.
 */
#include "postgres.h"

#include <math.h>

#include "model/fit/interrupt.h"
#include "model/purchase/family.h"
#include "model/purchase/purchase.h"

#define SAMPLE 20000			/* customers that the starts climb on */
#define STARTS 3
#define WEAK_PRIOR_SD 2.5
#define CLEAR_GAIN 4.6
#define CLEAR_ERROR 0.5

const char *const purchase_model_names[PURCHASE_MODELS] = {
	"nbd", "bgnbd", "mbgnbd", "paretonbd"
};
const char *const purchase_param_names[PURCHASE_MODELS][MAX_PARAMS] = {
	{"r", "alpha"},
	{"r", "alpha", "a", "b"},
	{"r", "alpha", "a", "b"},
	{"r", "alpha", "s", "beta"},
};
const int	purchase_nparams[PURCHASE_MODELS] = {2, 4, 4, 4};

static const LogLikelihood likelihoods[PURCHASE_MODELS] = {
	NbdLikelihood, BgLikelihood, MbgLikelihood, ParetoLikelihood
};

/* In scaled time; for alpha what r is to be divided by to be the mean rate. */
static const double rough[PURCHASE_MODELS][STARTS][MAX_PARAMS] = {
	{{0.5, 1}, {2, 1}, {0.1, 1}},
	{{0.5, 1, 0.7, 2}, {2, 1, 0.3, 5}, {0.2, 0.6, 1.5, 3}},
	{{0.5, 1, 0.7, 2}, {2, 1, 0.3, 5}, {0.2, 0.6, 1.5, 3}},
	{{0.5, 1, 0.7, 1}, {2, 1, 0.3, 2}, {0.2, 0.6, 1.5, 1}},
};

const bool	purchase_param_is_time[PURCHASE_MODELS][MAX_PARAMS] = {
	{false, true}, {false, true}, {false, true}, {false, true, false, true}
};

/* What a fit is made from. */
typedef struct Task
{
	Histories	histories;
	Histories	sample;
	FitData		data;			/* of the two */
	Prior		weak;
	double		rate;			/* repeat purchases per scaled time */
} Task;

/* A power of two that brings times around one. */
static double
TimeScale(const Repeats *repeats, int64 n)
{
	int64		exponents = 0;
	int64		customers = 0;
	int			exponent;

	for (int64 i = 0; i < n; i++)
	{
		CHECK_EVERY_SO_OFTEN(i);
		if (repeats[i].T > 0)
		{
			(void) frexp(repeats[i].T, &exponent);
			exponents += (int64) exponent * repeats[i].customers;
			customers += repeats[i].customers;
		}
	}
	return customers > 0 ? ldexp(1, -(int) (exponents / customers)) : 1;
}

/* Every so many-th customer, or all if they are few. */
static Histories
TakeSample(const Histories *all, int64 customers)
{
	Histories	sample = {.scale = all->scale};
	int64		every = customers / SAMPLE;
	int64		seen = 0;
	Repeats    *repeats;

	if (every < 2 || all->n <= 2 * SAMPLE)
		return *all;
	repeats = palloc((customers / every + 1) * sizeof(Repeats));
	for (int64 i = 0; i < all->n; i++)
	{
		int64		next = seen + all->repeats[i].customers;
		int64		taken = next / every - seen / every;

		CHECK_EVERY_SO_OFTEN(i);
		if (taken > 0)
		{
			repeats[sample.n] = all->repeats[i];
			repeats[sample.n++].customers = (int32) taken;
		}
		seen = next;
	}
	sample.repeats = repeats;
	return sample;
}

/* Climb from rough starts; false without a maximum. */
static bool
Climb(Task *task, PurchaseModel model, const Prior *prior, Fit *fit)
{
	double		starts[STARTS][MAX_PARAMS];

	for (int i = 0; i < STARTS; i++)
	{
		for (int k = 0; k < purchase_nparams[model]; k++)
			starts[i][k] = log(rough[model][i][k]);
		starts[i][1] = log(rough[model][i][0] * rough[model][i][1] / task->rate);
	}
	task->data.likelihood = likelihoods[model];
	return MaximizeBySample(&task->data, purchase_nparams[model], starts, STARTS, prior, &task->weak, fit);
}

static double
DropoutError(PurchaseModel model, const Fit *fit)
{
	double		a = fit->params[2];
	double		b = fit->params[3];

	if (model == PURCHASE_PARETONBD)
		return ErrorOfLogs(fit, (double[MAX_PARAMS]) {0, 0, 1, -1});
	return ErrorOfLogs(fit, (double[MAX_PARAMS]) {0, 0, b / (a + b), -b / (a + b)});
}

/* Whether dropout is identified: NULL, or in words why not. */
static const char *
DropoutFault(PurchaseModel model, double without, const Fit *fit)
{
	double		gain = fit->log_likelihood - without;
	double		error = DropoutError(model, fit);

	if (gain < CLEAR_GAIN)
		return psprintf("dropout is not identified: it gains %.1f in log-likelihood over nbd, "
						"less than %.1f", Max(gain, 0), CLEAR_GAIN);
	if (!(error < CLEAR_ERROR))
		return psprintf("dropout is not identified: the logarithm of its %s has a standard error "
						"of %.2f, not below %.1f",
						model == PURCHASE_PARETONBD ? "rate" : "mean chance", error, CLEAR_ERROR);
	return NULL;
}

/* What ran away, told from what a weak prior leaves uncertain. */
static const char *
RunawayReason(PurchaseModel model, const Fit *weak, bool identified)
{
	const char *const *names = purchase_param_names[model];
	double		rate = Max(weak->covariance[0][0], weak->covariance[1][1]);
	double		dropout = Max(weak->covariance[2][2], weak->covariance[3][3]);

	if (rate >= dropout)
		return psprintf("customers do not differ: %s and %s run away", names[0], names[1]);
	if (identified)
		return psprintf("customers do not differ in dropout: %s and %s run away", names[2], names[3]);
	return psprintf("dropout is not identified: %s and %s run away", names[2], names[3]);
}

void
FitPurchase(PurchaseModel model, const Repeats *repeats, int64 n, const Prior *prior, Fit *fit)
{
	Task		task = {.histories = {repeats, n, 1},.weak = {.sd = WEAK_PRIOR_SD}};
	double		scale;
	double		time = 0;
	Prior		scaled;
	bool		regular;

	memset(fit, 0, sizeof(*fit));
	fit->nparams = purchase_nparams[model];
	scale = task.histories.scale = TimeScale(repeats, n);
	for (int64 i = 0; i < n; i++)
	{
		CHECK_EVERY_SO_OFTEN(i);
		fit->customers += repeats[i].customers;
		if (repeats[i].x > 0)
			fit->repeaters += repeats[i].customers;
		fit->transactions += (int64) repeats[i].x * repeats[i].customers;
		time += repeats[i].T * scale * repeats[i].customers;
	}
	if (fit->repeaters < FEWEST_REPEATERS)
	{
		fit->verdict = psprintf("not enough data: " INT64_FORMAT " customers with a repeat purchase, fewer than %d",
								fit->repeaters, FEWEST_REPEATERS);
		return;
	}
	task.rate = fit->transactions / time;
	task.sample = TakeSample(&task.histories, fit->customers);
	task.data.all = &task.histories;
	task.data.customers = (double) fit->customers;
	task.data.sample = task.sample.repeats == repeats ? &task.histories : &task.sample;
	for (int64 i = 0; i < task.sample.n; i++)
		task.data.sampled += task.sample.repeats[i].customers;

	memcpy(task.weak.center, rough[model][0], sizeof(task.weak.center));
	task.weak.center[1] = task.weak.center[0] / task.rate;
	if (prior)
	{
		scaled = *prior;
		for (int i = 0; i < fit->nparams; i++)
		{
			if (purchase_param_is_time[model][i])
				scaled.center[i] *= scale;
		}
		prior = &scaled;
	}

	fit->usable = Climb(&task, model, prior, fit);
	regular = fit->usable;
	if (!regular)
		fit->usable = Climb(&task, model, &task.weak, fit);
	if (!fit->usable)
	{
		fit->verdict = "the likelihood has no regular maximum";
		return;
	}
	fit->verdict = "ok";
	if (model != PURCHASE_NBD)
	{
		Fit			nbd = *fit;
		const char *fault;

		if (!Climb(&task, PURCHASE_NBD, NULL, &nbd))
			(void) Climb(&task, PURCHASE_NBD, &task.weak, &nbd);
		fault = DropoutFault(model, nbd.log_likelihood, fit);
		fit->dropout_identified = fault == NULL;
		if (fault)
			fit->verdict = fault;
	}
	if (!regular)
	{
		fit->verdict = RunawayReason(model, fit, fit->dropout_identified);
		fit->fallback = psprintf("weak prior: %s", fit->verdict);
	}

	/* back to the unit of the histories */
	fit->log_likelihood += fit->transactions * log(scale);
	for (int i = 0; i < fit->nparams; i++)
	{
		if (purchase_param_is_time[model][i])
		{
			fit->params[i] /= scale;
			fit->errors[i] /= scale;
		}
	}
	if (task.data.sample != task.data.all)
		pfree(unconstify(Repeats *, task.sample.repeats));
}
