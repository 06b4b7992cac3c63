/*
 * events.h
 *		Rows of a source of events, of which a customer has several kinds.
 *
 * A row has its event's place among those of the source where other rows have
 * only their day: days take 22 bits, and there are 32. Customer and event
 * together are then what a row is sorted by, so that one read makes a timeline
 * for each of the two, and costs what a read of orders does.
 */
#ifndef CUSTSEG_PROFILE_EVENTS_H
#define CUSTSEG_PROFILE_EVENTS_H

#include "source/mapping.h"

/* Which of a source's events has that name. */
typedef struct EventTable
{
	uint32		mask;
	struct EventSlot
	{
		const char *name;		/* NULL: free */
		int			len;
		int			event;		/* from 0 */
	}		   *slots;
} EventTable;

/* In the current memory context. */
extern EventTable *EventTableCreate(const Source *source);

/* The bits that tell so many events from each other. */
extern int	EventBits(int n_events);

static inline uint32
EventHash(const char *name, int len)
{
	uint32		hash = 2166136261u;

	for (int i = 0; i < len; i++)
		hash = (hash ^ (unsigned char) name[i]) * 16777619u;
	return hash ^ hash >> 15;
}

/* -1: it is none of them. */
static inline int
EventNamed(const EventTable *table, const char *name, int len)
{
	uint32		at;

	if (len > EVENT_MAX_LENGTH)
		return -1;
	for (at = EventHash(name, len) & table->mask; table->slots[at].name; at = (at + 1) & table->mask)
		if (table->slots[at].len == len && memcmp(table->slots[at].name, name, len) == 0)
			return table->slots[at].event;
	return -1;
}

/* In a row. */
#define EVENT_DAY_BITS	22		/* hold twice DAY_LIMIT */

static inline int32
EventDayPack(int event, int32 day)
{
	return (int32) ((uint32) event << EVENT_DAY_BITS | (uint32) (day + DAY_LIMIT));
}

static inline int
EventOfPacked(int32 packed)
{
	return (uint32) packed >> EVENT_DAY_BITS;
}

static inline int32
DayOfPacked(int32 packed)
{
	return (int32) ((uint32) packed & ((1 << EVENT_DAY_BITS) - 1)) - DAY_LIMIT;
}

#endif							/* CUSTSEG_PROFILE_EVENTS_H */
