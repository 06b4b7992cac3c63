/*
 * attribute.h
 *		What a shop says of a person, packed while it is sorted and shown as JSON.
 */
#ifndef CUSTSEG_ATTRIBUTE_H
#define CUSTSEG_ATTRIBUTE_H

#include "postgres.h"

#include "executor/tuptable.h"
#include "lib/stringinfo.h"
#include "source/mapping.h"

#define ATTRIBUTE_MAX_LENGTH	1000	/* bytes of a text; a longer one is left out */

/* The attributes of a row, which begin at a column, behind what "packed" has; how many were too long and are left out. */
extern int	AttributesPack(const Source *source, TupleTableSlot *slot, int column, StringInfo packed);

/* What was packed, as a JSON object: those that are NULL are not in it. In the current memory context. */
extern char *AttributesJson(const Source *source, const char *packed, int len);

/* A digest of which attributes there are, and of which types: the same values mean something else under another. */
extern uint64 AttributesSeed(const Source *source);

extern uint64 AttributesHash(const char *packed, int len, uint64 seed);

#endif							/* CUSTSEG_ATTRIBUTE_H */
