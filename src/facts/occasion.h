/*
 * occasion.h
 *		What happened to some customers lately, one by one, from the source itself.
 */
#ifndef CUSTSEG_OCCASION_H
#define CUSTSEG_OCCASION_H

#include "source/mapping.h"

/* One row of a source of events. */
typedef struct Occasion
{
	int			customer;		/* the place of the customer among those asked for */
	const SourceEvent *event;	/* of the source's */
	TimestampTz at;
	char	   *ref;			/* what the shop calls it; NULL where no column does, or it is null */
	bool		closed;			/* by the moment asked for */
} Occasion;

/*
 * Hand each row of these customers from one moment to another, both included, to
 * a function; what it does not copy is gone when it returns. Read as the owner of
 * the relation, now, and nothing is kept. Rows come in no order. Inside SPI; an
 * error of the source's is raised.
 */
extern void SourceReadOccasions(Source *source, int n, const int64 *ids, TimestampTz since, TimestampTz until,
								void (*found) (const Occasion *occasion, void *arg), void *arg);

#endif							/* CUSTSEG_OCCASION_H */
