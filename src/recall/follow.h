/*
 * follow.h
 *		Opening and closing episodes.
 */
#ifndef CUSTSEG_FOLLOW_H
#define CUSTSEG_FOLLOW_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "utils/array.h"
#include "utils/date.h"

/* Episodes of some customers; of all where the parameter, a bigint[], is NULL. */
#define OF_CUSTOMERS(param) " AND (" param " IS NULL OR e.customer_id = ANY (" param "))"

/* Episodes that are not over. */
#define EPISODE_OPEN "('waiting', 'watching', 'contacting', 'unreachable')"

/* One writer of episodes at a time, until the end of the transaction. */
extern void RecallLock(void);

/* Draw the salt of the arms if there is none yet. */
extern void DrawSalt(void);

/*
 * Whom enabling a playbook would make eligible, as a subquery: goal,
 * playbook, version, holdout, window_days, expire_days, customer_id,
 * opened_by, person, since, priority. $1 is the moment, $2 the day, $3 the
 * playbook.
 */
extern const char *BacklogAudience(void);

/*
 * One person, one arm: whoever was drawn for any goal has that arm for all of
 * them, since all playbooks have the same trigger, and a control is contacted by
 * none. r is the first that was drawn for the person of a, or all NULL.
 */
#define ARM_BEFORE \
	" LEFT JOIN LATERAL (SELECT d.arm, d.share FROM custseg.arm d WHERE d.person = a.person" \
	" ORDER BY d.drawn_at, d.goal COLLATE \"C\" LIMIT 1) r ON true"

/* The arm of such a person; a has person, goal and holdout as above. */
#define ARM_OF_A \
	"coalesce(r.arm, CASE WHEN ((pg_catalog.hashtextextended(a.goal || E'\\x1f' || a.person," \
	" (SELECT salt FROM custseg.arm_salt)) >> 11) & 9007199254740991)::float8" \
	" / 9007199254740992 < a.holdout THEN 'control' ELSE 'contact' END)"

/* Open the backlog of a playbook; returns how many episodes, of which controls. */
extern void OpenBacklog(const char *playbook, TimestampTz as_of, DateADT day,
						int64 *episodes, int64 *controls);

/*
 * Close the open episodes of customers (bigint[]; NULL: all) who have ordered
 * since, or are gone. False when some stayed open because somebody held them.
 */
extern bool CloseOrdered(TimestampTz as_of, DateADT day, ArrayType *customers);

/* Withdraw the unclaimed tasks of episodes that are over, of customers or (NULL) all. */
extern void WithdrawTasks(TimestampTz as_of, ArrayType *customers);

#endif							/* CUSTSEG_FOLLOW_H */
