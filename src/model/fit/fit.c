/*
 * fit.c
 *		Maximum likelihood for models of up to four positive parameters.
 *
 * A climb works on the logarithms of the parameters, where these likelihoods
 * are close to quadratic and no parameter can become negative.  While steps are
 * long each is a Newton step from a fresh Hessian; where the Hessian is not
 * negative definite, a direction that curves up is gone uphill as far as if it
 * curved down.  Once steps are short, the Hessian is only kept up by BFGS
 * updates from the gradients, which costs nothing, until the end, where a fresh
 * one confirms the maximum and gives the covariance of the estimates.
 *
 * Near a maximum the likelihood of a million customers no longer tells two
 * points apart: its rounding error exceeds what is left to gain.  Gradients
 * still do, so there a step is judged by the gradient, and when that no longer
 * falls either, a maximum is a maximum if what the quadratic promises beyond it
 * is nothing compared with a unit of log-likelihood, which is what the precision
 * of estimates is measured in.
 *
 * Not every likelihood has a maximum. Customers who do not differ send r and
 * alpha to infinity along a ridge; data that know nothing of dropout leave it
 * at a boundary.  Then the logarithms walk away or the curvature in some
 * direction vanishes while there is hardly anything left to gain, and the
 * caller is told that there is no fit.
 */
#include "postgres.h"

#include <math.h>

#include "model/fit/fit.h"
#include "model/fit/interrupt.h"

#define MAX_STEPS 100
#define LONGEST_STEP 1.5		/* by which a logarithm may change at once */
#define SHORT_STEP 0.05			/* up to here the Hessian is updated rather than computed */
#define FARTHEST 25.0			/* a logarithm beyond has run away */
#define GRADIENT_GOAL 1e-10		/* per customer */
#define STEP_GOAL 1e-7
#define NOTHING_TO_GAIN 1e-6	/* units of log-likelihood */
#define FLATTEST 6.0			/* a standard error of a logarithm beyond is a flat ridge, */
#define LITTLE_TO_GAIN 0.1		/* where no more than this is ahead */
#define EIGEN_SWEEPS 8
#define DIFFERENCE 1e-4			/* of logarithms, for differences of gradients */

typedef struct Climb
{
	LogLikelihood likelihood;
	void	   *data;
	int			n;
	const Prior *prior;
	double		customers;
	int			evaluations;

	/* where it is */
	double		theta[MAX_PARAMS];
	double		height;			/* log-likelihood with the prior */
	double		log_likelihood;
	double		gradient[MAX_PARAMS];
	double		bend[MAX_PARAMS][MAX_PARAMS];	/* minus the Hessian */
	bool		fresh;			/* it is of this very point */
} Climb;

static bool
Finite(const double *values, int n)
{
	for (int i = 0; i < n; i++)
	{
		if (!isfinite(values[i]))
			return false;
	}
	return true;
}

/* Move to theta; a point where anything is not finite is infinitely low. */
static void
Evaluate(Climb *climb, const double *theta, bool with_bend)
{
	int			n = climb->n;
	double		sd = climb->prior ? climb->prior->sd : 0;
	bool		good;

	CHECK_FOR_INTERRUPTS();
	climb->evaluations++;
	memcpy(climb->theta, theta, sizeof(climb->theta));
	climb->log_likelihood = climb->likelihood(theta, climb->gradient,
											  with_bend ? climb->bend : NULL, climb->data);
	climb->height = climb->log_likelihood;
	good = Finite(climb->gradient, n);
	for (int i = 0; i < n; i++)
	{
		if (with_bend)
		{
			for (int j = 0; j < n; j++)
				climb->bend[i][j] = -climb->bend[i][j];
			good = good && Finite(climb->bend[i], n);
		}
		if (sd > 0)
		{
			double		off = (theta[i] - log(climb->prior->center[i])) / sd;

			climb->height -= 0.5 * off * off;
			climb->gradient[i] -= off / sd;
			if (with_bend)
				climb->bend[i][i] += 1 / (sd * sd);
		}
	}
	if (!good || !isfinite(climb->height))
		climb->height = -INFINITY;
	climb->fresh = with_bend;
}

