/*
 * family.h
 *		What purchase.c asks of the files of the single models.
 */
#ifndef CUSTSEG_FAMILY_H
#define CUSTSEG_FAMILY_H

#include "postgres.h"

#include "model/fit/fit.h"
#include "model/purchase/repeats.h"

/*
 * What a likelihood sums over (its data pointer): collapsed histories, sorted
 * by (x, T, t_x), whose times are to be multiplied by scale, a power of two.
 * A likelihood sums in blocks of HISTORY_BLOCK histories and then adds up the
 * blocks, so that rounding errors stay small.
 */
typedef struct Histories
{
	const Repeats *repeats;
	int64		n;
	double		scale;
} Histories;

#define HISTORY_BLOCK 4096

/* Likelihoods of all histories, by the logarithms of the parameters. */
extern double NbdLikelihood(const double *theta, double *gradient,
							double (*hessian)[MAX_PARAMS], void *histories);
extern double BgLikelihood(const double *theta, double *gradient,
						   double (*hessian)[MAX_PARAMS], void *histories);
extern double MbgLikelihood(const double *theta, double *gradient,
							double (*hessian)[MAX_PARAMS], void *histories);
extern double ParetoLikelihood(const double *theta, double *gradient,
							   double (*hessian)[MAX_PARAMS], void *histories);

/* Of customers who never leave, with gamma(r, alpha) rates: n purchases within t, n or more. */
extern double NbdLogLikelihood(double r, double alpha, double x, double T);
extern double NbdPmf(double r, double alpha, double n, double t);
extern double NbdTail(double r, double alpha, double n, double t);

/*
 * BG/NBD (d = 0) and MBG/NBD (d = 1) with parameters; as PurchaseX() of purchase.h
 * says, but Expected and Discounted are those of a customer who is alive at T.
 */
typedef struct Bg Bg;
extern Bg  *BgCreate(const double *params, int d);
extern double BgLogLikelihood(const Bg *bg, double x, double t_x, double T);
extern double BgAlive(const Bg *bg, double x, double t_x, double T);
extern double BgExpected(Bg *bg, double x, double T, double t);
extern double BgPmf(const Bg *bg, double n, double t);
extern double BgDiscounted(Bg *bg, double x, double T, double t, double rate);
extern void BgTabulate(Bg *bg, double t, double rate);
extern double BgAliveUntil(const Bg *bg, double x, double t_x, double level);

/*
 * Pareto/NBD with parameters, likewise. The arguments of all these functions
 * are checked: finite (but for t of Discounted), not negative, x a
 * whole number, t_x <= T, rate > 0 for Discounted, 0 < level < 1.
 */
typedef struct Pareto Pareto;
extern Pareto *ParetoCreate(const double *params);
extern double ParetoLogLikelihood(Pareto *pareto, double x, double t_x, double T);
extern double ParetoAlive(Pareto *pareto, double x, double t_x, double T);
extern double ParetoExpected(Pareto *pareto, double x, double T, double t);
extern double ParetoExpectedNew(Pareto *pareto, double t);
extern double ParetoPmf(Pareto *pareto, double n, double t);
extern double ParetoDiscounted(Pareto *pareto, double x, double T, double t, double rate);
extern double ParetoAliveUntil(Pareto *pareto, double x, double t_x, double level);

#endif							/* CUSTSEG_FAMILY_H */
