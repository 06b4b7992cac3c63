/*
 * bgbb.h
 *		BG/BB: buying or not at each of a row of opportunities.
 *
 * Fader, Hardie and Shang (2010), "Customer-Base Analysis in a Discrete-Time
 * Noncontractual Setting", Marketing Science 29.  Donors by the year,
 * subscribers, customers of a yearly event.  Of n opportunities after the
 * first purchase a customer used x, the last of them the t_x-th.
 */
#ifndef CUSTSEG_BGBB_H
#define CUSTSEG_BGBB_H

#include "postgres.h"

#include "model/fit/fit.h"

#define BGBB_PARAMS 4			/* alpha, beta, gamma, delta */
#define BGBB_MOST_PERIODS 100000

extern const char *const bgbb_param_names[BGBB_PARAMS];

/* One history, and how many customers share it. 16 bytes. */
typedef struct Chances
{
	int32		x;
	int32		t_x;
	int32		n;
	int32		customers;
} Chances;

/* As CollapseRepeats and FitPurchase. */
extern int64 CollapseChances(Chances *chances, int64 n);
extern void FitBgbb(const Chances *chances, int64 n, const Prior *prior, Fit *fit);

/* NULL, or what is wrong with parameters or a history, in words. */
extern const char *BgbbParamsFault(const double *params, int nparams);
extern const char *ChancesFault(double x, double t_x, double n);

extern double BgbbLogLikelihood(const double *params, double x, double t_x, double n);

/* The probability of being alive at the next opportunity, the (n + 1)-th. */
extern double BgbbAlive(const double *params, double x, double t_x, double n);

/* Expected purchases at the next so many opportunities. */
extern double BgbbExpected(const double *params, double x, double t_x, double n, double periods);

/* Expected purchases of a new customer at so many opportunities. */
extern double BgbbExpectedNew(const double *params, double periods);

/* The probability that a new customer buys k times at n opportunities. */
extern double BgbbPmf(const double *params, double k, double n);

#endif							/* CUSTSEG_BGBB_H */
