/*
 * paretofit.c
 *		Pareto/NBD: the likelihood of a whole shop, with its gradient.
 *
 * The likelihood of one history (see paretonbd.c) needs
 *
 *		J(t, T) = integral over (t, T) of f(u) / f(t) du,
 *		f(u) = (1 + u/alpha)^-(r+x) (1 + u/beta)^-(s+1).
 *
 * For customers with the same x it is the same f, and with the tail H(u) =
 * integral over (u, U) of f(v) / f(u) dv up to the longest time U,
 *
 *		J(t, T) = H(t) - f(T)/f(t) H(T).
 *
 * So for every x one function of one variable, and its derivatives by the
 * parameters, is tabulated, and a customer costs two look-ups, however many
 * there are and whether or not their times are whole days.
 *
 * The difference is harmless.  The likelihood is proportional to
 *
 *		W = f(T)/f(t) (beta + T) + s H(t) - s f(T)/f(t) H(T),
 *
 * where the last term is no more than either of the others, because s H(T) <=
 * beta + T and f(T) H(T) <= f(t) H(t): W is at least half of their sum.
 *
 * The table is piecewise polynomial.  Panels have unit length in G(u), which
 * is so chosen that over a panel f changes by no more than a fixed factor and
 * a panel is short beside its distance from the singularities -alpha and
 * -beta; the panel of a customer is then the integer part of G, which consists
 * of the logarithms that are needed anyway.  From the last panel to the first,
 * H at the nodes of a panel is the integral from node to end of panel plus
 * what lies behind, all positive terms.
 *
 * Where few customers share an x, or f falls so fast that the table would be
 * long, the integral is taken customer by customer.  Either way nothing is
 * kept between evaluations, and the table is all the memory that is used.
 */
#include "postgres.h"

#include "model/fit/interrupt.h"
#include "model/fit/special.h"
#include "model/purchase/family.h"
#include "model/purchase/pareto.h"

#define PARAMS		4
#define NODES		10			/* of a panel, and coefficients of its polynomials */
#define PANELS_PER_FALL 1.0		/* panels for a fall of f by a factor e */
#define PANELS_PER_GROWTH 4.0	/* panels while 1 + u/alpha, or 1 + u/beta, grows by e */
#define MOST_PANELS 2048
#define CUSTOMERS_PER_PANEL 3	/* a panel of the table costs about as much as so many customers without */

/* H(u) and its derivatives by the logarithms of the parameters. */
typedef struct Tail
{
	double		h;
	double		by[PARAMS];
} Tail;

typedef struct Panel
{
	double		start;
	double		half;
	Tail		coefs[NODES];	/* by powers of the place in the panel, -1 to 1 */
} Panel;

/* Interpolation at the Chebyshev nodes. */
typedef struct Nodes
{
	double		places[NODES];
	double		to_end[NODES][NODES];	/* integral from a node to 1, by values at nodes */
	double		coefs[NODES][NODES];	/* coefficient of a power, by values at nodes */
} Nodes;

/* f(u), relative to f(0), and what the gradient of ln f needs. */
typedef struct Moment
{
	double		u;
	double		place;			/* G(u) */
	double		log_f;
	double		by[PARAMS];		/* d ln f / d ln parameter */
} Moment;

typedef struct Shop
{
	double		r;
	double		alpha;
	double		s;
	double		beta;
	double		p;				/* r + x */
	double		q;				/* s + 1 */
	double		place_a;		/* G(u) = place_a ln(1 + u/alpha) + place_b ln(1 + u/beta) */
	double		place_b;
	int			npanels;		/* 0: no table for this x */
	Panel	   *panels;
	Nodes		nodes;
} Shop;

static void
PrepareNodes(Nodes *nodes)
{
	double		powers[NODES][NODES] = {{0}};	/* Chebyshev polynomials by powers */

	powers[0][0] = 1;
	powers[1][1] = 1;
	for (int m = 2; m < NODES; m++)
		for (int k = 0; k <= m; k++)
			powers[m][k] = (k > 0 ? 2 * powers[m - 1][k - 1] : 0) - powers[m - 2][k];

	memset(nodes, 0, sizeof(*nodes));
	for (int j = 0; j < NODES; j++)
		nodes->places[j] = -cos(M_PI * (j + 0.5) / NODES);
	for (int i = 0; i < NODES; i++)
		for (int m = 0; m < NODES; m++)
		{
			double		angle = M_PI * (NODES - i - 0.5) / NODES;
			double		share = (m == 0 ? 1.0 : 2.0) / NODES * cos(m * angle);

			for (int k = 0; k <= m; k++)
				nodes->coefs[k][i] += share * powers[m][k];
			for (int j = 0; j < NODES; j++)
			{
				double		y = nodes->places[j];
				double		power = y;

				for (int k = 0; k <= m; k++)
				{
					nodes->to_end[j][i] += share * powers[m][k] * (1 - power) / (k + 1);
					power *= y;
				}
			}
		}
}

