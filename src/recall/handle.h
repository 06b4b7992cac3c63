/*
 * handle.h
 *		Phone numbers and e-mail addresses, as far as we keep them: hashes.
 */
#ifndef CUSTSEG_HANDLE_H
#define CUSTSEG_HANDLE_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "source/contact.h"

/* What handles are hashed with in this database; drawn if it was not. Inside SPI. */
extern uint64 HandleSalt(void);

/*
 * The hash of what a contact has for a kind of channel; NO_HANDLE if nothing. A
 * phone number is its digits, an e-mail address its small letters.
 */
#define NO_HANDLE 0
extern int64 HandleHash(uint64 salt, const Contact *contact, bool by_email);

/*
 * Handles of everybody who must not be contacted by what the shop's own
 * customer table says. Inside SPI.
 */
typedef struct OptOuts
{
	int64	   *handles;		/* sorted, each once */
	int			n;
} OptOuts;

extern OptOuts OptOutHandles(void);
extern bool IsOptOut(const OptOuts *opt_outs, int64 handle);

/* Let custseg.suppressed_handle say what they are now. Inside SPI. */
extern void StoreOptOuts(const OptOuts *opt_outs);

typedef struct HandleState
{
	bool		suppressed;		/* somebody with this handle must not be contacted */
	bool		taken;			/* another customer with it has been contacted on the shop's day, or is about to be */
} HandleState;

/*
 * What is known of n customers' handles for a channel at a moment. Where
 * open_too says so an open task takes a handle, too. Inside SPI.
 */
extern void LookAtHandles(int n, const int64 *handles, const int64 *customers, const char *channel,
						  TimestampTz as_of, const bool *open_too, HandleState *states);

/*
 * Be the only one until the end of the transaction who claims for a handle that
 * no task had before; false when somebody else is.
 */
extern bool LockHandle(int64 handle);

#endif							/* CUSTSEG_HANDLE_H */
