/*
 * queue.h
 *		The steps of a refresh that belong to the queue.
 *
 * Call inside SPI and a transaction, as the owner of the extension.
 */
#ifndef CUSTSEG_QUEUE_H
#define CUSTSEG_QUEUE_H

#include "postgres.h"

#include "common/moment.h"
#include "utils/array.h"

/*
 * Open and close episodes by the transitions after a given one, and withdraw the
 * tasks of those that ended. Returns how many customers got no episode because the silence that data
 * brought to light is an old one.
 */
extern int64 QueueFollow(const Moment *now, int64 after_transition);

/*
 * Some customers (a bigint[]) are one person with others now, or not any more: what
 * recall has of them is the person's, and whoever of them must not be contacted
 * speaks for all. False when some are still to be looked at.
 */
extern bool QueueMerge(const Moment *now, Datum customers);

/*
 * Around working out anew who is one person with some customers: whoever was one
 * with somebody who must not be contacted, by what the customer table says, must
 * not be contacted after that either. The end reads that table, which may fail.
 */
typedef struct Parting Parting;

extern Parting *PartingBegin(const int64 *ids, int n);
extern void PartingEnd(const Moment *now, const Parting *parting);

/*
 * Once per refresh, at its end: end what is over, and fill the day's free
 * slots with the best of those who wait. No slot is filled while the customer
 * table cannot be read: *unread is why, or NULL. Looks at all customers; or, where
 * that was done earlier on the day, only at those (bigint[]) whose profile
 * changed since, and at the tasks that claim() closed since that moment. True
 * when there are episodes and nothing is left to be done for any of them.
 */
extern bool QueuePlan(const Moment *now, ArrayType *customers, TimestampTz since, ErrorData **unread);

/* The same for all customers, by itself: then a customer table that cannot be read is an error. */
extern void QueuePlanAll(const Moment *now);

/* Digest of what the shop chose for the queue: when it differs, all customers are to be looked at. */
extern char *QueueChoices(void);

#endif							/* CUSTSEG_QUEUE_H */
