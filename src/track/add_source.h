/*
 * add_source.h
 *		What the functions that add sources have in common: their arguments.
 */
#ifndef CUSTSEG_ADD_SOURCE_H
#define CUSTSEG_ADD_SOURCE_H

#include "postgres.h"

#include "fmgr.h"
#include "source/mapping.h"

/* A relation; "name" is what it names, for the hint. */
extern Oid	RelationArgument(FunctionCallInfo fcinfo, int arg, const char *name);

/* A column, called "what"; NULL where it is left out and not required. */
extern char *NameArgument(FunctionCallInfo fcinfo, int arg, const char *what, bool required);

/* status and accepted, into the source. */
extern void FilterArguments(FunctionCallInfo fcinfo, int status, int accepted, Source *source);

/* track and rescan_every, of a source that was stored. */
extern void FollowArguments(FunctionCallInfo fcinfo, int track, int rescan_every, int source_id);

#endif							/* CUSTSEG_ADD_SOURCE_H */
