/*
 * audience.h
 *		Whom playbooks are for: those who fell silent, and not in anger.
 *
 * Conditions on s, a customer's row of custseg.standing. All playbooks have the
 * same audience; this is the one place that says which.
 */
#ifndef CUSTSEG_AUDIENCE_H
#define CUSTSEG_AUDIENCE_H

#define AUDIENCE_LABEL		"'lifecycle'"
#define AUDIENCE_BEGINS_AS	"'silent'"	/* with this label somebody comes in */
#define AUDIENCE_STAYS_AS	"('silent', 'lost')"	/* and stays with these */

#define NOT_ANGRY			"s.quadrant IS DISTINCT FROM 'angry_churn'"

/* Somebody for whom an episode can begin. */
#define AUDIENCE_BEGINS		"s.lifecycle = " AUDIENCE_BEGINS_AS " AND " NOT_ANGRY

/* Somebody whom a task can be about. */
#define AUDIENCE_STAYS		"s.lifecycle IN " AUDIENCE_STAYS_AS " AND " NOT_ANGRY

/* Somebody who has left it (NULL, which is not true, for who has no standing), and why. */
#define AUDIENCE_LEFT		"(s.lifecycle NOT IN " AUDIENCE_STAYS_AS " OR s.quadrant = 'angry_churn')"
#define AUDIENCE_LEFT_WHY \
	" WHEN s.lifecycle NOT IN " AUDIENCE_STAYS_AS " THEN 'not_silent'" \
	" WHEN s.quadrant = 'angry_churn' THEN 'angry_churn'"

/* Somebody who will come in by the passing of time. */
#define AUDIENCE_TO_COME	"s.lifecycle NOT IN ('silent', 'lost', 'prospect') AND " NOT_ANGRY

#endif							/* CUSTSEG_AUDIENCE_H */