/* The lower triangle of a Cholesky factor; false if the matrix is not positive definite. */
static bool
Cholesky(const double (*matrix)[MAX_PARAMS], int n, double (*factor)[MAX_PARAMS])
{
	for (int i = 0; i < n; i++)
	{
		for (int j = 0; j <= i; j++)
		{
			double		sum = matrix[i][j];
			double		diagonal = sum;

			for (int k = 0; k < j; k++)
				sum -= factor[i][k] * factor[j][k];
			if (i != j)
				factor[i][j] = sum / factor[j][j];
			else if (sum > 1e-13 * diagonal)
				factor[i][i] = sqrt(sum);
			else
				return false;
		}
	}
	return true;
}

static void
Solve(const double (*factor)[MAX_PARAMS], int n, const double *right, double *solution)
{
	for (int i = 0; i < n; i++)
	{
		solution[i] = right[i];
		for (int k = 0; k < i; k++)
			solution[i] -= factor[i][k] * solution[k];
		solution[i] /= factor[i][i];
	}
	for (int i = n - 1; i >= 0; i--)
	{
		for (int k = i + 1; k < n; k++)
			solution[i] -= factor[k][i] * solution[k];
		solution[i] /= factor[i][i];
	}
}

static double
Dot(const double *a, const double *b, int n)
{
	double		sum = 0;

	for (int i = 0; i < n; i++)
		sum += a[i] * b[i];
	return sum;
}

static double
Largest(const double *values, int n)
{
	double		largest = 0;

	for (int i = 0; i < n; i++)
		largest = Max(largest, fabs(values[i]));
	return largest;
}

/* Jacobi's rotations: the eigenvalues of a symmetric matrix, and their vectors as columns. */
static void
Eigen(const double (*matrix)[MAX_PARAMS], int n, double *values, double (*vectors)[MAX_PARAMS])
{
	double		m[MAX_PARAMS][MAX_PARAMS];

	memcpy(m, matrix, sizeof(m));
	for (int i = 0; i < n; i++)
	{
		for (int j = 0; j < n; j++)
			vectors[i][j] = i == j;
	}
	for (int sweep = 0; sweep < EIGEN_SWEEPS; sweep++)
	{
		for (int p = 0; p < n; p++)
		{
			for (int q = p + 1; q < n; q++)
			{
				double		ratio = (m[q][q] - m[p][p]) / (2 * m[p][q]);
				double		t = copysign(1, ratio) / (fabs(ratio) + hypot(1, ratio));
				double		c = 1 / hypot(1, t);
				double		s = t * c;

				if (m[p][q] == 0)
					continue;
				for (int k = 0; k < n; k++)
				{
					double		kp = m[k][p];
					double		vp = vectors[k][p];

					m[k][p] = c * kp - s * m[k][q];
					m[k][q] = s * kp + c * m[k][q];
					vectors[k][p] = c * vp - s * vectors[k][q];
					vectors[k][q] = s * vp + c * vectors[k][q];
				}
				for (int k = 0; k < n; k++)
				{
					double		pk = m[p][k];

					m[p][k] = c * pk - s * m[q][k];
					m[q][k] = s * pk + c * m[q][k];
				}
			}
		}
	}
	for (int i = 0; i < n; i++)
		values[i] = m[i][i];
}

/*
 * The Newton step, no longer than LONGEST_STEP, where the likelihood is
 * concave. Elsewhere what Newton would do if every curvature were negative,
 * no longer than that in any main direction; false.
 */
static bool
NewtonStep(const Climb *climb, double *step)
{
	int			n = climb->n;
	double		factor[MAX_PARAMS][MAX_PARAMS];
	double		curvatures[MAX_PARAMS];
	double		directions[MAX_PARAMS][MAX_PARAMS];
	double		length;

	if (Cholesky(climb->bend, n, factor))
	{
		Solve(factor, n, climb->gradient, step);
		length = Largest(step, n);
		for (int i = 0; length > LONGEST_STEP && i < n; i++)
			step[i] *= LONGEST_STEP / length;
		return true;
	}
	Eigen(climb->bend, n, curvatures, directions);
	memset(step, 0, n * sizeof(double));
	for (int i = 0; i < n; i++)
	{
		double		along = 0;

		for (int k = 0; k < n; k++)
			along += directions[k][i] * climb->gradient[k];
		along /= Max(fabs(curvatures[i]), fabs(along) / LONGEST_STEP);
		for (int k = 0; isfinite(along) && k < n; k++)
			step[k] += along * directions[k][i];
	}
	return false;
}

