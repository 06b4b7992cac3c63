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

/* Those of them that tell of complaints. Inside SPI. */
extern List *ListComplaintSources(void);

/* The meanings that move labels, as a list in SQL, and whether any event has one. Inside SPI. */
#define LABEL_MEANINGS	"('login', 'complaint', 'resolved')"
extern bool EventsMoveLabels(void);

/* What an event can mean to us, by name; NULL last. */
extern const char *const event_meanings[];

#endif							/* CUSTSEG_EVENT_H */
