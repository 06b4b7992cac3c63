/*
 * event.h
 *		What can happen to customers besides orders: the events of sources.
 */
#ifndef CUSTSEG_EVENT_H
#define CUSTSEG_EVENT_H

#include "profile/writer.h"
#include "source/mapping.h"

/* All sources of events, then those of lines, with what they can tell of, in the order they were added. Inside SPI. */
extern List *ListEventSources(void);

/* Where what it says of customers goes. */
extern void TargetOfEvents(ProfileTarget *target, const Source *source);

/* Those of them that tell of complaints. Inside SPI. */
extern List *ListComplaintSources(void);

/* The meanings that move labels, as a list in SQL, and whether any event has one. Inside SPI. */
#define LABEL_MEANINGS	"('login', 'complaint', 'resolved', 'lines', 'bargain', 'bestseller')"
extern bool EventsMoveLabels(void);

/* What the view custseg.label_event, as h, has of a customer, in the order of the type custseg.history. */
#define LABEL_EVENTS	"h.logins, h.complaints, h.resolved, h.lines, h.bargain, h.bestseller"

/* What an event can mean to us, by name; NULL last. */
extern const char *const event_meanings[];

#endif							/* CUSTSEG_EVENT_H */
