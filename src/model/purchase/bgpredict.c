/*
 * bgpredict.c
 *		What BG/NBD and MBG/NBD foresee: see bgnbd.c for the models.
 *
 * The published expectation of a customer's purchases is a difference of two
 * hypergeometric terms over a - 1, which cancels, divides by zero at a = 1 and
 * overflows elsewhere.  What it is the value of is simple: a customer who is
 * alive after x purchases leaves after a purchase with a chance p that is
 * beta(a, B), B = b + x + d, and at the rate of a customer with gamma(R, beta),
 * R = r + x and beta = alpha + T, buys within t on average
 *
 *		E = mean of (1 - (1 + p tau)^-R) / p,	tau = t / beta.
 *
 * This mean over p is positive throughout, and LogIntegral() finds it for any
 * parameters on the axis of ln(p/(1-p)).
 *
 * It takes some ten microseconds, and far from ordinary parameters a hundred
 * times that, so for the parameters that fits give and the x that most
 * customers have it is remembered.  Given x, the chances to leave and their
 * weights are always the same, so that E is a sum over the same nodes, which two
 * values of LogIntegral() confirm.  And given x, E depends on tau alone, and E/y is a smooth function of y = ln(1 + c tau), c = max(1, R): its
 * nearest singularity is a distance of pi away, and half of that for large R.
 * On a panel of width 1 a polynomial of degree 19 is then E/y to the last few
 * bits.  Which customers are looked up that way depends on their own numbers
 * alone, so that equal histories always get equal values.
 *
 * A discounted expectation is an integral over E.  Where all customers are asked
 * about the same horizon and rate it depends, given x, on T alone, and is as
 * smooth a function of ln(1 + T/alpha): BgTabulate() has it remembered too.
 */
#include "postgres.h"

#include <math.h>

#include "model/fit/integral.h"
#include "model/fit/special.h"
#include "model/purchase/family.h"

#define ROWS 256				/* remembered are x below */
#define PANELS 12				/* and y below */
#define TERMS 20
#define MOST_TABLES 2			/* of discounted purchases */
#define NODE_STEP 0.0625
#define MOST_NODES 1000
#define NEGLIGIBLE 1e-19		/* weight of a node, relative to the mode's */
#define SAME 1e-12				/* relative */
#define ORDINARY_LOW 1e-5		/* and parameters between */
#define ORDINARY_HIGH 1e5

/* E/y on the panels of one x: polynomials by 2 (y - panel) - 1, where computed. */
typedef struct Row
{
	double	   *panels[PANELS];
	double		log_weight;		/* the integral of LogWeight() */
	int			nnodes;			/* 0: they would be too many */
	double	   *chances;		/* p at the nodes */
	double	   *weights;		/* adding up to 1 */
} Row;

/* Discounted purchases within t of a customer who is alive: polynomials likewise, by ln(1 + T/alpha). */
typedef struct Discounted
{
	double		t;
	double		rate;
	double	  **rows[ROWS];
} Discounted;

struct Bg
{
	double		r;
	double		alpha;
	double		a;
	double		b;
	int			d;
	bool		ordinary;
	MemoryContext context;
	Row		   *rows[ROWS];
	int			ntables;
	Discounted *tables[MOST_TABLES];
};

/* A mean over p ~ beta(a, B), on the axis of ln(p/(1-p)) from the mode on. */
typedef struct Leaving
{
	double		a;
	double		B;
	double		R;
	double		tau;
	double		p;				/* at the mode, and 1 - p */
	double		q;
	double		log_p;
	double		log_q;
	double		scale;
} Leaving;

static Leaving
MakeLeaving(double a, double B, double R, double tau)
{
	Leaving		leaving = {a, B, R, tau};

	leaving.p = a / (a + B);
	leaving.q = B / (a + B);
	leaving.log_p = -log1p(B / a);
	leaving.log_q = -log1p(a / B);
	leaving.scale = Min(1, sqrt(1 / a + 1 / B));
	return leaving;
}

/* ln(p/p') and ln(q/q'), where p' has a logit that is by offset larger, and q is 1 - p. */
static void
Move(const Leaving *l, double offset, double *p_falls, double *q_falls)
{
	if (fabs(offset) > 30)
	{
		*p_falls = LogSum(l->log_p, l->log_q - offset);
		*q_falls = LogSum(l->log_q, l->log_p + offset);
	}
	else
	{
		double		grows = expm1(fabs(offset));
		double		falls = -grows / (1 + grows);

		*p_falls = log1p(l->q * (offset > 0 ? falls : grows));
		*q_falls = log1p(l->p * (offset > 0 ? grows : falls));
	}
}

