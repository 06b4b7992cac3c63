/*
 * input.h
 *		Arguments of the functions that people and senders call.
 */
#ifndef CUSTSEG_INPUT_H
#define CUSTSEG_INPUT_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

/*
 * Two SQL functions that do the same work: custseg.name(...) by the clock, for
 * people and senders, and custseg.name_at(as_of, ...) for replays of past data,
 * for nobody else. The work gets the number of its first argument, and the moment.
 */
#define CLOCK_AND_REPLAY(name, work) \
	PG_FUNCTION_INFO_V1(custseg_##name); \
	PG_FUNCTION_INFO_V1(custseg_##name##_at); \
	Datum custseg_##name(PG_FUNCTION_ARGS) { return work(fcinfo, 0, GetCurrentTimestamp()); } \
	Datum custseg_##name##_at(PG_FUNCTION_ARGS) { return work(fcinfo, 1, ArgAsOf(fcinfo, 0)); }

/* An argument that must be there; an error that names it if it is not. */
extern char *ArgText(FunctionCallInfo fcinfo, int n, const char *name);
extern int64 ArgInt64(FunctionCallInfo fcinfo, int n, const char *name);
extern pg_uuid_t *ArgUuid(FunctionCallInfo fcinfo, int n, const char *name);

/* The moment a call looks at: there, and finite. */
extern TimestampTz ArgAsOf(FunctionCallInfo fcinfo, int n);

/* A span between low and high; NULL when it was left out. */
extern Interval *ArgSpan(FunctionCallInfo fcinfo, int n, const char *name, const char *low, const char *high);

#endif							/* CUSTSEG_INPUT_H */
