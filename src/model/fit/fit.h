/*
 * fit.h
 *		Maximum likelihood for models of up to four positive parameters.
 */
#ifndef CUSTSEG_FIT_H
#define CUSTSEG_FIT_H

#include "postgres.h"

#define MAX_PARAMS 4
#define FEWEST_REPEATERS 10		/* customers with a repeat purchase that a fit needs */

/*
 * A log-likelihood at theta, the logarithms of the parameters; writes the
 * gradient, and the Hessian too where one is asked for (hessian != NULL), both
 * by theta.  One without an analytic Hessian calls HessianByDifferences().
 */
typedef double (*LogLikelihood) (const double *theta, double *gradient,
								 double (*hessian)[MAX_PARAMS], void *data);

/* A weak prior: ln(parameter i) is normal around ln(center[i]). sd = 0: no prior. */
typedef struct Prior
{
	double		center[MAX_PARAMS];
	double		sd;
} Prior;

/* What came out. */
typedef struct Fit
{
	bool		usable;			/* there are parameters */
	int			nparams;
	double		params[MAX_PARAMS];
	double		errors[MAX_PARAMS]; /* standard errors; NaN where the Hessian gives none */
	double		covariance[MAX_PARAMS][MAX_PARAMS]; /* of the logarithms of the parameters */
	double		log_likelihood; /* without the prior */
	double		gradient_norm;	/* largest |d / d ln parameter| of what was climbed, per customer */
	int			iterations;
	int64		customers;
	int64		repeaters;		/* customers with a repeat purchase */
	int64		transactions;	/* their repeat purchases */
	bool		dropout_identified; /* the data say when customers leave: P(alive) means something */
	const char *verdict;		/* "ok", or in words what is wrong */
	const char *fallback;		/* what was done instead of plain maximum likelihood, and why; or NULL */
} Fit;

/*
 * Climb from each of the starts (logarithms) and keep the highest maximum:
 * fills in parameters, errors, covariance, likelihood, gradient norm and
 * iterations.  False when no start leads to a regular maximum: the parameters
 * run away to a boundary or lie on a flat ridge.  With one start that is good
 * already, such as the result for a sample, it takes a few evaluations.
 */
extern bool Maximize(LogLikelihood likelihood, void *data, int nparams,
					 const double (*starts)[MAX_PARAMS], int nstarts,
					 const Prior *prior, double customers, Fit *fit);

/* What a likelihood sums over: everything, and a sample of it, or again everything where that is small. */
typedef struct FitData
{
	LogLikelihood likelihood;
	void	   *all;
	void	   *sample;
	double		customers;
	double		sampled;
} FitData;

/*
 * The same, from the starts on the sample, and from where that leads on all.
 * Where a sample is too small to have a maximum it has one with a weak prior,
 * and that is a good start too.
 */
extern bool MaximizeBySample(const FitData *data, int nparams,
							 const double (*starts)[MAX_PARAMS], int nstarts,
							 const Prior *prior, const Prior *weak, Fit *fit);

/* The Hessian at theta from central differences of the likelihood's gradient. */
extern void HessianByDifferences(LogLikelihood likelihood, const double *theta, int nparams,
								 double (*hessian)[MAX_PARAMS], void *data);

/* Standard error of the sum of weight x ln parameter. NaN where there is no covariance. */
extern double ErrorOfLogs(const Fit *fit, const double *weights);

#endif							/* CUSTSEG_FIT_H */
