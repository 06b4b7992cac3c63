/*
 * fits.h
 *		The data of purchase, spend and gap models, and their fits.
 */
#ifndef CUSTSEG_FITS_H
#define CUSTSEG_FITS_H

#include "postgres.h"

#include "utils/date.h"

#include "model/gap/gap.h"
#include "model/predict.h"
#include "model/purchase/purchase.h"
#include "model/spend/spend.h"
#include "timeline/history.h"

/* A set of customers to fit models to: at most 64 bytes each at any time. */
typedef struct ModelData
{
	Repeats    *repeats;
	int64		nrepeats;
	int64		repeats_size;
	Spends	   *spends;
	int64		nspends;
	int64		spends_size;
	GapSums    *gaps;
	int64		customers;
	int64		orders;
	DateADT		since;			/* the first order of all */
} ModelData;

extern void ModelDataInit(ModelData *data);
/* A history as of the day, with at least one order. */
extern void ModelDataAdd(ModelData *data, const History *history, DateADT day);
extern void ModelDataFree(ModelData *data);

typedef struct Fits
{
	PurchaseModel model;
	Fit			purchase;
	Fit			spend;
	GapModel	gap;
} Fits;

/*
 * Fit all three, which uses the data up. Priors may be NULL. The same bits for
 * the same customers, in whatever order they were added.
 */
extern void FitModels(ModelData *data, PurchaseModel model, const Prior *purchase_prior,
					  const Prior *spend_prior, Fits *fits);

/* What predictions need of fits; the rest of the predictor is the caller's. */
extern void PredictorFromFits(const Fits *fits, Predictor *predictor);

#endif							/* CUSTSEG_FITS_H */
