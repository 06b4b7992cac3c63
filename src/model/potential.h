/*
 * potential.h
 *		Cut points of potential_value: percentiles of what customers are
 *		expected to bring.
 */
#ifndef CUSTSEG_POTENTIAL_H
#define CUSTSEG_POTENTIAL_H

#include "postgres.h"

#include "utils/date.h"

#include "model/predict.h"
#include "timeline/history.h"

/*
 * A sample of customers, at most POTENTIAL_SAMPLE, drawn by a hash of what
 * they did: the same customers whatever their order and their ids.
 */
#define POTENTIAL_SAMPLE	65536

typedef struct PotentialSample PotentialSample;
extern PotentialSample *PotentialBegin(DateADT day);
extern void PotentialAdd(PotentialSample *sample, const History *history);

/* The quantiles of clv_12m for two shares; false where the models give no value. */
extern bool PotentialCuts(PotentialSample *sample, const Predictor *predictor,
						  const double shares[2], double cuts[2]);

#endif							/* CUSTSEG_POTENTIAL_H */
