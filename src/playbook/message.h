/*
 * message.h
 *		Reasons and messages in words.
 */
#ifndef CUSTSEG_MESSAGE_H
#define CUSTSEG_MESSAGE_H

#include "postgres.h"

/* What a reason or a message can tell about a customer, as of a day. */
typedef struct CustomerFacts
{
	int64		orders;
	char	   *spend;
	char	   *last_order;		/* a day */
	int			days_silent;
	char	   *silent_at;		/* a day; may be NULL */
	int			limit_days;		/* from last_order to silent_at */
	char	   *tier;			/* may be NULL */
} CustomerFacts;

/* The shop's text, or ours, in its language or else in English; NULL when there is none. Inside SPI. */
extern char *MessageBody(const char *playbook, const char *channel, bool chinese);

/* Why this customer. */
extern char *RenderReason(const CustomerFacts *facts, bool chinese);

/* A template with everything filled in but the name. */
extern char *RenderMessage(const char *body, const CustomerFacts *facts);

/* The name of those who have none. */
extern const char *DearCustomer(bool chinese);

/* What RenderMessage left: the name, never stored. */
extern char *RenderName(const char *message, const char *name);

#endif							/* CUSTSEG_MESSAGE_H */
