/*
 * standing.h
 *		Writing what we conclude about customers, where it changed.
 */
#ifndef CUSTSEG_STANDING_H
#define CUSTSEG_STANDING_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "utils/date.h"

#include "common/moment.h"
#include "segment/evaluate.h"

/* Why customers are evaluated. */
typedef enum Cause
{
	CAUSE_NONE,
	CAUSE_BASELINE,				/* the first look at a shop's past: no transitions */
	CAUSE_DATA,
	CAUSE_TIME,
	CAUSE_CALIBRATION,
	CAUSE_SETTING,
	CAUSE_IDENTITY,				/* who is one person */
} Cause;
#define CAUSES (CAUSE_IDENTITY + 1)

extern const char *const cause_names[CAUSES];

/* The cause of that name; CAUSE_NONE for NULL. */
extern Cause CauseNamed(const char *name);

typedef struct StandingRun
{
	Moment		now;
	Rules		rules;
	LabelTypes	types;
	Oid			relid;			/* of custseg.standing */
	bool		with_events;	/* some happen that labels depend on */

	/* What was done so far. */
	int64		evaluated;
	int64		inserted;
	int64		updated;
	int64		deleted;
	int64		transitions;
} StandingRun;

/*
 * All of these run inside an SPI connection and a transaction, as the owner
 * of the extension. A run may span commits; the only memory it holds is that
 * of its rules, in the context given.
 */

/* By these rules: a custseg.rules. */
extern void StandingBegin(StandingRun *run, const Moment *now, Datum rules, MemoryContext context);

/* True when nobody has been evaluated yet. */
extern bool StandingIsEmpty(void);

/*
 * Every customer of a shop that has no standing yet, in one transaction: far
 * cheaper than the batches below, and writes no transitions. Returns how many.
 */
extern int64 StandingBaseline(StandingRun *run);

/* Customers whose profile changed, appeared or, where there is no timeline, vanished; each once. */
extern int64 StandingEvaluateChanged(StandingRun *run, const int64 *ids,
									 struct varlena *const *timelines, int n, Cause cause);

/* Customers of whom something else than orders changed; each once, ascending. */
extern void StandingEvaluateCustomers(StandingRun *run, const int64 *ids, int n, Cause cause);

/*
 * The whole shop in batches, by id: the customers after "after", at most
 * "limit" of them. Returns how many there were, 0 at the end, and the last id.
 */
extern int64 StandingEvaluateRange(StandingRun *run, int64 after, int limit, Cause cause,
								   int64 *last);

/* At most "limit" customers that are due by the run's day. Returns how many: fewer at the end. */
extern int64 StandingEvaluateDue(StandingRun *run, int limit);

#endif							/* CUSTSEG_STANDING_H */
