/*
 * places.h
 *		The places that a channel has on a day.
 */
#ifndef CUSTSEG_PLACES_H
#define CUSTSEG_PLACES_H

#include "postgres.h"

#include "utils/date.h"

/* A channel's places of the day: the slots from 1 to its capacity that are not taken. */
typedef struct Places
{
	int			capacity;
	int		   *taken;			/* ascending */
	int			ntaken;
	int			room;			/* for so many */
	int			at;				/* in taken */
	int			next;			/* slot to look at */
} Places;

extern void ReadPlaces(const char *channel, int capacity, DateADT day, Places *places);

/* The next free slot, or 0. */
extern int	NextPlace(Places *places);

/*
 * Tasks of earlier days that are still to be done use the capacity of today.
 * Those that today's capacity no longer has room for keep their old place.
 */
extern void CarryOver(DateADT day);

/* How many those are. */
extern int64 CountLeftOver(const char *channel, DateADT day);

#endif							/* CUSTSEG_PLACES_H */
