/*
 * spend.h
 *		Gamma-Gamma: what customers spend per order day.
 *
 * Fader and Hardie (2013), "The Gamma-Gamma Model of Monetary Value". Each
 * spend is Gamma(p, nu) with nu ~ Gamma(q, v) over customers; x spends of mean
 * m are known of a customer.
 */
#ifndef CUSTSEG_SPEND_H
#define CUSTSEG_SPEND_H

#include "postgres.h"

#include "model/fit/fit.h"

#define SPEND_PARAMS 3			/* p, q, v */
extern const char *const spend_param_names[SPEND_PARAMS];

extern const char *const spend_param_names[SPEND_PARAMS];

/* A customer's mean of x spends. 16 bytes. */
typedef struct Spends
{
	double		mean;
	int32		x;
	int32		customers;
} Spends;

/* As CollapseRepeats; leaves out customers with x < 1 or mean <= 0. */
extern int64 CollapseSpends(Spends *spends, int64 n);

/* As FitPurchase. q <= 1 (no finite mean) is a verdict; means that are all the same are the spend of everybody. */
extern void FitSpend(const Spends *spends, int64 n, const Prior *prior, Fit *fit);

/* NULL, or what is wrong with parameters, in words. */
extern const char *SpendParamsFault(const double *params, int nparams);

/* Likewise with a customer's mean of x spends. */
extern const char *SpendFault(double x, double mean);

/* ln of the likelihood; 0 for x = 0. */
extern double SpendLogLikelihood(const double *params, double x, double mean);

/* Expected spend per order of a customer; the population mean for x = 0. INFINITY for p x + q <= 1. */
extern double SpendExpected(const double *params, double x, double mean);

#endif							/* CUSTSEG_SPEND_H */
