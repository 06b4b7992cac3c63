/*
 * paretonbd.c
 *		Pareto/NBD: predictions of one customer.
 *
 * Schmittlein, Morrison and Colombo, "Counting Your Customers: Who Are They
 * and What Will They Do Next?", Management Science 33 (1987); formulas as in
 * Fader and Hardie, "A Note on Deriving the Pareto/NBD Model and Related
 * Expressions" (2005).  While alive a customer buys at rate lambda ~ Gamma(r,
 * alpha); the lifetime is exponential at rate mu ~ Gamma(s, beta).
 *
 * The textbook writes the likelihood with a difference of two hypergeometric
 * functions, which cancels, overflows or converges slowly in turn.  What they
 * stand for is one integral of a positive function, over the moment u at which
 * the customer may have left,
 *
 *		L = Gamma(r+x) alpha^r beta^s / Gamma(r) *
 *			{ (alpha+T)^-(r+x) (beta+T)^-s +
 *			  s integral over (t_x, T) of (alpha+u)^-(r+x) (beta+u)^-(s+1) du },
 *
 * and everything else is made of it.  With v = u - t_x the integrand, relative
 * to its value at t_x, falls from 1 as (1 + v/a)^-p (1 + v/b)^-q.
 *
 * Let a be the smaller of a and b.  In w = ln(1 + v/a) the first factor is the
 * exponential e^-pw, the singularity at v = -a has gone to infinity, and that
 * at v = -b is nowhere nearer to the axis than pi.  Such a function a
 * Gauss-Legendre quadrature of low order integrates to rounding: 8 or 12 nodes
 * for a usual customer, 16 for a long silence.  Which it takes follows from how
 * wide a panel is, beside pi, and how steeply the function falls on it; where no
 * order suffices panels are marched from v = 0 until the rest is nothing, a few
 * dozen for the wildest customer.  Nothing is subtracted.
 *
 * The distribution of purchases of a new customer needs the integral of a
 * function that rises and falls.  In the logarithm of u it is log-concave and
 * its mode is the root of a quadratic, so panels are marched from the mode to
 * both sides.
 */
#include "postgres.h"

#include <float.h>

#include "model/fit/interrupt.h"
#include "model/fit/special.h"
#include "model/purchase/family.h"
#include "model/purchase/pareto.h"

struct Pareto
{
	double		r;
	double		alpha;
	double		s;
	double		beta;
};

/*
 * A quadrature, and the panels on which its error is below 1e-13 whatever the
 * parameters: at most this wide in w, and such that the logarithm of the
 * integrand would fall by at most this if it were as steep everywhere as at
 * the end.  Found by trying all kinds of parameters.
 */
typedef struct Rule
{
	const Legendre *legendre;
	double		width;
	double		fall;
} Rule;

static const Rule rules[] = {
	{&legendre_8, 1.0, 3.75},
	{&legendre_12, 2.25, 12.5},
	{&legendre_16, 3.5, 25.5},
};

#define LAST_RULE	(&rules[lengthof(rules) - 1])
#define NEGLIGIBLE	1e-17

/*
 * On a panel at least this wide, for a far factor of at most this power, the
 * digits that expm1() and log1p() save do not matter: plain functions are faster.
 */
#define PLAIN_WIDTH 0.25
#define PLAIN_POWER 30.0

#define MODE_FALL	6.0			/* on a panel beside a mode the function falls by at most e^this */
#define MODE_WIDTH	4.0			/* and ln u changes at most by this */

/* How steeply the integrand falls at v, in its logarithm, by w. */
static inline double
Steepness(const Decay *decay, double v)
{
	double		a = decay->a + v;

	return decay->p + decay->q * (a / (decay->b + v)) + decay->rate * a - 1;
}

/* A bound of what is left of the integral from v on, relative to the decay there. */
static double
RestAfter(const Decay *decay, double v, double length)
{
	double		rest = Min(length - v, 1 / decay->rate);

	if (decay->p > 1)
		rest = Min(rest, (decay->a + v) / (decay->p - 1));
	if (decay->q > 1)
		rest = Min(rest, (decay->b + v) / (decay->q - 1));
	return rest;
}

/*
 * The longest step from v that the last rule allows, or nearly.  The steepness
 * only grows, so a narrower panel is steep by no more than in proportion.
 */
