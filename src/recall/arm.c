/*
 * arm.c
 *		Who is contacted, and who is left alone to compare with.
 *
 * An arm is drawn by a salted hash of the customer's own key, stored, and never
 * drawn again, so that a later holdout leaves the people drawn before alone.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/timestamp.h"

#include "common/spi.h"
#include "person/identity.h"
#include "recall/arm.h"
#include "recall/audience.h"

/* Who is eligible for several goals at once is drawn for the first of them. */
#define DRAW \
	"INSERT INTO custseg.arm (goal, person, arm, share, drawn_at)" \
	" SELECT DISTINCT ON (a.for_goal, a.person) a.for_goal, a.person, " ARM_OF_A ", coalesce(r.share, a.holdout), $12" \
	" FROM (SELECT n.person, n.goal AS for_goal, n.playbook, first_value(n.goal) OVER w AS goal," \
	"  first_value(n.holdout) OVER w AS holdout FROM (SELECT a.*" FROM_AUDIENCE ") n" \
	"  WINDOW w AS (PARTITION BY n.person ORDER BY n.goal COLLATE \"C\", n.playbook COLLATE \"C\")) a" ARM_BEFORE \
	" ORDER BY a.for_goal, a.person, a.playbook" \
	" ON CONFLICT (goal, person) DO NOTHING"

void
DrawArms(const Changes *audience, const Moment *now)
{
	static SPIPlanPtr draw = NULL;
	Oid			types[] = {TIMESTAMPTZOID};
	Datum		values[] = {TimestampTzGetDatum(now->as_of)};

	(void) WriteChanges(&draw, DRAW, audience, 1, types, values);
}

/* One account that is left alone is enough. */
void
ArmsMerge(Datum customers)
{
	Oid			types[] = {INT8ARRAYOID};
	Datum		values[] = {customers};

	SpiRun("INSERT INTO custseg.arm (goal, person, arm, share, drawn_at)"
		   " SELECT DISTINCT ON (a.goal, g.person_id) a.goal, " ARM_PERSON("g.person_id") ", a.arm, a.share, a.drawn_at"
		   " FROM custseg.person g JOIN custseg.arm a ON a.person = " ARM_PERSON("g.customer_id")
		   " WHERE g.customer_id = ANY ($1)"
		   " ORDER BY a.goal, g.person_id, a.arm = 'control' DESC, a.drawn_at, a.person COLLATE \"C\""
		   " ON CONFLICT (person, goal) DO NOTHING", 1, types, values, NULL);
}

void
ArmsForget(Datum customers)
{
	Oid			types[] = {INT8ARRAYOID};

	SpiRun("DELETE FROM custseg.arm a WHERE a.person = ANY (ARRAY(SELECT " ARM_PERSON("w.id") " FROM unnest($1) w (id)))",
		   1, types, &customers, NULL);
}
