/*
 * channel.h
 *		The ways on which customers are contacted, and the playbooks that are on.
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

/* An error if there is none of this name. */
extern void ReadChannel(const char *name, Channel *channel);

/* Those that are on, have a capacity and a tier that uses them, by name. */
extern Channel *ReadChannelsInUse(int *n);

/* The names of the playbooks, and of the channels, that are on: a text[]. */
extern Datum PlaybooksInUse(void);
extern Datum ChannelsInUse(void);

#endif							/* CUSTSEG_CHANNEL_H */
