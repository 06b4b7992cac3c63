/*
 * measure.h
 *		The step of a refresh that sees what became of episodes.
 */
#ifndef CUSTSEG_MEASURE_H
#define CUSTSEG_MEASURE_H

#include "postgres.h"

#include "utils/array.h"

#include "common/moment.h"

/*
 * After QueuePlan, inside SPI and a transaction, as the extension's owner.
 * Looks at the new episodes, and at those of some customers (bigint[]) or,
 * with NULL, of all.
 */
extern void MeasureOutcomes(const Moment *now, ArrayType *customers);

#endif							/* CUSTSEG_MEASURE_H */
