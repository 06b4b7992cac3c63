/*
 * channel.h
 *		The ways on which customers are contacted.
 *
 * Call inside SPI.
 */
#ifndef CUSTSEG_CHANNEL_H
#define CUSTSEG_CHANNEL_H

#include "postgres.h"

typedef struct Channel
{
	char	   *name;
	bool		enabled;
	bool		by_email;		/* else by phone */
	int			capacity;		/* contacts a day */
	Datum		lease;			/* an interval */
	Datum		cost;			/* of a contact, a numeric */
} Channel;

/* False, or an error unless missing_ok, if there is none of this name. */
extern bool ReadChannel(const char *name, bool missing_ok, Channel *channel);

/* Those that are on, have a capacity and a tier that uses them, by name. */
extern Channel *ReadChannelsInUse(int *n);

/* The names of those that are on: a text[]. */
extern Datum ChannelsInUse(void);

#endif							/* CUSTSEG_CHANNEL_H */
