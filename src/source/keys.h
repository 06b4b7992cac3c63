/*
 * keys.h
 *		Customers' keys as a source writes them.
 */
#ifndef CUSTSEG_SOURCE_KEYS_H
#define CUSTSEG_SOURCE_KEYS_H

#include "source/mapping.h"
#include "utils/uuid.h"

/* Keys of a namespace may come from texts too: is this one a uuid, as uuid_out writes it? */
extern bool KeyIsUuid(const char *key, int len, pg_uuid_t *uuid);

/* Is it a number above zero, as an integer column writes it? So '02', '+2' and '2 ' are others than '2'. */
extern bool KeyIsNumber(const char *key, int len, int64 *number);

/* The largest number that a column of an integer type can hold. */
extern int64 LargestKey(Oid type);

/* An array of keys (NULLs left out) that compares with the source's customer column. */
extern Datum KeyArray(const Source *source, int n, char **keys, Oid *type);

/* The position of each key in a list of them, for results that come back in any order. */
typedef struct KeyIndex KeyIndex;

extern KeyIndex *KeyIndexCreate(int n, char **keys);

/* The first position of a key, and the next after it, since a list may have it twice; -1: none. */
extern int	KeyIndexFirst(const KeyIndex *index, const char *key, int *at);
extern int	KeyIndexNext(const KeyIndex *index, int *at);

#endif							/* CUSTSEG_SOURCE_KEYS_H */
