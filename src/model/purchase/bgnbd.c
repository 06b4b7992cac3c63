/*
 * bgnbd.c
 *		The BG/NBD and MBG/NBD models: customers buy at random at rates of their
 *		own, gamma(r, alpha), and may leave for good after a purchase, each with
 *		a probability of its own, beta(a, b).
 *
 * Fader, Hardie and Lee (2005), "Counting Your Customers the Easy Way: An
 * Alternative to the Pareto/NBD Model"; Batislam, Denizel and Filiztekin (2007),
 * "Empirical validation and comparison of models for customer base analysis".
 * They differ in whether a customer may leave after the very first purchase,
 * which counts as no repeat purchase: in BG/NBD not, in MBG/NBD yes.  With d = 0
 * for the one and 1 for the other both have one likelihood,
 *
 *		L = (r)_x (b)_(x+d) / (a+b)_(x+d) alpha^r (alpha+T)^-(r+x) (1 + e^u),
 *		e^u = a/(b+x-1+d) ((alpha+T)/(alpha+t_x))^(r+x),
 *
 * where (y)_n is the rising factorial and e^u the odds of having left, which for
 * BG/NBD and x = 0 are nothing.
 *
 * In the derivatives by the logarithms of the parameters all that depends on a
 * single history are a few sums: with m = r + x, D = ln((alpha+T)/(alpha+t_x)),
 * F = alpha/(alpha+T) - alpha/(alpha+t_x) and w = b/(b+x-1+d), the gradient of u
 * is (r D, m F, 1, -w), and ln(1 + e^u) has the gradient p u' and the Hessian
 * p u'' + p (1-p) u' u'^T, p being the chance of having left.  Histories come
 * sorted by x, and the rest is done once for all of one x.
 */
#include "postgres.h"

#include <math.h>

#include "model/fit/interrupt.h"
#include "model/fit/special.h"
#include "model/purchase/family.h"

/* Sums over the histories of one x, each counted as often as it has customers. */
typedef struct Sums
{
	double		n;
	double		l;				/* ln((alpha+T)/alpha) */
	double		v;				/* alpha/(alpha+T) */
	double		rest;			/* 1 - v */
	double		both;			/* v (1 - v) */
	double		left;			/* ln(1 + e^u) */
	double		p;
	double		pD;
	double		pF;
	double		pK;				/* K = F (1 - alpha/(alpha+T) - alpha/(alpha+t_x)) */
	double		q;				/* q = p (1 - p) */
	double		qD;
	double		qF;
	double		qDD;
	double		qDF;
	double		qFF;
} Sums;

typedef struct Params
{
	double		r;
	double		alpha;
	double		a;
	double		b;
} Params;

/* Add up to a block of the histories of one x; how many were taken. */
static int
SumBlock(const Params *params, const Repeats *repeats, int64 n, double scale, bool dropout,
		 double log_odds, bool with_q, Sums *sums)
{
	double		alpha = params->alpha;
	double		inverse = 1 / alpha;
	double		m = params->r + repeats->x;
	double		last = -1;
	double		l = 0;
	double		T = 0;
	double		v = 0;
	double		rest = 0;
	Sums		s = {0};
	int			i;

	for (i = 0; i < Min(n, HISTORY_BLOCK) && repeats[i].x == repeats[0].x; i++)
	{
		double		customers = repeats[i].customers;

		if (repeats[i].T != last)
		{
			last = repeats[i].T;
			T = last * scale;
			l = log1p(T * inverse);
			v = alpha / (alpha + T);
			rest = T / (alpha + T);
		}
		s.n += customers;
		s.l += customers * l;
		s.v += customers * v;
		s.rest += customers * rest;
		s.both += customers * v * rest;
		if (dropout)
		{
			double		t_x = repeats[i].t_x * scale;
			double		share = 1 / (alpha + t_x);
			double		v_x = alpha * share;
			double		D = l - log((alpha + t_x) * inverse);
			double		F = v * (t_x - T) * share;
			double		u = log_odds + m * D;
			double		e = exp(-fabs(u));
			double		less = 1 / (1 + e);
			double		p = customers * (u > 0 ? less : e * less);

			s.left += customers * (Max(u, 0) + log(1 + e));
			s.p += p;
			s.pD += p * D;
			s.pF += p * F;
			if (with_q)
			{
				double		q = customers * e * less * less;

				s.pK += p * F * (1 - v - v_x);
				s.q += q;
				s.qD += q * D;
				s.qF += q * F;
				s.qDD += q * D * D;
				s.qDF += q * D * F;
				s.qFF += q * F * F;
			}
		}
	}
	for (int k = 0; k < sizeof(Sums) / sizeof(double); k++)
		((double *) sums)[k] += ((double *) &s)[k];
	return i;
}