static double
LogWeight(double offset, const void *data)
{
	const Leaving *l = data;
	double		p_falls;
	double		q_falls;

	Move(l, offset, &p_falls, &q_falls);
	return -l->a * p_falls - l->B * q_falls;
}

static double
LogWeighted(double offset, const void *data)
{
	const Leaving *l = data;
	double		p_falls;
	double		q_falls;
	double		log_p;
	double		exponent;
	double		log_value;

	Move(l, offset, &p_falls, &q_falls);
	log_p = l->log_p - p_falls;
	exponent = l->R * log1p(exp(log_p) * l->tau);
	if (exponent < 1e-17)
		log_value = log(l->R) + log(l->tau);
	else
		log_value = log(-expm1(-exponent)) - log_p;
	return log_value - l->a * p_falls - l->B * q_falls;
}

Bg *
BgCreate(const double *params, int d)
{
	Bg		   *bg = palloc0(sizeof(Bg));

	bg->r = params[0];
	bg->alpha = params[1];
	bg->a = params[2];
	bg->b = params[3];
	bg->d = d;
	bg->context = CurrentMemoryContext;
	bg->ordinary = true;
	for (int i = 0; i < 4; i++)
	{
		if (i != 1 && !(params[i] >= ORDINARY_LOW && params[i] <= ORDINARY_HIGH))
			bg->ordinary = false;
	}
	return bg;
}

/* The chance to stay after each of the purchases, and ln of it. */
static double
LogStayed(const Bg *bg, double x)
{
	return LogRising(bg->b, x + bg->d) - LogRising(bg->a + bg->b, x + bg->d);
}

/* Odds of having left right after the last of x purchases. */
static double
OddsAtOnce(const Bg *bg, double x)
{
	return x + bg->d > 0 ? bg->a / (bg->b + (x - 1 + bg->d)) : 0;
}

/* ln((alpha+T)/(alpha+t_x)) */
static double
LogSilence(const Bg *bg, double t_x, double T)
{
	return log1p((T - t_x) / (bg->alpha + t_x));
}

double
BgLogLikelihood(const Bg *bg, double x, double t_x, double T)
{
	double		odds = OddsAtOnce(bg, x);
	double		log_likelihood = NbdLogLikelihood(bg->r, bg->alpha, x, T) + LogStayed(bg, x);

	if (odds > 0)
		log_likelihood += LogSum(0, log(odds) + (bg->r + x) * LogSilence(bg, t_x, T));
	return log_likelihood;
}

double
BgAlive(const Bg *bg, double x, double t_x, double T)
{
	double		odds = OddsAtOnce(bg, x);

	if (odds == 0)
		return 1;
	return 1 / (1 + odds * exp((bg->r + x) * LogSilence(bg, t_x, T)));
}

double
BgAliveUntil(const Bg *bg, double x, double t_x, double level)
{
	double		odds = OddsAtOnce(bg, x);
	double		silence;

	if (odds == 0)
		return INFINITY;
	silence = (log((1 - level) / level) - log(odds)) / (bg->r + x);
	return silence <= 0 ? t_x : t_x + (bg->alpha + t_x) * expm1(silence);
}

double
BgPmf(const Bg *bg, double n, double t)
{
	double		odds = OddsAtOnce(bg, n);
	double		mass = NbdPmf(bg->r, bg->alpha, n, t);

	if (odds > 0)
		mass += odds * NbdTail(bg->r, bg->alpha, n, t);
	return Min(1, exp(LogStayed(bg, n)) * mass);
}

/* E, by integration; log_weight is that of the row, or NaN. */
static double
Integrate(const Bg *bg, double x, double tau, double log_weight)
{
	Leaving		leaving = MakeLeaving(bg->a, bg->b + x + bg->d, bg->r + x, tau);

	if (isnan(log_weight))
		log_weight = LogIntegral(LogWeight, &leaving, leaving.scale);
	return exp(LogIntegral(LogWeighted, &leaving, leaving.scale) - log_weight);
}

/* The place of the i-th Chebyshev point of a panel. */
static double
PanelPoint(int panel, int i)
{
	return panel + 0.5 * (1 + cos(M_PI * (i + 0.5) / TERMS));
}

