/*
 * recall.h
 *		The steps of a refresh that belong to recall.
 *
 * Call them inside SPI and a transaction, as the owner of the extension.
 */
#ifndef CUSTSEG_RECALL_H
#define CUSTSEG_RECALL_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "utils/date.h"

/*
 * Open and close episodes by the transitions after a given one. run_id may be
 * 0 for work outside of a refresh.
 */
extern void RecallFollow(int64 run_id, TimestampTz as_of, DateADT day, int64 after_transition);

/*
 * Once per refresh, at its end: end what is over, and fill the day's free
 * slots with the best of those who wait.
 */
extern void RecallPlan(int64 run_id, TimestampTz as_of, DateADT day);

#endif							/* CUSTSEG_RECALL_H */
