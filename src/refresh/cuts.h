/*
 * cuts.h
 *		Cut points from the shop's customers.
 */
#ifndef CUSTSEG_CUTS_H
#define CUSTSEG_CUTS_H

#include "postgres.h"

#include "utils/date.h"

#include "model/fit/quantile.h"
#include "timeline/history.h"

/* Cut points; amounts are scaled by 10^4. */
typedef struct Cuts
{
	int64		r[SCORE_CUTS];
	int64		f[SCORE_CUTS];
	int64		m[SCORE_CUTS];
	int64		tier_high;
	int64		tier_mid;
	int64		quadrant_m;
	int64		order_value;
} Cuts;

/* Collects customers with at least one order, in any order; sorts on disk where memory is short. */
typedef struct CutCollector CutCollector;
extern CutCollector *CutsBegin(DateADT day);
extern void CutsAdd(CutCollector *collector, const History *history);

/* The cut points for the settings of now; false without a customer. Call inside SPI. */
extern bool CutsEnd(CutCollector *collector, Cuts *cuts);

#endif							/* CUSTSEG_CUTS_H */
