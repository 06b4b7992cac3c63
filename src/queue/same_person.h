/*
 * same_person.h
 *		Accounts with the same phone number or e-mail address, in the queue.
 */
#ifndef CUSTSEG_SAME_PERSON_H
#define CUSTSEG_SAME_PERSON_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "person/handle.h"

typedef struct HandleState
{
	bool		suppressed;		/* somebody with this handle must not be contacted */
	bool		taken;			/* another customer with it has been contacted on the shop's day, or is about to be */
} HandleState;

/*
 * What is known of n customers' handles for a channel at a moment. Where
 * open_too says so an open task takes a handle, too. Inside SPI.
 */
extern void LookAtHandles(int n, const Handle *handles, const int64 *customers, const char *channel,
						  TimestampTz as_of, const bool *open_too, HandleState *states);

/*
 * Be the only one until the end of the transaction who claims for a handle that
 * no task had before; false when somebody else is.
 */
extern bool LockHandle(const Handle *handle);

#endif							/* CUSTSEG_SAME_PERSON_H */
