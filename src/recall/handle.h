/*
 * handle.h
 *		Phone numbers and e-mail addresses, as far as we keep them: hashes.
 */
#ifndef CUSTSEG_HANDLE_H
#define CUSTSEG_HANDLE_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "source/contact.h"

/*
 * The hash of what a contact has for a kind of channel; NO_HANDLE if nothing. A
 * phone number is its digits, an e-mail address its small letters. Inside SPI.
 */
#define NO_HANDLE 0
extern int64 HandleHash(const Contact *contact, bool by_email);

typedef struct HandleState
{
	bool		suppressed;		/* somebody with this handle must not be contacted */
	bool		taken;			/* another customer with it has been contacted on the shop's day, or is about to be */
} HandleState;

/*
 * What is known of n customers' handles for a channel at a moment. planning: an
 * open task takes a handle, too. Inside SPI.
 */
extern void LookAtHandles(int n, const int64 *handles, const int64 *customers, const char *channel,
						  TimestampTz as_of, bool planning, HandleState *states);

#endif							/* CUSTSEG_HANDLE_H */