static double
CutStep(const Decay *decay, double v, double step)
{
	double		a = decay->a + v;
	double		b = decay->b + v;
	double		fall;

	step = Min(step, a * expm1(Min(LAST_RULE->width, LAST_RULE->fall / decay->p)));
	step = Min(step, b * expm1(LAST_RULE->fall / decay->q));
	step = Min(step, LAST_RULE->fall / decay->rate);
	fall = log1p(step / a) * Steepness(decay, v + step);
	if (fall > LAST_RULE->fall)
		step = a * expm1(log1p(step / a) * (LAST_RULE->fall / fall));
	return step;
}

double
DecayIntegral(const Decay *given, double length, DecayNode node, void *data)
{
	Decay		decay = *given;
	double		v = 0;
	double		fallen = 0;		/* -ln decay(v) */
	double		sum = 0;

	if (decay.b < decay.a)
		decay = (Decay) {
			.rate = given->rate,.a = given->b,.p = given->q,.b = given->a,.q = given->p
		};

	while (v < length)
	{
		double		a = decay.a + v;
		double		ratio = a / (decay.b + v);
		double		at_start = v > 0 ? exp(-fallen) : 1;
		double		step = length - v;
		double		width = log1p(step / a);
		double		fall = width * Steepness(&decay, length);
		const Rule *rule = rules;
		double		half;
		double		middle;
		bool		plain;

		CHECK_FOR_INTERRUPTS();
		if (v > 0 && at_start * RestAfter(&decay, v, length) <= NEGLIGIBLE * sum)
			break;
		/* An infinite length makes fall infinite or NaN. */
		if (!(width <= LAST_RULE->width && fall <= LAST_RULE->fall))
		{
			step = CutStep(&decay, v, step);
			width = log1p(step / a);
			rule = LAST_RULE;
		}
		while (rule < LAST_RULE && (width > rule->width || fall > rule->fall))
			rule++;

		half = 0.5 * width;
		middle = sqrt(1 + step / a);
		plain = width >= PLAIN_WIDTH && decay.q <= PLAIN_POWER;
		for (int i = rule->legendre->order / 2; i < rule->legendre->order; i++)
		{
			/* A node and its mirror image: w, and v in units of a, both since the start. */
			double		off = half * rule->legendre->nodes[i];
			double		w[2] = {half + off, half - off};
			double		grown[2];

			if (plain)
			{
				double		factor = exp(off);

				grown[0] = middle * factor - 1;
				grown[1] = middle / factor - 1;
			}
			else
			{
				grown[0] = expm1(w[0]);
				grown[1] = expm1(w[1]);
			}
			for (int k = 0; k < 2; k++)
			{
				double		far = ratio * grown[k];
				double		log_far = plain ? log(1 + far) : log1p(far);
				double		weight = at_start * half * rule->legendre->weights[i] *
					(a + a * grown[k]) *
					exp(-decay.p * w[k] - decay.q * log_far - decay.rate * a * grown[k]);

				sum += weight;
				if (node)
					node(v + a * grown[k], weight, data);
			}
		}
		v += step;
		if (v < length)
			fallen += decay.p * width + decay.q * log1p(ratio * (step / a)) + decay.rate * step;
	}
	return sum;
}

Pareto *
ParetoCreate(const double *params)
{
	Pareto	   *pareto = palloc(sizeof(Pareto));

	pareto->r = params[0];
	pareto->alpha = params[1];
	pareto->s = params[2];
	pareto->beta = params[3];
	return pareto;
}

/*
 * The two parts of the likelihood in braces, for a customer still alive when
 * watched for a time since the last purchase and for one who left, both
 * divided by (alpha+t_x)^-(r+x) (beta+t_x)^-s.
 */
typedef struct Fates
{
	double		alive;
	double		left;
} Fates;

static Fates
GetFates(const Pareto *pareto, double x, double t_x, double since)
{
	Decay		decay = {
		.a = pareto->alpha + t_x,.p = pareto->r + x,
		.b = pareto->beta + t_x,.q = pareto->s + 1
	};
	Fates		fates;

	fates.alive = exp(-decay.p * log1p(since / decay.a) - pareto->s * log1p(since / decay.b));
	fates.left = pareto->s / decay.b * DecayIntegral(&decay, since, NULL, NULL);
	return fates;
}