/* The polynomial through values at the Chebyshev points. */
static double *
MakePolynomial(const Bg *bg, const double *values)
{
	double	   *polynomial = MemoryContextAllocZero(bg->context, TERMS * sizeof(double));
	double		before[TERMS] = {0};	/* the Chebyshev polynomials T(k-1) and T(k) */
	double		current[TERMS] = {1};

	for (int k = 0; k < TERMS; k++)
	{
		double		sum = 0;

		for (int i = 0; i < TERMS; i++)
			sum += values[i] * cos(M_PI * k * (i + 0.5) / TERMS);
		for (int i = 0; i <= k; i++)
			polynomial[i] += sum * (k == 0 ? 1.0 : 2.0) / TERMS * current[i];
		for (int i = TERMS - 1; i >= 0; i--)
		{
			double		next = (k == 0 ? 1 : 2) * (i > 0 ? current[i - 1] : 0) - before[i];

			before[i] = current[i];
			current[i] = next;
		}
	}
	return polynomial;
}

/* In four sums that the processor can work on at the same time. */
static double
Polynomial(const double *p, double z)
{
	double		z2 = z * z;
	double		z4 = z2 * z2;
	double		sums[4];

	for (int k = 0; k < 4; k++)
		sums[k] = p[k] + z4 * (p[k + 4] + z4 * (p[k + 8] + z4 * (p[k + 12] + z4 * p[k + 16])));
	return sums[0] + z * sums[1] + z2 * (sums[2] + z * sums[3]);
}

/*
 * Nodes of the trapezoidal rule as LogIntegral() has them, on the axis of
 * ln(p/(1-p)) and by sinh(v), but with one step for all.
 */
static void
MakeNodes(const Bg *bg, const Leaving *l, Row *row)
{
	double		total = 0;

	row->chances = MemoryContextAlloc(bg->context, MOST_NODES * sizeof(double));
	row->weights = MemoryContextAlloc(bg->context, MOST_NODES * sizeof(double));
	for (int side = -1; side <= 1; side += 2)
	{
		for (int k = side > 0 ? 0 : 1;; k++)
		{
			double		v = side * k * NODE_STEP;
			double		p_falls;
			double		q_falls;
			double		weight;

			Move(l, l->scale * sinh(v), &p_falls, &q_falls);
			weight = exp(-l->a * p_falls - l->B * q_falls) * cosh(v);
			if (!(weight > NEGLIGIBLE) && fabs(v) >= 1)
				break;
			if (row->nnodes == MOST_NODES)
			{
				row->nnodes = 0;
				return;
			}
			row->chances[row->nnodes] = exp(l->log_p - p_falls);
			row->weights[row->nnodes++] = weight;
			total += weight;
		}
	}
	row->chances = repalloc(row->chances, row->nnodes * sizeof(double));
	row->weights = repalloc(row->weights, row->nnodes * sizeof(double));
	for (int i = 0; i < row->nnodes; i++)
		row->weights[i] /= total;
}

/* E as a sum over the nodes. */
static double
SumOverNodes(const Row *row, double R, double tau)
{
	double		sum = 0;

	for (int i = 0; i < row->nnodes; i++)
	{
		double		p = row->chances[i];

		if (p * tau < 1e-17)
			sum += row->weights[i] * R * tau;
		else
			sum -= row->weights[i] * expm1(-R * log1p(p * tau)) / p;
	}
	return sum;
}

static Row *
MakeRow(const Bg *bg, double x)
{
	Leaving		leaving = MakeLeaving(bg->a, bg->b + x + bg->d, 1, 1);
	Row		   *row = MemoryContextAllocZero(bg->context, sizeof(Row));

	row->log_weight = LogIntegral(LogWeight, &leaving, leaving.scale);
	MakeNodes(bg, &leaving, row);
	return row;
}

/* The polynomial of E/y on a panel. */
static double *
MakePanel(const Bg *bg, double x, double c, int panel, const Row *row)
{
	double		values[TERMS];
	bool		sums = row->nnodes > 0;

	for (int i = 0; i < TERMS; i++)
	{
		double		y = PanelPoint(panel, i);
		double		tau = expm1(y) / c;
		bool		first_or_last = i == 0 || i == TERMS - 1;
		double		integral = !sums || first_or_last ? Integrate(bg, x, tau, row->log_weight) : 0;
		double		sum = sums ? SumOverNodes(row, bg->r + x, tau) : integral;

		if (first_or_last && !(fabs(sum - integral) <= SAME * integral))
		{
			/* Nodes that do not suffice: once more without. */
			Row			without = {.log_weight = row->log_weight};

			return MakePanel(bg, x, c, panel, &without);
		}
		values[i] = sum / y;
	}
	return MakePolynomial(bg, values);
}

