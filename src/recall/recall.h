/*
 * recall.h
 *		Opening and closing episodes.
 *
 * Call inside SPI and a transaction, as the owner of the extension.
 */
#ifndef CUSTSEG_RECALL_H
#define CUSTSEG_RECALL_H

#include "postgres.h"

#include "common/moment.h"

/* One writer of episodes and tasks that looks at all of them at a time, until the end of the transaction. */
extern void RecallLock(void);

/* What following transitions came to. */
typedef struct Followed
{
	bool		closed;			/* episodes may have ended, and their tasks are to be withdrawn */
	int64		left_out;		/* customers without an episode, because the silence that data brought to light is an old one */
} Followed;

/*
 * Open and close episodes by the transitions after a given one.
 */
extern Followed RecallFollow(const Moment *now, int64 after_transition);

/* Open the backlog of a playbook; how many episodes, of which controls. */
extern void OpenBacklog(const char *playbook, const Moment *now, int64 *episodes, int64 *controls);

#endif							/* CUSTSEG_RECALL_H */