/* BFGS: the least change of the bend that explains how the gradient changed. */
static void
UpdateBend(Climb *climb, const Climb *from)
{
	int			n = climb->n;
	double		s[MAX_PARAMS];
	double		y[MAX_PARAMS];
	double		bs[MAX_PARAMS];
	double		sy;
	double		sbs;

	memcpy(climb->bend, from->bend, sizeof(climb->bend));
	for (int i = 0; i < n; i++)
	{
		s[i] = climb->theta[i] - from->theta[i];
		y[i] = from->gradient[i] - climb->gradient[i];
	}
	for (int i = 0; i < n; i++)
		bs[i] = Dot(from->bend[i], s, n);
	sy = Dot(s, y, n);
	sbs = Dot(s, bs, n);
	if (sbs <= 0 || sy <= 1e-8 * sqrt(Dot(s, s, n) * Dot(y, y, n)))
		return;
	for (int i = 0; i < n; i++)
	{
		for (int j = 0; j < n; j++)
			climb->bend[i][j] += y[i] * y[j] / sy - bs[i] * bs[j] / sbs;
	}
}

/*
 * One step up, shortened until it helps. False where none does. Updates are
 * only good for a bend that is positive definite.
 */
static bool
StepUp(Climb *climb, const double *step, bool concave)
{
	Climb		from = *climb;
	int			n = climb->n;
	double		slope = Dot(climb->gradient, step, n);
	double		length = Largest(step, n);
	bool		blind = slope < 1e-13 * fabs(climb->height);

	for (double share = 1; share > 1e-6; share *= 0.25)
	{
		double		theta[MAX_PARAMS] = {0};
		bool		up;

		for (int i = 0; i < n; i++)
			theta[i] = from.theta[i] + share * step[i];
		Evaluate(climb, theta, !concave || share * length > SHORT_STEP);
		if (blind)
			up = isfinite(climb->height) && Largest(climb->gradient, n) < 0.9 * Largest(from.gradient, n);
		else
			up = climb->height >= from.height + 1e-4 * share * slope;
		if (up)
		{
			if (!climb->fresh)
				UpdateBend(climb, &from);
			return true;
		}
		if (blind)
			break;
	}
	from.evaluations = climb->evaluations;
	*climb = from;
	return false;
}

/* The inverse of the bend; false if it is not positive definite, or flat in some direction. */
static bool
Covariance(const Climb *climb, double (*covariance)[MAX_PARAMS])
{
	double		factor[MAX_PARAMS][MAX_PARAMS];
	int			n = climb->n;

	if (!Cholesky(climb->bend, n, factor))
		return false;
	for (int i = 0; i < n; i++)
	{
		double		unit[MAX_PARAMS] = {0};

		unit[i] = 1;
		Solve(factor, n, unit, covariance[i]);
		if (!(covariance[i][i] <= FLATTEST * FLATTEST))
			return false;
	}
	return true;
}

/* To the top; false if there is none this way. */
static bool
ClimbUp(Climb *climb)
{
	double		covariance[MAX_PARAMS][MAX_PARAMS];
	double		step[MAX_PARAMS];
	bool		concave;
	bool		done;
	double		gain;

	for (int i = 0; i < MAX_STEPS && isfinite(climb->height); i++)
	{
		concave = NewtonStep(climb, step);
		gain = Dot(climb->gradient, step, climb->n);
		if (climb->fresh && gain <= (concave ? LITTLE_TO_GAIN : NOTHING_TO_GAIN) &&
			!Covariance(climb, covariance))
			return false;
		done = concave && Largest(step, climb->n) <= STEP_GOAL &&
			Largest(climb->gradient, climb->n) <= GRADIENT_GOAL * climb->customers;
		if (done && climb->fresh)
			return true;
		if (!done)
		{
			if (Largest(climb->theta, climb->n) > FARTHEST)
				return false;
			if (StepUp(climb, step, concave))
				continue;
			if (climb->fresh)
				return concave && gain <= NOTHING_TO_GAIN;
		}
		Evaluate(climb, climb->theta, true);
	}
	return false;
}