double
ParetoLogLikelihood(Pareto *pareto, double x, double t_x, double T)
{
	Fates		fates;

	/* Nothing bought: the likelihood may be 1 but for a little, which is the first purchase. */
	if (x == 0 && t_x == 0)
	{
		Decay		first = {
			.a = pareto->alpha,.p = pareto->r + 1,.b = pareto->beta,.q = pareto->s
		};
		double		bought = pareto->r / pareto->alpha * DecayIntegral(&first, T, NULL, NULL);

		if (bought < 0.5)
			return log1p(-bought);
	}
	fates = GetFates(pareto, x, t_x, T - t_x);
	return LogRising(pareto->r, x) - x * log(pareto->alpha + t_x) -
		pareto->r * log1p(t_x / pareto->alpha) - pareto->s * log1p(t_x / pareto->beta) +
		log(fates.alive + fates.left);
}

double
ParetoAlive(Pareto *pareto, double x, double t_x, double T)
{
	Fates		fates = GetFates(pareto, x, t_x, T - t_x);

	return fates.alive / (fates.alive + fates.left);
}

/*
 * Expected time alive within t, of a lifetime that is exponential at rate ~
 * Gamma(s, beta): beta/(s-1) (1 - (beta/(beta+t))^(s-1)), regular at s = 1.
 */
static double
ExpectedTime(double s, double beta, double t)
{
	double		growth = log1p(t / beta);
	double		z = (s - 1) * growth;

	return beta * growth * (z == 0 ? 1 : -expm1(-z) / z);
}

double
ParetoExpected(Pareto *pareto, double x, double T, double t)
{
	return (pareto->r + x) / (pareto->alpha + T) * ExpectedTime(pareto->s, pareto->beta + T, t);
}

double
ParetoExpectedNew(Pareto *pareto, double t)
{
	return pareto->r / pareto->alpha * ExpectedTime(pareto->s, pareto->beta, t);
}

double
ParetoDiscounted(Pareto *pareto, double x, double T, double t, double rate)
{
	Decay		decay = {
		.rate = rate,.a = pareto->beta + T,.p = pareto->s,.b = INFINITY,.q = 0
	};

	return (pareto->r + x) / (pareto->alpha + T) * DecayIntegral(&decay, t, NULL, NULL);
}

/* ln of the probability of n purchases within t, of somebody who stays alive. */
static double
LogNbd(const Pareto *pareto, double n, double t)
{
	double		none = -pareto->r * log1p(t / pareto->alpha);

	if (n == 0)
		return none;
	return none - n * log1p(pareto->alpha / t) - LogBeta(pareto->r, n) - log(n);
}

/* What ParetoPmf() integrates over ln u, relative to its value at u = mode. */
typedef struct Hill
{
	const Pareto *pareto;
	double		n;
	double		mode;
} Hill;

/*
 * (n+1) y - (r+n) ln((alpha+u)/(alpha+mode)) - (s+1) ln((beta+u)/(beta+mode)),
 * u = mode e^y.  Where u is the larger term of a sum, it is taken out of the
 * logarithm and joined with y: on the plateau between alpha and beta the large
 * parts cancel.
 */
static double
LogHill(const Hill *hill, double y)
{
	double		r = hill->pareto->r;
	double		alpha = hill->pareto->alpha;
	double		s = hill->pareto->s;
	double		beta = hill->pareto->beta;
	double		n = hill->n;
	double		mode = hill->mode;
	double		height;

	if (mode > alpha)
		height = (1 - r) * y - (r + n) * log1p(alpha * expm1(-y) / (alpha + mode));
	else
		height = (n + 1) * y - (r + n) * log1p(mode * expm1(y) / (alpha + mode));
	if (mode > beta)
		height -= (s + 1) * (y + log1p(beta * expm1(-y) / (beta + mode)));
	else
		height -= (s + 1) * log1p(mode * expm1(y) / (beta + mode));
	return height;
}

static double
HillSlope(const Hill *hill, double y)
{
	const Pareto *pareto = hill->pareto;
	double		u = hill->mode * exp(y);

	return ((hill->n + 1) * pareto->alpha + (1 - pareto->r) * u) / (pareto->alpha + u) -
		(pareto->s + 1) * u / (pareto->beta + u);
}

