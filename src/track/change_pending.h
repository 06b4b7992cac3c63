/*
 * change_pending.h
 *		Which customers have a change that no refresh has read yet, as claim()
 *		asks. Call inside SPI, as the owner of the extension.
 */
#ifndef CUSTSEG_CHANGE_PENDING_H
#define CUSTSEG_CHANGE_PENDING_H

#include "postgres.h"

#include "nodes/pg_list.h"

/*
 * In one of these sources. A look knows of all changes that were committed when
 * it was first asked, and may know of later ones. It answers about a customer
 * once, and the same from then on; it lives as long as the memory context it was
 * made in.
 */
typedef struct ChangeLook ChangeLook;

extern ChangeLook *ChangeLogLook(List *sources);
extern void ChangeLogPending(ChangeLook *look, int n, const int64 *ids, bool *pending);

/* Whether an answer came from an entry that means all of a source. */
extern bool ChangeLogAll(const ChangeLook *look);

/* Whether an answer takes a while, and many may be concerned: by the log's pages, those of removed entries included. */
extern bool ChangeLogIsLong(void);

#endif							/* CUSTSEG_CHANGE_PENDING_H */
