/*
 * reachable.h
 *		How customers may be reached, by what the shop's customer tables say.
 */
#ifndef CUSTSEG_REACHABLE_H
#define CUSTSEG_REACHABLE_H

#include "postgres.h"

/* One medium of a customer. */
typedef struct Medium
{
	char	   *medium;
	char	   *handle;			/* NULL where there is none */
	bool		has_consent;	/* the table says */
	bool		consent;
} Medium;

typedef struct Reachable
{
	int64		customer_id;
	bool		found;			/* the customer has a row */
	bool		do_not_contact;
	char	   *owner;			/* who looks after the customer; NULL where nobody is named */
	char	   *zone;			/* time zone and language as the shop writes them */
	char	   *language;
	Medium	   *media;			/* those of the tables, by name */
	int			n_media;
} Reachable;

/*
 * Read them fresh, as ReadContacts does: each thing from the first account of the
 * person that has it. What a medium has comes from one account alone: the consent
 * is that of whoever has the handle. Inside SPI.
 */
extern void ReadReachable(int n, const int64 *ids, Reachable *out);

#endif							/* CUSTSEG_REACHABLE_H */
