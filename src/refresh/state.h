/*
 * state.h
 *		What the last refresh left, and what is still to be done: custseg.refresh_state.
 *
 * Call inside SPI and a transaction, as the owner of the extension.
 */
#ifndef CUSTSEG_STATE_OF_REFRESH_H
#define CUSTSEG_STATE_OF_REFRESH_H

#include "postgres.h"

#include "nodes/pg_list.h"

#include "refresh/run.h"
#include "segment/standing.h"

typedef struct State
{
	bool		exists;
	bool		moved;			/* it is of another database, of which this is a copy */
	bool		has_day;
	DateADT		day;			/* for which everybody was evaluated last */
	char	   *time_zone;
	char	   *sources;
	bool		parts;			/* are kept beside the profiles */
	char	   *rules;
	Cause		pending;		/* everybody is to be evaluated for it; CAUSE_NONE: no */
	TimestampTz settled_at;		/* DT_NOBEGIN: not */
	TimestampTz settled_until;
	char	   *settled_choices;
} State;

/* In the run's memory. Nothing is settled from now on, until StateSettle. */
extern void StateRead(Run *run, State *state);

/* Sources as the state has them. */
extern char *SourceList(List *sources);

/* Why sources or days are to be read anew; NULL when they are not. */
extern const char *SourcesChanged(const State *state, const char *source_list);
extern const char *ZoneChanged(const State *state, const ShopSettings *settings);

/*
 * A NULL leaves a column as it is; pending is always written. The database is
 * this row's home from the moment that all sources were read in it.
 */
typedef struct StateChange
{
	const DateADT *day;
	const char *time_zone;
	const char *sources;
	const char *rules;
	Cause		pending;
} StateChange;

extern void StateWrite(const StateChange *change);

/*
 * Until a read for other sources or another zone is done, the profiles are a
 * mixture, and the next refresh must see a change whatever they are by then.
 * This is no read of all sources yet, so the row's home stays what it is.
 */
extern void StateMarkMixture(bool sources, bool zone);

/* Parts are kept beside the profiles from now on, or are not. */
extern void StateKeepsParts(bool parts);

/* Has everybody been looked at today, and can only those this run touched be different since? */
extern bool StateIsSettled(const State *state, const Run *run, const char *choices);

/* That is so now: all, those of the whole shop were looked at. */
extern void StateSettle(const State *state, const Run *run, bool all, const char *choices);

#endif							/* CUSTSEG_STATE_OF_REFRESH_H */