/* The area of one side of a hill, from its top to end: a distance in y, less than zero to the left. */
static double
HillSide(const Hill *hill, double end)
{
	double		width = MODE_WIDTH;
	double		y = 0;
	double		height = 0;
	double		sum = 0;

	while (y != end)
	{
		double		next;
		double		panel = 0;

		CHECK_FOR_INTERRUPTS();
		/* The hill falls ever more steeply, so where it falls too far the panel is too wide. */
		for (;;)
		{
			next = end > 0 ? Min(y + width, end) : Max(y - width, end);
			if (next == y || height - LogHill(hill, next) <= MODE_FALL)
				break;
			width /= 2;
		}
		if (next == y)
			break;
		for (int i = 0; i < legendre_16.order; i++)
			panel += legendre_16.weights[i] *
				exp(LogHill(hill, y + 0.5 * (next - y) * (1 + legendre_16.nodes[i])));
		sum += 0.5 * fabs(next - y) * panel;

		y = next;
		height = LogHill(hill, y);
		width = Min(2 * width, MODE_WIDTH);
		if (exp(height) <= NEGLIGIBLE * sum * fabs(HillSlope(hill, y)))
			break;
	}
	return sum;
}

double
ParetoPmf(Pareto *pareto, double n, double t)
{
	Hill		hill = {.pareto = pareto,.n = n};
	double		alpha = pareto->alpha;
	double		beta = pareto->beta;
	double		b;
	double		root;
	double		area;
	double		alive;
	double		left;

	if (t == 0)
		return n == 0;

	/* The mode solves (r+s) u^2 - b u - (n+1) alpha beta = 0. */
	b = (n - pareto->s) * alpha + (1 - pareto->r) * beta;
	root = hypot(b, 2 * sqrt(pareto->r + pareto->s) * sqrt(n + 1) * sqrt(alpha) * sqrt(beta));
	if (b > 0)
		hill.mode = (b + root) / (2 * (pareto->r + pareto->s));
	else
		hill.mode = 2 * (n + 1) * alpha / (root - b) * beta;
	hill.mode = Min(hill.mode, t);

	area = HillSide(&hill, -INFINITY);
	if (hill.mode < t)
		area += HillSide(&hill, log(t / hill.mode));

	alive = exp(LogNbd(pareto, n, t) - pareto->s * log1p(t / beta));
	left = exp(LogNbd(pareto, n, hill.mode) - pareto->s * log1p(hill.mode / beta) +
			   log(pareto->s) + log(hill.mode / (beta + hill.mode)) + log(area));
	return Min(alive + left, 1);
}

/*
 * With v = T - t_x the odds of having left rise from 0 without bound, and
 * their logarithm is nearly a straight line in ln v at either end.  Newton
 * steps in ln v, bisecting where they would leave the bracket.
 */
double
ParetoAliveUntil(Pareto *pareto, double x, double t_x, double level)
{
	double		wanted = log1p(-level) - log(level);
	double		limit = log(DBL_MAX) - 1;
	double		low = log(DBL_MIN);
	double		high = INFINITY;
	double		y = log(pareto->beta + t_x);

	for (int i = 0; i < 200; i++)
	{
		double		v = exp(y);
		double		a = pareto->alpha + t_x + v;
		double		b = pareto->beta + t_x + v;
		Fates		fates = GetFates(pareto, x, t_x, v);
		double		excess = fates.alive > 0 ? log(fates.left / fates.alive) - wanted : INFINITY;
		double		slope;		/* d ln odds / d ln v */
		double		last = y;

		if (excess == 0)
			break;
		if (excess > 0)
			high = y;
		else if (y >= limit)
			return INFINITY;
		else
			low = y;
		slope = v * (pareto->s / b * fates.alive / fates.left + (pareto->r + x) / a + pareto->s / b);
		y = Min(y - excess / slope, limit);
		if (!(y > low && y < high))
			y = 0.5 * (low + Min(high, limit));
		if (fabs(y - last) <= 1e-15 * Max(1, fabs(y)))
			break;
	}
	return t_x + exp(y);
}
