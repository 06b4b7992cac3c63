/*
 * handle.h
 *		Phone numbers and e-mail addresses, as far as we keep them: hashes.
 */
#ifndef CUSTSEG_HANDLE_H
#define CUSTSEG_HANDLE_H

#include "postgres.h"

#include "person/contact.h"
#include "utils/uuid.h"

/* What handles are hashed with in this database. */
typedef struct HandleSalt
{
	uint8		bytes[16];
} HandleSalt;

/* It is drawn if it was not. Inside SPI. */
extern HandleSalt ReadHandleSalt(void);

/* A hash of 128 bits: in SQL a uuid, in which NULL is none. */
typedef pg_uuid_t Handle;

extern const Handle no_handle;

#define MEDIUM_PHONE	"phone"
#define MEDIUM_EMAIL	"email"

/*
 * The hash of a handle of a medium; no_handle where it cannot be one. A phone
 * number is its digits, an e-mail address its small letters, and anything else
 * what is between the spaces around it. Reads no table.
 */
extern Handle HandleHash(const HandleSalt *salt, const char *medium, const char *handle);

/* Of a customer's key, to the letter, in a namespace. */
extern Handle KeyHash(const HandleSalt *salt, const char *namespace, const char *key);

/* The same of what a contact has for a kind of channel. */
extern Handle ContactHandle(const HandleSalt *salt, const Contact *contact, bool by_email);

static inline bool
SameHandle(const Handle *a, const Handle *b)
{
	return memcmp(a->data, b->data, UUID_LEN) == 0;
}

static inline bool
IsHandle(const Handle *handle)
{
	return !SameHandle(handle, &no_handle);
}

/* An array parameter of them. */
extern Datum HandleArray(const Handle *handles, int n);

/* By its bytes, as SQL has it. */
extern int	CompareHandles(const void *a, const void *b);

/* A field of the last result of SPI. */
extern Handle SpiHandle(uint64 row, int column);

/*
 * Handles of everybody who must not be contacted by what the shop's own
 * customer table says. Inside SPI.
 */
typedef struct OptOuts
{
	Handle	   *handles;		/* sorted, each once */
	int			n;
} OptOuts;

extern OptOuts OptOutHandles(void);
extern bool IsOptOut(const OptOuts *opt_outs, const Handle *handle);

#endif							/* CUSTSEG_HANDLE_H */