static inline Moment
GetMoment(const Shop *shop, double u)
{
	double		a = log(1 + u / shop->alpha);
	double		b = log(1 + u / shop->beta);
	Moment		moment;

	moment.u = u;
	moment.place = shop->place_a * a + shop->place_b * b;
	moment.log_f = -shop->p * a - shop->q * b;
	moment.by[0] = -shop->r * a;
	moment.by[1] = shop->p * (u / (shop->alpha + u));
	moment.by[2] = -shop->s * b;
	moment.by[3] = shop->q * (u / (shop->beta + u));
	return moment;
}

/* The tail at a moment that is followed, at end, by a known one. */
static Tail
Carry(const Moment *moment, const Moment *end, const Tail *behind)
{
	double		fall = exp(end->log_f - moment->log_f);
	Tail		tail;

	tail.h = fall * behind->h;
	for (int i = 0; i < PARAMS; i++)
		tail.by[i] = fall * (behind->by[i] + (end->by[i] - moment->by[i]) * behind->h);
	return tail;
}

/* Horner's rule, five times side by side, in registers: this is where the time goes. */
static inline Tail
LookUp(const Shop *shop, const Moment *moment)
{
	const Panel *panel = &shop->panels[Min((int) moment->place, shop->npanels - 1)];
	const Tail *coef = &panel->coefs[NODES - 1];
	double		y = (moment->u - panel->start) / panel->half - 1;
	double		h = coef->h;
	double		by0 = coef->by[0];
	double		by1 = coef->by[1];
	double		by2 = coef->by[2];
	double		by3 = coef->by[3];

	while (coef-- > panel->coefs)
	{
		h = h * y + coef->h;
		by0 = by0 * y + coef->by[0];
		by1 = by1 * y + coef->by[1];
		by2 = by2 * y + coef->by[2];
		by3 = by3 * y + coef->by[3];
	}
	return (Tail) {h, {by0, by1, by2, by3}};
}

static void
FillPanel(const Shop *shop, Panel *panel, const Moment *end, const Tail *behind)
{
	const Nodes *nodes = &shop->nodes;
	Moment		moments[NODES];
	double		values[NODES];
	Tail		tails[NODES];

	for (int j = 0; j < NODES; j++)
	{
		moments[j] = GetMoment(shop, panel->start + panel->half * (1 + nodes->places[j]));
		values[j] = exp(moments[j].log_f - end->log_f);
	}
	for (int j = 0; j < NODES; j++)
	{
		tails[j] = Carry(&moments[j], end, behind);
		for (int k = 0; k < NODES; k++)
		{
			double		weight = panel->half * nodes->to_end[j][k] * values[k] / values[j];

			tails[j].h += weight;
			for (int i = 0; i < PARAMS; i++)
				tails[j].by[i] += weight * (moments[k].by[i] - moments[j].by[i]);
		}
	}
	memset(panel->coefs, 0, sizeof(panel->coefs));
	for (int k = 0; k < NODES; k++)
		for (int j = 0; j < NODES; j++)
		{
			panel->coefs[k].h += nodes->coefs[k][j] * tails[j].h;
			for (int i = 0; i < PARAMS; i++)
				panel->coefs[k].by[i] += nodes->coefs[k][j] * tails[j].by[i];
		}
}

/* Tabulate the tail for times up to longest, if that is worth while for so many customers. */
static void
FillTable(Shop *shop, double longest, int64 customers)
{
	Tail		behind = {0};
	Moment		end;
	double		u = 0;
	double		npanels;

	shop->place_a = PANELS_PER_FALL * shop->p + PANELS_PER_GROWTH;
	shop->place_b = PANELS_PER_FALL * shop->q + PANELS_PER_GROWTH;
	npanels = floor(GetMoment(shop, longest).place) + 1;
	shop->npanels = 0;
	if (npanels > MOST_PANELS || npanels * CUSTOMERS_PER_PANEL > customers)
		return;
	shop->npanels = (int) npanels;

	/* G is concave, so Newton steps from below do not overshoot. */
	for (int k = 0; k < shop->npanels; k++)
	{
		Panel	   *panel = &shop->panels[k];

		panel->start = u;
		for (int i = 0; i < 6; i++)
			u += (k + 1 - GetMoment(shop, u).place) /
				(shop->place_a / (shop->alpha + u) + shop->place_b / (shop->beta + u));
		panel->half = (u - panel->start) / 2;
	}

	end = GetMoment(shop, u);
	for (int k = shop->npanels - 1; k >= 0; k--)
	{
		Moment		start;

		FillPanel(shop, &shop->panels[k], &end, &behind);
		start = GetMoment(shop, shop->panels[k].start);
		start.place = k;
		behind = LookUp(shop, &start);
		end = start;
	}
}

