/*
 * plan.h
 *		What planning and the dry run of a playbook share.
 */
#ifndef CUSTSEG_PLAN_H
#define CUSTSEG_PLAN_H

#include "postgres.h"

#include "recall/message.h"
#include "source/contact.h"

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

#endif							/* CUSTSEG_PLAN_H */
