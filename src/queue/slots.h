/*
 * slots.h
 *		The slots that a channel has on a day.
 */
#ifndef CUSTSEG_SLOTS_H
#define CUSTSEG_SLOTS_H

#include "postgres.h"

#include "utils/date.h"

/* A channel's slots of the day, from 1 to its capacity, and which of them are taken. */
typedef struct Slots
{
	int			capacity;
	int		   *taken;			/* ascending */
	int			ntaken;
	int			room;			/* for so many */
	int			at;				/* in taken */
	int			next;			/* slot to look at */
} Slots;

extern void ReadSlots(const char *channel, int capacity, DateADT day, Slots *slots);

/* The next free slot, or 0. */
extern int	NextSlot(Slots *slots);

/*
 * Tasks of earlier days that are still to be done use the capacity of today.
 * Those that today's capacity no longer has room for keep their old slot.
 */
extern void CarryOver(DateADT day);

/* How many those are. */
extern int64 CountLeftOver(const char *channel, DateADT day);

#endif							/* CUSTSEG_SLOTS_H */
