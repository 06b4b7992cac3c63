/*
 * clock.h
 *		A customer's clocks: how long until silence, and every silence there was.
 */
#ifndef CUSTSEG_CLOCK_H
#define CUSTSEG_CLOCK_H

#include "postgres.h"

#include "utils/date.h"

#include "segment/rules.h"

#define NO_DAY		PG_INT32_MIN	/* "-infinity", which no shop day is */
#define LAST_DAY (DATE_END_JULIAN - POSTGRES_EPOCH_JDATE - 1)

/* A day that many days later, or the last there is. */
static inline DateADT
DaysAfter(DateADT day, int64 days)
{
	int64		sum = (int64) day + days;

	return (DateADT) Min(sum, LAST_DAY);
}

/* When a customer ordered. */
typedef struct Rhythm
{
	int32		order_days;
	DateADT		first_order;	/* NO_DAY without one */
	DateADT		last_order;
	double		log_gaps;		/* sum of ln days between order days, where there is a gap rule */
} Rhythm;

extern Tier TierOfSpend(const Rules *rules, int64 spend);

/* What a silence was set by. */
typedef enum SilenceRule
{
	SILENCE_FIXED,				/* the tier's days */
	SILENCE_GAP,				/* the quantile of the own gaps */
	SILENCE_ALIVE,				/* P(alive) */
	SILENCE_SHORTEST,			/* the tier's fewest days of a personal silence */
	SILENCE_LONGEST,			/* and most */
} SilenceRule;

typedef struct Silence
{
	int32		days;			/* from the last order, or from the last refund without one */
	SilenceRule rule;
} Silence;

extern void RhythmInit(Rhythm *rhythm);
extern void RhythmAdd(const Rules *rules, Rhythm *rhythm, DateADT order_day);

/* Whether the own clock, not the tier's days, says when a customer falls silent. */
extern bool IsPersonal(const Rules *rules, Tier tier, const Rhythm *rhythm);

extern Silence SilenceOf(const Rules *rules, Tier tier, const Rhythm *rhythm);

/* A quantile of the own next gap in whole days, given the normal quantile z; at most "most". */
extern int32 GapDays(const Rules *rules, const Rhythm *rhythm, double z, int32 most);

/* P(alive) that many days after the last order. */
extern double AliveAfter(const Rules *rules, const Rhythm *rhythm, int32 days);

/*
 * Every silence of a timeline as of a day, by rules applied to what was known
 * when it began: the order before it, and from the day it began until the
 * order that ended it, NO_DAY if it lasts.
 */
typedef void (*SilenceSeen) (DateADT since, DateADT began, DateADT ended, Tier tier, void *arg);
extern void EachSilence(const Rules *rules, Datum timeline, DateADT day, SilenceSeen seen, void *arg);

#endif							/* CUSTSEG_CLOCK_H */
