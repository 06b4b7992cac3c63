/*
 * input.h
 *		Arguments of the functions that people and senders call.
 */
#ifndef CUSTSEG_INPUT_H
#define CUSTSEG_INPUT_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "fmgr.h"

/* An argument that must be there; an error that names it if it is not. */
extern char *ArgText(FunctionCallInfo fcinfo, int n, const char *name);
extern int64 ArgInt64(FunctionCallInfo fcinfo, int n, const char *name);

/* The moment a call looks at: there, and finite. */
extern TimestampTz ArgAsOf(FunctionCallInfo fcinfo, int n);

/* A span between low and high; NULL when it was left out. */
extern Interval *ArgSpan(FunctionCallInfo fcinfo, int n, const char *name, const char *low, const char *high);

#endif							/* CUSTSEG_INPUT_H */
