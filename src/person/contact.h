/*
 * contact.h
 *		Names, handles and opt-outs, from the shop's own customer tables.
 */
#ifndef CUSTSEG_CONTACT_H
#define CUSTSEG_CONTACT_H

#include "postgres.h"

typedef struct Contact
{
	int64		customer_id;
	bool		found;			/* the customer has a row there */
	char	   *name;			/* NULL where empty or not mapped */
	char	   *phone;
	char	   *email;
	bool		do_not_contact;
} Contact;

/* Has the shop registered a customer table? Call inside SPI. */
extern bool ContactsMapped(void);

/*
 * Read them fresh, each from the table of the customer's namespace, as its owner.
 * Of a customer with several accounts, each thing from the first account that has
 * it, and a no of any. Call inside SPI.
 */
extern void ReadContacts(int n, const int64 *ids, Contact *out);

/* Of one account each. */
extern void ReadAccountContacts(int n, const int64 *ids, Contact *out);

/* The source that is being read, or was when that failed; 0: none is. */
extern int	ContactsReading(void);

/*
 * Everybody who must not be contacted by what those tables say, whether we know
 * the customer or not: the phone and e-mail of a contact whose other fields
 * mean nothing. The callback runs as the table's owner. Call inside SPI.
 */
extern void ReadOptOuts(void (*found) (const Contact *contact, void *arg), void *arg);

#endif							/* CUSTSEG_CONTACT_H */