/* The integral of one history, without a table. */
typedef struct Single
{
	const Shop *shop;
	const Moment *start;
	double		by[PARAMS];
} Single;

static void
AddNode(double v, double weight, void *data)
{
	Single	   *single = data;
	const Shop *shop = single->shop;
	double		a = shop->alpha + single->start->u;
	double		b = shop->beta + single->start->u;

	single->by[0] -= weight * shop->r * log1p(v / a);
	single->by[1] += weight * shop->p * (shop->alpha / a) * (v / (a + v));
	single->by[2] -= weight * shop->s * log1p(v / b);
	single->by[3] += weight * shop->q * (shop->beta / b) * (v / (b + v));
}

static Tail
Integrate(const Shop *shop, const Moment *start, double length)
{
	Decay		decay = {
		.a = shop->alpha + start->u,.p = shop->p,.b = shop->beta + start->u,.q = shop->q
	};
	Single		single = {.shop = shop,.start = start};
	Tail		tail;

	tail.h = DecayIntegral(&decay, length, AddNode, &single);
	memcpy(tail.by, single.by, sizeof(tail.by));
	return tail;
}

double
ParetoLikelihood(const double *theta, double *gradient, double (*hessian)[MAX_PARAMS], void *data)
{
	const Histories *histories = data;
	const Repeats *repeats = histories->repeats;
	Shop	   *shop = palloc(sizeof(Shop));
	double		total = 0;

	shop->r = exp(theta[0]);
	shop->alpha = exp(theta[1]);
	shop->s = exp(theta[2]);
	shop->beta = exp(theta[3]);
	shop->q = shop->s + 1;
	shop->panels = palloc(MOST_PANELS * sizeof(Panel));
	PrepareNodes(&shop->nodes);
	memset(gradient, 0, PARAMS * sizeof(double));

	for (int64 first = 0, end; first < histories->n; first = end)
	{
		int32		x = repeats[first].x;
		double		log_rising = LogRising(shop->r, x) - x * theta[1] - theta[3];
		double		block = 0;
		double		block_by[PARAMS] = {0};
		double		customers = 0;
		Moment		t = {.u = NAN};
		Moment		T = {.u = NAN};
		Tail		tail_t = {0};
		Tail		tail_T = {0};

		CHECK_FOR_INTERRUPTS();
		for (end = first; end < histories->n && repeats[end].x == x;)
			end++;
		shop->p = shop->r + x;
		FillTable(shop, repeats[end - 1].T * histories->scale, end - first);

		for (int64 i = first; i < end; i++)
		{
			double		n = repeats[i].customers;
			double		fall;
			double		alive;
			double		w;

			if (repeats[i].T * histories->scale != T.u)
			{
				T = GetMoment(shop, repeats[i].T * histories->scale);
				if (shop->npanels > 0)
					tail_T = LookUp(shop, &T);
			}
			if (repeats[i].t_x * histories->scale != t.u)
			{
				t = GetMoment(shop, repeats[i].t_x * histories->scale);
				if (shop->npanels > 0)
					tail_t = LookUp(shop, &t);
			}
			if (shop->npanels == 0)
				tail_t = Integrate(shop, &t, T.u - t.u);

			fall = exp(T.log_f - t.log_f);
			alive = shop->beta + T.u - shop->s * tail_T.h;
			w = fall * alive + shop->s * tail_t.h;
			customers += n;
			block += n * (t.log_f + log(w));
			fall /= w;
			for (int k = 0; k < PARAMS; k++)
				block_by[k] += n * (t.by[k] + fall * (alive * (T.by[k] - t.by[k]) - shop->s * tail_T.by[k]) +
									shop->s / w * tail_t.by[k]);
			block_by[2] += n * shop->s * (tail_t.h / w - fall * tail_T.h);
			block_by[3] += n * shop->beta * fall;

			if ((i - first) % HISTORY_BLOCK == HISTORY_BLOCK - 1 || i == end - 1)
			{
				CHECK_FOR_INTERRUPTS();
				total += block + customers * log_rising;
				gradient[0] += block_by[0] + customers * shop->r * DigammaRising(shop->r, x);
				gradient[1] += block_by[1] - customers * x;
				gradient[2] += block_by[2];
				gradient[3] += block_by[3] - customers;
				block = customers = 0;
				memset(block_by, 0, sizeof(block_by));
			}
		}
	}
	pfree(shop->panels);
	pfree(shop);

	if (hessian)
		HessianByDifferences(ParetoLikelihood, theta, PARAMS, hessian, data);
	return total;
}
