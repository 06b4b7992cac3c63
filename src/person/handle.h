/*
 * handle.h
 *		Phone numbers and e-mail addresses, as far as we keep them: hashes.
 */
#ifndef CUSTSEG_HANDLE_H
#define CUSTSEG_HANDLE_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "person/contact.h"

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

#endif							/* CUSTSEG_HANDLE_H */
