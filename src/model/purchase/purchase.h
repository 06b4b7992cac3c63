/*
 * purchase.h
 *		Models of who is still alive and how often they will buy: NBD, BG/NBD,
 *		MBG/NBD and Pareto/NBD, behind one interface.
 *
 * A history is (x, t_x, T): x repeat purchases, the last of them t_x after the
 * first purchase, watched until T after it. Time is in any unit, the same for
 * histories, parameters and horizons. No function here returns NaN, infinity
 * (but where it says so) or a negative value, whatever the arguments, as long as
 * times and parameters are within the bounds below.
 */
#ifndef CUSTSEG_PURCHASE_H
#define CUSTSEG_PURCHASE_H

#include "postgres.h"

#include "model/fit/fit.h"
#include "model/purchase/repeats.h"

#define LEAST_ANNUAL_RATE 1e-6	/* of discounts, but for zero */
#define GREATEST_ANNUAL_RATE 10.0

typedef enum PurchaseModel
{
	PURCHASE_NBD,				/* r, alpha */
	PURCHASE_BGNBD,				/* r, alpha, a, b */
	PURCHASE_MBGNBD,			/* r, alpha, a, b */
	PURCHASE_PARETONBD,			/* r, alpha, s, beta */
} PurchaseModel;
#define PURCHASE_MODELS 4

extern const char *const purchase_model_names[PURCHASE_MODELS]; /* "nbd", "bgnbd", ... */
extern const char *const purchase_param_names[PURCHASE_MODELS][MAX_PARAMS];
extern const int purchase_nparams[PURCHASE_MODELS];
extern const bool purchase_param_is_time[PURCHASE_MODELS][MAX_PARAMS];

/* ------------------------------------------------------------------ fits */

/*
 * Sort by (x, T, t_x) and unite equal histories in place; the new count.
 * Whatever the order they came in, the result is the same bytes. Uses scratch
 * memory of at most 24 bytes a history.
 */
extern int64 CollapseRepeats(Repeats *repeats, int64 n);

/*
 * Fit a model to collapsed histories. The same bits for the same histories.
 * prior may be NULL. Never throws for what the data are like: see fit->verdict.
 */
extern void FitPurchase(PurchaseModel model, const Repeats *repeats, int64 n,
						const Prior *prior, Fit *fit);

/* ----------------------------------------------------------- predictions */

/* A model with its parameters and what can be computed once for all customers. */
typedef struct Purchase Purchase;

/*
 * In the current memory context, which it keeps using for tables that grow as
 * they are needed (bounded). The parameters must be without a fault: see
 * PurchaseParamsFault().
 */
extern Purchase *PurchaseCreate(PurchaseModel model, const double *params);

/* NULL, or what is wrong with parameters, in words. */
extern const char *PurchaseParamsFault(PurchaseModel model, const double *params, int nparams);

/* Likewise with a history: x and the times are within bounds and can belong together. */
extern const char *HistoryFault(double x, double t_x, double T);

/* Likewise with a discount rate a year: 0, or within bounds. */
extern const char *AnnualRateFault(double annual_rate);

/* ln of the likelihood of a history. */
extern double PurchaseLogLikelihood(Purchase *purchase, double x, double t_x, double T);

/* The probability that a customer with this history is alive at T. */
extern double PurchaseAlive(Purchase *purchase, double x, double t_x, double T);

/* Expected purchases in (T, T + t] of a customer with this history. */
extern double PurchaseExpected(Purchase *purchase, double x, double t_x, double T, double t);

/* Expected repeat purchases of a new customer within t after the first. */
extern double PurchaseExpectedNew(Purchase *purchase, double t);

/* The probability that a new customer makes n repeat purchases within t after the first. */
extern double PurchasePmf(Purchase *purchase, double n, double t);

/*
 * Expected purchases in (T, T + t], each discounted by e^(-rate x time after T);
 * the rate is continuous and per time unit. t may be INFINITY (DERT), then the
 * rate must be positive; for rate 0 and finite t it is PurchaseExpected(). A
 * rate must come from an annual one that is without a fault.
 */
extern double PurchaseDiscounted(Purchase *purchase, double x, double t_x, double T,
								 double t, double rate);

/*
 * Many customers will be asked about this horizon and positive rate: from now
 * on answer from tables. For two pairs at most, and before the first question,
 * so that equal questions get equal answers.
 */
extern void PurchaseTabulate(Purchase *purchase, double t, double rate);

/*
 * The T >= t_x at which P(alive) of this history falls to a level: INFINITY
 * when it never does, t_x when it is at or below the level from the start.
 */
extern double PurchaseAliveUntil(Purchase *purchase, double x, double t_x, double level);

/* P(alive) right after a first purchase: b/(a+b) for MBG/NBD, 1 for the others. */
extern double PurchaseAliveAtFirst(const Purchase *purchase);

#endif							/* CUSTSEG_PURCHASE_H */