/* What the histories of one x give to the Hessian. */
static void
AddHessian(const Params *params, double x, double w, const Sums *s, const Rising *rate,
		   const Rising *stay, const Rising *all, double (*hessian)[MAX_PARAMS])
{
	double		r = params->r;
	double		a = params->a;
	double		b = params->b;
	double		m = r + x;

	hessian[0][0] += r * (s->n * rate->first - s->l + s->pD) +
		r * r * (s->n * rate->second + s->qDD);
	hessian[0][1] += r * (s->rest + s->pF + m * s->qDF);
	hessian[0][2] += r * s->qD;
	hessian[0][3] -= r * w * s->qD;
	hessian[1][1] += m * (s->pK - s->both + m * s->qFF);
	hessian[1][2] += m * s->qF;
	hessian[1][3] -= m * w * s->qF;
	hessian[2][2] += s->q - s->n * a * (all->first + a * all->second);
	hessian[2][3] -= w * s->q + s->n * a * b * all->second;
	hessian[3][3] += w * w * s->q - w * (1 - w) * s->p +
		s->n * b * (stay->first - all->first + b * (stay->second - all->second));
}

static double
Likelihood(const double *theta, double *gradient, double (*hessian)[MAX_PARAMS],
		   const Histories *histories, int d)
{
	Params		params = {exp(theta[0]), exp(theta[1]), exp(theta[2]), exp(theta[3])};
	double		r = params.r;
	double		b = params.b;
	Rising		rate = {.a = r};
	Rising		stay = {.a = b};
	Rising		all = {.a = params.a + b};
	double		height = 0;

	memset(gradient, 0, MAX_PARAMS * sizeof(double));
	if (hessian)
		memset(hessian, 0, MAX_PARAMS * sizeof(*hessian));
	for (int64 i = 0; i < histories->n;)
	{
		double		x = histories->repeats[i].x;
		bool		dropout = x + d > 0;
		double		w = dropout ? b / (b + x - 1 + d) : 0;
		double		log_odds = dropout ? theta[2] - log(b + x - 1 + d) : 0;
		Sums		s = {0};

		while (i < histories->n && histories->repeats[i].x == x)
		{
			CHECK_FOR_INTERRUPTS();
			i += SumBlock(&params, histories->repeats + i, histories->n - i, histories->scale,
						  dropout, log_odds, hessian != NULL, &s);
		}
		RaiseTo(&rate, x);
		RaiseTo(&stay, x + d);
		RaiseTo(&all, x + d);
		height += s.n * (rate.log + stay.log - all.log - x * theta[1]) - (r + x) * s.l + s.left;
		gradient[0] += r * (s.n * rate.first - s.l + s.pD);
		gradient[1] += r * s.rest - x * s.v + (r + x) * s.pF;
		gradient[2] += s.p - s.n * params.a * all.first;
		gradient[3] += s.n * b * (stay.first - all.first) - w * s.p;
		if (hessian)
			AddHessian(&params, x, w, &s, &rate, &stay, &all, hessian);
	}
	if (hessian)
	{
		for (int i = 1; i < MAX_PARAMS; i++)
		{
			for (int j = 0; j < i; j++)
				hessian[i][j] = hessian[j][i];
		}
	}
	return height;
}

double
BgLikelihood(const double *theta, double *gradient, double (*hessian)[MAX_PARAMS], void *histories)
{
	return Likelihood(theta, gradient, hessian, histories, 0);
}

double
MbgLikelihood(const double *theta, double *gradient, double (*hessian)[MAX_PARAMS], void *histories)
{
	return Likelihood(theta, gradient, hessian, histories, 1);
}
