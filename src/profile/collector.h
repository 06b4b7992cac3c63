/*
 * collector.h
 *		From a source's rows to one timeline a customer; see collector.c.
 */
#ifndef CUSTSEG_COLLECTOR_H
#define CUSTSEG_COLLECTOR_H

#include "postgres.h"

#include "executor/tuptable.h"
#include "profile/status.h"
#include "source/limits.h"
#include "source/mapping.h"
#include "source/parse.h"
#include "tcop/dest.h"
#include "timeline/amount.h"

typedef enum RejectReason
{
	REJECT_NO_CUSTOMER,
	REJECT_CUSTOMER_ID,
	REJECT_KEY_LENGTH,
	REJECT_NO_TIME,
	REJECT_TIME,
	REJECT_TOO_EARLY,
	REJECT_TOO_LATE,
	REJECT_NO_AMOUNT,
	REJECT_AMOUNT_NAN,
	REJECT_AMOUNT_INFINITE,
	REJECT_AMOUNT_PRECISION,
	REJECT_AMOUNT_RANGE,
	REJECT_NO_ORDER_ID,
	REJECT_TIME_UNREADABLE,
	REJECT_TIME_SHORT_YEAR,
	REJECT_TIME_OTHER_ORDER,
	REJECT_TIME_IMPOSSIBLE,
	REJECT_AMOUNT_UNREADABLE,
	REJECT_AMOUNT_AMBIGUOUS,
	REJECT_CHANNEL_LENGTH,
	REJECT_NO_VALUE,			/* as of amounts, in their order */
	REJECT_VALUE_NAN,
	REJECT_VALUE_INFINITE,
	REJECT_VALUE_PRECISION,
	REJECT_VALUE_RANGE,
	REJECT_VALUE_NEGATIVE,
	REJECT_NO_EVENT,
	REJECT_NO_LINE_AMOUNT,		/* as of amounts, in their order */
	REJECT_LINE_NAN,
	REJECT_LINE_INFINITE,
	REJECT_LINE_PRECISION,
	REJECT_LINE_RANGE,
	REJECT_NO_ORDER,
	REJECT_NO_PRODUCT,
	REJECT_PRODUCT_LENGTH,
	REJECT_TOTAL_RANGE,
} RejectReason;

#define REJECT_REASONS	(REJECT_TOTAL_RANGE + 1)
#define REJECT_SAMPLES	20

extern const char *const reject_reasons[REJECT_REASONS];

/* Why a value that could not be read is rejected. (reason.c) */
extern RejectReason AmountReason(AmountStatus status);
extern RejectReason AmountTextReason(ParseStatus status);
extern RejectReason TimeTextReason(ParseStatus status);

typedef struct RejectSample
{
	uint64		place;			/* in the source, where processes share the read */
	char	   *customer;
	char	   *at;
	char	   *amount;			/* or value, or product */
	char	   *order_id;		/* or event */
} RejectSample;

typedef struct CollectCounts
{
	int			processes;		/* that read the source */
	int64		rows;			/* with an accepted status, and of events that are listed */
	StatusCounts *statuses;		/* of all rows; NULL without a status column */
	int64		not_listed;		/* rows of other events, and lines that do not count */
	int64		customers;		/* that have a timeline */
	int64		forgotten;		/* rows of customers who were forgotten, and that are in none of the above */
	DateADT		ahead;			/* the first day that was too late; DATEVAL_NOEND without any */
	int64		rejected[REJECT_REASONS];
	RejectSample samples[REJECT_REASONS][REJECT_SAMPLES];
} CollectCounts;

/* One customer's result, or one for each event. The key is known where ids are ours. */
typedef struct Collected
{
	int64		customer_id;	/* 0: not numbered yet */
	int			event_id;		/* 0 but for sources of events */
	char	   *key;			/* NULL for native ids */
	struct varlena *timeline;	/* NULL: a customer who is stored, and of whom nothing was collected */
	int64		rows;			/* of the source, that it was made of */
	bool		stored;			/* of a difference: there is a stored row */
} Collected;

/*
 * Where a source's customers go: the profile itself, or with several sources
 * the source's own part of it (source_id > 0); see writer.h. Events have a table
 * of their own.
 */
typedef struct ProfileTarget
{
	const struct TargetTable *table;
	int			source_id;		/* 0: the profile itself */
	bool		people;			/* of this source the part is in custseg.profile_attribute */
	const SourceEvent *events;	/* of a source of events; else NULL */
	int			n_events;
	bool		moves_labels;	/* by events */
} ProfileTarget;

typedef struct Collector Collector;

/* Collects in "context", which must outlive transactions, within memory_limit bytes. The source must be open. */
extern Collector *CollectorCreate(MemoryContext context, const Source *source,
								  const char *time_zone, const DayLimits *limits, Size memory_limit);

/*
 * Hand out only the differences from what the target holds, which must not be
 * written meanwhile but for what is handed out. For native ids.
 */
extern void CollectorCompare(Collector *collector, const ProfileTarget *target);

/* Read the source, which is open, by as many processes as it is worth. (parallel.c) */
extern void CollectorRead(Collector *collector, Source *source);

/* How many customers were collected; where they are more than "enough", that they are. Before CollectorNext. (distinct.c) */
extern int64 CollectorCustomers(Collector *collector, int64 enough);

/* Where rows of the source go (see source/read.h for their columns), if only some are read. */
extern DestReceiver *CollectorReceiver(Collector *collector);

/* Tell which keys have an id already: once for each, after the rows. */
extern void CollectorKnowKey(Collector *collector, const char *key, int len, int64 customer_id);

/*
 * The next customers, at least "wanted" of them while there are that many, or
 * what differs of as many; in an order that only depends on their keys and
 * custseg.work_mem, with native ids ascending within and across calls. The
 * result is valid until the next call. False when there were none left to look
 * at; where nothing differs, true with n = 0. (handout.c)
 */
extern bool CollectorNext(Collector *collector, int wanted, Collected **customers, int *n);

extern const CollectCounts *CollectorCounts(const Collector *collector);

/* A value as a sample shows it, of so many bytes at most, in the current memory context. */
#define SHOWN_MOST 200
extern char *ShownValue(TupleTableSlot *slot, int column);

/* How many rows were left out, whatever the reason. (reason.c) */
extern int64 RejectedRows(const CollectCounts *counts);

/* Close temporary files. Must run even after an error. */
extern void CollectorClose(Collector *collector);

#endif							/* CUSTSEG_COLLECTOR_H */
