/*
 * arm.h
 *		Who is contacted, and who is left alone to compare with.
 */
#ifndef CUSTSEG_ARM_H
#define CUSTSEG_ARM_H

#include "common/changes.h"
#include "common/moment.h"

/*
 * One person, one arm: whoever was drawn for any goal has that arm for all of
 * them, since all playbooks have the same trigger, and a control is contacted by
 * none. r is the first that was drawn for the person of a, or all NULL.
 */
#define ARM_BEFORE \
	" LEFT JOIN LATERAL (SELECT d.arm, d.share FROM custseg.arm d WHERE d.person = a.person" \
	" ORDER BY d.drawn_at, d.goal COLLATE \"C\" LIMIT 1) r ON true"

/* The arm of such a person; a has person, goal and holdout as in an audience. Needs the salt: see ReadHandleSalt. */
#define ARM_OF_A \
	"coalesce(r.arm, CASE WHEN ((pg_catalog.hashtextextended(a.goal || E'\\x1f' || a.person," \
	" (SELECT salt FROM custseg.arm_salt)) >> 11) & 9007199254740991)::float8" \
	" / 9007199254740992 < a.holdout THEN 'control' ELSE 'contact' END)"

/* Draw for those of an audience (audience.h) who have no arm yet. Inside SPI. */
extern void DrawArms(const Changes *audience, const Moment *now);

/* Persons of these customers (bigint[]) who have no arm yet have that of their accounts. */
extern void ArmsMerge(Datum customers);

/* Those of customers who are forgotten, while their keys are still known. */
extern void ArmsForget(Datum customers);

#endif							/* CUSTSEG_ARM_H */
