/*
 * identity.h
 *		Numbers for customers whose own key is not one.
 */
#ifndef CUSTSEG_IDENTITY_H
#define CUSTSEG_IDENTITY_H

#include "source/mapping.h"
#include "utils/uuid.h"

/* Tell every key of the namespace that has a number. Call inside SPI. */
extern void IdentityRead(const char *namespace,
						 void (*tell) (void *arg, const char *key, int len, int64 customer_id),
						 void *arg);

/* The numbers of some keys; 0 for those that have none. Call inside SPI. */
extern int64 *IdentityNumbers(const char *namespace, int n, char **keys);

/* Keys of a namespace may come from texts too: is this one a uuid, as uuid_out writes it? */
extern bool IdentityIsUuid(const char *key, int len, pg_uuid_t *uuid);

/* Numbers new keys; opened and closed within one transaction. */
typedef struct IdentityWriter IdentityWriter;

extern IdentityWriter *IdentityOpen(const char *namespace);
extern int64 IdentityAdd(IdentityWriter *writer, const char *key);
extern void IdentityClose(IdentityWriter *writer);

/*
 * The keys of customers as the source writes them, as text: the number itself
 * where the source's numbers are used as they are, NULL where a customer is
 * not one of this source's.
 */
extern char **IdentityKeys(const Source *source, int n, const int64 *ids);

/* An array of such keys (NULLs left out) that compares with the source's customer column. */
extern Datum IdentityKeyArray(const Source *source, int n, char **keys, Oid *type);

/* The position of each key in such a list, for results that come back in any order. */
typedef struct KeyIndex KeyIndex;

extern KeyIndex *KeyIndexCreate(int n, char **keys);

/* The first position of a key, and the next after it, since a list may have it twice; -1: none. */
extern int	KeyIndexFirst(const KeyIndex *index, const char *key, int *at);
extern int	KeyIndexNext(const KeyIndex *index, int *at);

#endif							/* CUSTSEG_IDENTITY_H */
