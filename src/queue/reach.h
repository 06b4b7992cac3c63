/*
 * reach.h
 *		What can be said to a customer, and whether they can be reached.
 */
#ifndef CUSTSEG_REACH_H
#define CUSTSEG_REACH_H

#include "postgres.h"

#include "person/contact.h"
#include "playbook/message.h"

/* The facts about a customer with profile p and standing s on the day $2. */
#define FACTS_COLUMNS \
	"custseg.order_count(p.timeline, $2)::bigint," \
	" pg_catalog.round(custseg.spend(p.timeline, $2), 2)::text," \
	" custseg.last_order_day(p.timeline, $2)::text," \
	" $2 - custseg.last_order_day(p.timeline, $2)," \
	" s.silent_at::text, s.silent_at - custseg.last_order_day(p.timeline, $2), s.tier::text"

/* Those columns of a row of the last result, from column first on. */
extern void FactsFromRow(uint64 row, int first, CustomerFacts *facts);

/*
 * Why a customer cannot be reached, or NULL. same_suppressed: somebody with the
 * same handle must not be contacted.
 */
extern const char *Unreachable(const Contact *contact, bool by_email, bool suppressed, bool has_template,
							   bool same_suppressed);

#endif							/* CUSTSEG_REACH_H */
