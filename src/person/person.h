/*
 * person.h
 *		Which customers are one person.
 *
 * Call inside SPI, as the owner of the extension.
 */
#ifndef CUSTSEG_PERSON_H
#define CUSTSEG_PERSON_H

#include "postgres.h"

/* Is anybody linked, or was until a refresh that is still to come? Where not, none of this costs anything. */
extern bool PersonsLinked(void);

/* In SQL: the customer who stands for the person that a customer is. */
#define PERSON_OF(id) \
	"coalesce((SELECT g.person_id FROM custseg.person g WHERE g.customer_id = " id "), " id ")"

/* In SQL: whether a customer is one of somebody else's accounts, and has no profile of the own. */
#define IS_ACCOUNT_OF_ANOTHER(id) \
	"EXISTS (SELECT FROM custseg.person g WHERE g.customer_id = " id " AND g.person_id <> " id ")"

/* Their links changed, or something that all members must have. */
extern void PersonsNotePending(const int64 *ids, int n);
extern void PersonsNoteSome(Datum ids);	/* a bigint[] */
extern void PersonsNoteIfLinked(int64 id);

/* Note those of whom custseg.person does not say what links do; when everybody is merged anew in any case. */
extern void PersonsNoteWrong(void);

/* Take some customers whose links changed, "most" or fewer, ascending; NULL when there are none. */
extern int64 *PersonsTake(int most, int *n);

/*
 * Work out which customers are one person now: of all who are, or were, one with
 * any of these. All of them, ascending.
 */
extern int64 *PersonsWorkOut(const int64 *taken, int n_taken, int *n);

/* Customers and all who are one person with one of them, ascending, each once. */
extern int64 *WithMembers(const int64 *ids, int n, int *n_all);

/*
 * Customers, and after them the other members of their persons: a list of
 * *n_all, in which all from position n on stand for the customer at owners[i - n].
 */
extern int64 *MembersOf(const int64 *ids, int n, int *n_all, int **owners);

/* Mark those of whom it is still to be worked out who is one person with them. */
extern void PersonsPending(const int64 *ids, int n, bool *pending);

#endif							/* CUSTSEG_PERSON_H */