/* E of a customer who is alive, at beta = alpha + T, within t. */
static double
ExpectedAlive(Bg *bg, double x, double beta, double t)
{
	double		tau = t / beta;
	double		c = Max(1, bg->r + x);
	double		y;
	int			panel;
	Row		   *row;

	if (tau == 0)
		return 0;
	if (!bg->ordinary || x >= ROWS)
		return Integrate(bg, x, tau, NAN);
	y = log1p(c * tau);
	if (y >= PANELS)
		return Integrate(bg, x, tau, NAN);

	row = bg->rows[(int) x];
	if (row == NULL)
		row = bg->rows[(int) x] = MakeRow(bg, x);
	panel = (int) y;
	if (row->panels[panel] == NULL)
		row->panels[panel] = MakePanel(bg, x, c, panel, row);
	return y * Polynomial(row->panels[panel], 2 * (y - panel) - 1);
}

double
BgExpected(Bg *bg, double x, double T, double t)
{
	return ExpectedAlive(bg, x, bg->alpha + T, t);
}

/*
 * By parts the discounted expectation is made of E alone, and of nothing that
 * is negative:
 *
 *		e^(-rate t) E(t) + rate x integral of e^(-rate s) E(s) ds over (0, t).
 *
 * The integral is taken in y as above, up to where e^(-rate s) is nothing, by
 * panels over which y grows by 2.5 at most and rate s by 8 more than it was.
 */
static double
DiscountedAlive(Bg *bg, double x, double beta, double t, double rate)
{
	double		unit = beta / Max(1, bg->r + x);
	double		end = Min(t, 40 / rate);
	double		last = log1p(end / unit);
	double		total = 0;
	double		from = 0;

	Assert(isfinite(last));		/* rates are bounded: AnnualRateFault() */
	if (t == 0)
		return 0;
	while (from < last)
	{
		double		further = log1p(2 * expm1(from) + 8 / (rate * unit));
		double		to = Min(last, Min(from + 2.5, further));
		double		half = 0.5 * (to - from);

		for (int i = 0; i < legendre_16.order; i++)
		{
			double		y = from + half * (1 + legendre_16.nodes[i]);
			double		s = unit * expm1(y);

			total += half * legendre_16.weights[i] * rate * exp(-rate * s) * (unit + s) *
				ExpectedAlive(bg, x, beta, s);
		}
		from = to;
	}
	if (t < 700 / rate)
		total += exp(-rate * t) * ExpectedAlive(bg, x, beta, t);
	return total;
}

/* The polynomial of a table's row x on a panel, made when it is first needed. */
static const double *
DiscountedPanel(Bg *bg, Discounted *table, int x, int panel)
{
	double	  **row = table->rows[x];

	if (row == NULL)
		row = table->rows[x] = MemoryContextAllocZero(bg->context, PANELS * sizeof(double *));
	if (row[panel] == NULL)
	{
		double		values[TERMS];

		for (int i = 0; i < TERMS; i++)
			values[i] = DiscountedAlive(bg, x, bg->alpha * exp(PanelPoint(panel, i)), table->t, table->rate);
		row[panel] = MakePolynomial(bg, values);
	}
	return row[panel];
}

void
BgTabulate(Bg *bg, double t, double rate)
{
	Discounted *table = MemoryContextAllocZero(bg->context, sizeof(Discounted));

	Assert(bg->ntables < MOST_TABLES && rate > 0);
	table->t = t;
	table->rate = rate;
	bg->tables[bg->ntables++] = table;
}

double
BgDiscounted(Bg *bg, double x, double T, double t, double rate)
{
	double		y = log1p(T / bg->alpha);
	int			panel;

	if (bg->ordinary && x < ROWS && y < PANELS)
		for (int i = 0; i < bg->ntables; i++)
		{
			if (bg->tables[i]->t != t || bg->tables[i]->rate != rate)
				continue;
			panel = (int) y;
			return Polynomial(DiscountedPanel(bg, bg->tables[i], (int) x, panel),
							  2 * (y - panel) - 1);
		}
	return DiscountedAlive(bg, x, bg->alpha + T, t, rate);
}
