/*
 * change_write.h
 *		Writing the log of changes, at the end of a transaction of the shop.
 */
#ifndef CUSTSEG_CHANGE_WRITE_H
#define CUSTSEG_CHANGE_WRITE_H

#include "postgres.h"

#include "track/move.h"

/* A customer of a source; without a number and a key, all of them. */
typedef struct Change
{
	int			source_id;
	int64		customer;		/* the number, or a hash of the key */
	char	   *key;
} Change;

static inline bool
IsEverything(const Change *change)
{
	return change->customer == 0 && change->key == NULL;
}

/*
 * Write changes to the log: each once, in the order of their sources, and of one
 * source all by number before all by key, ascending. Where that fails, a warning
 * says so, and the next refresh reads the sources whole. What moved goes with them.
 */
extern void ChangeLogWrite(const Change *changes, int n, const Move *moves, int n_moves);

#endif							/* CUSTSEG_CHANGE_WRITE_H */
