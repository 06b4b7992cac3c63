/*
 * event.h
 *		What can happen to customers besides orders: the events of sources.
 */
#ifndef CUSTSEG_EVENT_H
#define CUSTSEG_EVENT_H

#include "profile/writer.h"
#include "source/mapping.h"

/* All sources of events, with what they can tell of, in the order they were added. Inside SPI. */
extern List *ListEventSources(void);

/* Where what it says of customers goes. */
extern void TargetOfEvents(ProfileTarget *target, const Source *source);

/* What an event can mean to us, by name; NULL last. */
extern const char *const event_meanings[];

#endif							/* CUSTSEG_EVENT_H */
