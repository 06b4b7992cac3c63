/*
 * explain_models.h
 *		Why a customer's churn_risk and potential_value are what they are.
 */
#ifndef CUSTSEG_EXPLAIN_MODELS_H
#define CUSTSEG_EXPLAIN_MODELS_H

#include "segment/explanation.h"

/* churn_risk and potential_value. Inside SPI, as the owner of the extension. */
extern void ExplainPredictions(Explanation *why);

/* Their values, as tier_names. */
extern const char *const churn_risk_names[LEVELS][2];
extern const char *const potential_names[LEVELS][2];

#endif							/* CUSTSEG_EXPLAIN_MODELS_H */
