/*
 * audience.h
 *		Who is eligible for a playbook now.
 */
#ifndef CUSTSEG_RECALL_AUDIENCE_H
#define CUSTSEG_RECALL_AUDIENCE_H

#include "postgres.h"

#include "common/changes.h"
#include "common/moment.h"
#include "person/identity.h"

/* What an audience is kept as: its columns, for statements that take it as their first parameters. */
#define AUDIENCE_COLUMNS \
	"goal, playbook, version, holdout, window_days, expire_days, customer_id, opened_by, person, since, priority"
#define FROM_AUDIENCE \
	" FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) a (" AUDIENCE_COLUMNS ")"

/*
 * The arms of all accounts of a person, for whatever goal: whether one of them is
 * a control's, and whether they differ. NULL and false for who has one account.
 */
#define ARMS_OF_ACCOUNTS(customer) \
	"(SELECT bool_or(o.arm = 'control') AS control, count(DISTINCT o.arm) > 1 AS mixed" \
	" FROM custseg.person g JOIN custseg.person m USING (person_id)" \
	" JOIN custseg.arm o ON o.person = " ARM_PERSON("m.customer_id") \
	" WHERE g.customer_id = " customer ")"

/* Whom enabling a playbook would make eligible, as a subquery with those columns: $1 is the moment, $2 the day, $3 the playbook. */
extern const char *BacklogAudience(void);

/* Those who fell silent by the transitions after a given one, $3. */
extern const char *FreshAudience(void);

/* How many are left out of that, because the silence that data brought to light is an old one. */
extern int64 CountOldNews(const Moment *now, int64 after_transition);

/*
 * Look for an audience once, and tell it in portions. value is the statement's
 * $3. The statements that tell runs are planned by index.
 */
extern void EachAudience(const char *sql, const Moment *now, Oid type, Datum value,
						 void (*tell) (const Changes *portion, void *arg), void *arg);

#endif							/* CUSTSEG_RECALL_AUDIENCE_H */
