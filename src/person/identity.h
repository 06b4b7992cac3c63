/*
 * identity.h
 *		Numbers for customers whose own key is not one.
 */
#ifndef CUSTSEG_IDENTITY_H
#define CUSTSEG_IDENTITY_H

#include "source/mapping.h"
#include "utils/uuid.h"

/*
 * In SQL: what an arm is drawn by, the customer's own key. Namespaces may have the
 * same ones; the shop's own is not named. By the collation of custseg.arm, or else
 * no index of it would do.
 */
#define ARM_PERSON(id) \
	"(CASE WHEN " id " > 0 THEN " id "::text ELSE coalesce((SELECT" \
	" CASE i.namespace WHEN '" SHOP_NAMESPACE "' THEN i.key ELSE i.namespace || '/' || i.key END" \
	" FROM custseg.identity i WHERE i.customer_id = " id " ORDER BY i.namespace, i.key LIMIT 1), " id "::text) END)" \
	" COLLATE pg_catalog.\"default\""

/* Tell every key of the namespace that has a number. Call inside SPI. */
extern void IdentityRead(const char *namespace,
						 void (*tell) (void *arg, const char *key, int len, int64 customer_id),
						 void *arg);

/* The numbers of some keys; 0 for those that have none. Call inside SPI. */
extern int64 *IdentityNumbers(const char *namespace, int n, char **keys);

/* Numbers new keys; opened and closed within one transaction. */
typedef struct IdentityWriter IdentityWriter;

extern IdentityWriter *IdentityOpen(const char *namespace);
extern int64 IdentityAdd(IdentityWriter *writer, const char *key);
extern void IdentityClose(IdentityWriter *writer);

/*
 * The keys of customers as the source writes them, as text: the number itself
 * where the source's numbers are used as they are, NULL where a customer is
 * not one of this source's.
 */
extern char **IdentityKeys(const Source *source, int n, const int64 *ids);

#endif							/* CUSTSEG_IDENTITY_H */
