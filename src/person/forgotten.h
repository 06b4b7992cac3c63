/*
 * forgotten.h
 *		Who was forgotten, known only by a hash.
 *
 * Call inside SPI, as the owner of the extension.
 */
#ifndef CUSTSEG_FORGOTTEN_H
#define CUSTSEG_FORGOTTEN_H

#include "postgres.h"

/* All who are forgotten now; NULL where nobody is, and then nothing costs anything. */
typedef struct Forgotten Forgotten;

extern Forgotten *ForgottenRead(MemoryContext context);
extern bool IsForgotten(const Forgotten *forgotten, const char *namespace, const char *key);

/* The shop's own number. */
extern bool IsNumberForgotten(const Forgotten *forgotten, int64 customer_id);

/* One, looked up. */
extern bool KeyIsForgotten(const char *namespace, const char *key);

/* Somebody was forgotten whom a refresh that was running may have written since: the next one looks. */
extern bool ForgettingGoesOn(void);

/* Mark those. */
extern void ForgottenPending(const int64 *ids, int n, bool *pending);

/* Take all of them off that list: their numbers, ascending, with those they may have got since. */
extern int64 *ForgottenStragglers(int *n);

/* Remember a key: false where it is remembered already. And put a number it has, or 0 for none, on that list. */
extern bool ForgottenAdd(const char *namespace, const char *key, const char *by);
extern void ForgottenNote(const char *namespace, const char *key, int64 customer_id);

/* Let a key in again: false where it was not remembered. */
extern bool ForgottenRemove(const char *namespace, const char *key);

#endif							/* CUSTSEG_FORGOTTEN_H */