bool
Maximize(LogLikelihood likelihood, void *data, int nparams,
		 const double (*starts)[MAX_PARAMS], int nstarts,
		 const Prior *prior, double customers, Fit *fit)
{
	Climb		best = {.height = -INFINITY};
	double		covariance[MAX_PARAMS][MAX_PARAMS] = {{0}};
	bool		regular = false;
	int			evaluations = 0;

	for (int i = 0; i < nstarts; i++)
	{
		Climb		climb = {likelihood, data, nparams, prior, customers};
		bool		found;

		Evaluate(&climb, starts[i], true);
		found = ClimbUp(&climb);
		evaluations += climb.evaluations;

		/*
		 * A way without a top that leads higher than the best top says that
		 * there is no maximum; of equals the top counts.
		 */
		if (climb.height > best.height + NOTHING_TO_GAIN ||
			(found && !regular && climb.height >= best.height - NOTHING_TO_GAIN))
		{
			best = climb;
			regular = found;
		}
	}
	if (!regular || !Covariance(&best, covariance))
		return false;

	fit->nparams = nparams;
	fit->log_likelihood = best.log_likelihood;
	fit->gradient_norm = Largest(best.gradient, nparams) / customers;
	fit->iterations = evaluations;
	memcpy(fit->covariance, covariance, sizeof(covariance));
	for (int i = 0; i < nparams; i++)
	{
		fit->params[i] = exp(best.theta[i]);
		fit->errors[i] = fit->params[i] * sqrt(covariance[i][i]);
	}
	return true;
}

bool
MaximizeBySample(const FitData *data, int nparams, const double (*starts)[MAX_PARAMS], int nstarts,
				 const Prior *prior, const Prior *weak, Fit *fit)
{
	double		start[1][MAX_PARAMS] = {{0}};

	if (data->sample == data->all)
		return Maximize(data->likelihood, data->all, nparams, starts, nstarts, prior,
						data->customers, fit);
	if (!Maximize(data->likelihood, data->sample, nparams, starts, nstarts, prior, data->sampled, fit) &&
		!Maximize(data->likelihood, data->sample, nparams, starts, nstarts, weak, data->sampled, fit))
		return Maximize(data->likelihood, data->all, nparams, starts, nstarts, prior,
						data->customers, fit);
	for (int k = 0; k < nparams; k++)
		start[0][k] = log(fit->params[k]);
	return Maximize(data->likelihood, data->all, nparams, start, 1, prior, data->customers, fit);
}

void
HessianByDifferences(LogLikelihood likelihood, const double *theta, int nparams,
					 double (*hessian)[MAX_PARAMS], void *data)
{
	double		up[MAX_PARAMS] = {0};
	double		down[MAX_PARAMS] = {0};
	double		change[MAX_PARAMS][MAX_PARAMS];

	for (int i = 0; i < nparams; i++)
	{
		double		moved[MAX_PARAMS];

		memcpy(moved, theta, sizeof(moved));
		moved[i] = theta[i] + DIFFERENCE;
		likelihood(moved, up, NULL, data);
		moved[i] = theta[i] - DIFFERENCE;
		likelihood(moved, down, NULL, data);
		for (int j = 0; j < nparams; j++)
			change[i][j] = (up[j] - down[j]) / (2 * DIFFERENCE);
	}
	for (int i = 0; i < nparams; i++)
	{
		for (int j = 0; j < nparams; j++)
			hessian[i][j] = 0.5 * (change[i][j] + change[j][i]);
	}
}

double
ErrorOfLogs(const Fit *fit, const double *weights)
{
	double		variance = 0;

	for (int i = 0; i < fit->nparams; i++)
		variance += weights[i] * Dot(fit->covariance[i], weights, fit->nparams);
	return sqrt(variance);
}
