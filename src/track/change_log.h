/*
 * change_log.h
 *		Customers whose orders changed in tracked sources, as a refresh sees
 *		them. Call inside SPI, as the owner of the extension.
 */
#ifndef CUSTSEG_CHANGE_LOG_H
#define CUSTSEG_CHANGE_LOG_H

#include "source/mapping.h"

/* The columns of custseg.change_log, and of custseg.change_gap as far as it has them. */
enum
{
	LOG_SOURCE_ID,
	LOG_XACT,
	LOG_CUSTOMER,
	LOG_KEY,
	LOG_CUSTOMERS,
	LOG_KEYS,
	LOG_COLUMNS
};

/* What the log says of one source. */
typedef struct ChangeSummary
{
	bool		everything;		/* the source has to be read whole */
	bool		missed;			/* because something could not be noted */
	int64		customers;		/* noted one by one, some perhaps twice */
} ChangeSummary;

extern void ChangeLogSummary(const Source *source, ChangeSummary *summary);

/* The customers noted one by one, each counted once, which takes longer. */
extern int64 ChangeLogCustomers(const Source *source);

/* Customers taken from the log, each once, by number or by key. */
typedef struct ChangedCustomers
{
	int			n;
	int64	   *ids;			/* ascending; NULL where keys are not numbers */
	char	  **keys;			/* ascending; NULL where they are */
} ChangedCustomers;

/*
 * Take entries off the log until about "most" customers are there, or all;
 * true if there may be more.
 * What is read of these customers afterwards in the same transaction, by a
 * snapshot of its own, holds the changes that led to the entries.
 */
extern bool ChangeLogTake(const Source *source, int most, ChangedCustomers *taken);

/*
 * The customers of all entries there are, which stay. And those of numbers of
 * orders, which the log of a source of lines has in place of customers, as texts.
 */
extern void ChangeLogPeek(const Source *source, ChangedCustomers *seen);
extern bool ChangeLogTakeOrders(const Source *source, int most, ChangedCustomers *taken);

/* Bring them in order, each once; and the order of keys, for qsort() and bsearch(). */
extern void ChangedCustomersSort(ChangedCustomers *taken);
extern int	CompareKeyTexts(const void *a, const void *b);

/* Note that the source must be read whole. */
extern void ChangeLogEverything(int source_id);

/*
 * The transactions that whatever is read from now on can see, as a text, and
 * forgetting what these have noted.
 */
extern char *ChangeLogSnapshot(void);
extern void ChangeLogForget(int source_id, const char *snapshot);

/* Forget customers by namespace and key, two arrays of text as long as each other. */
extern void ChangeLogForgetKeys(Datum namespaces, Datum keys);

/* Forget all of a source. */
extern void ChangeLogDrop(int source_id);

/* Forget what sources that are gone still noted: the transaction that dropped one may have written to it. */
extern void ChangeLogDropUnknown(void);

/* How the log knows a customer: by number or, with a key, by its hash. */
extern int64 ChangeHash(const char *key, int len);

#endif							/* CUSTSEG_CHANGE_LOG_H */
