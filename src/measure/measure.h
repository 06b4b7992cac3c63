/*
 * measure.h
 *		The step of a refresh that sees what became of episodes.
 */
#ifndef CUSTSEG_MEASURE_H
#define CUSTSEG_MEASURE_H

#include "postgres.h"

#include "utils/date.h"

/* After RecallPlan, inside SPI and a transaction, as the extension's owner. */
extern void MeasureOutcomes(int64 run_id, DateADT day);

#endif							/* CUSTSEG_MEASURE_H */
