/*
 * outcome.c
 *		What became of episodes, by the same clock for both arms.
 *
 * The clock starts with eligibility and knows nothing of tasks: whether a
 * customer was reached, refused or never called makes no difference to how they
 * are measured, or the arms would not be comparable any more. It counts the
 * orders of the days after eligible_on, up to window_days; once that window is
 * over the outcome is final and stays, whatever arrives late. Of who was forgotten
 * what is final stays, and the rest is measured no more.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/timestamp.h"

#include "common/guard.h"
#include "common/settings.h"
#include "common/spi.h"
#include "common/stream.h"
#include "measure/measure.h"

PG_FUNCTION_INFO_V1(custseg_measure_outcomes);

/* Episodes are opened one transaction at a time, so new ones have higher ids. */
#define TO_MEASURE \
	"SELECT e.* FROM custseg.episode e" \
	" WHERE e.episode_id > $3 AND e.customer_id IS NOT NULL" \
	" UNION ALL" \
	" SELECT e.* FROM custseg.outcome m JOIN custseg.episode e USING (episode_id) WHERE NOT m.final" \
	" AND e.customer_id IS NOT NULL AND ($2 IS NULL OR e.customer_id = ANY ($2))"

/*
 * Profiles are looked up one by one, in their order: the windows that are open
 * are those of a few of the customers.
 *
 * What is as it was is left out before the insert: a conflict locks the row it
 * meets, and so writes it, whether it is then changed or not.
 */
void
MeasureOutcomes(const Moment *now, ArrayType *customers)
{
	Oid			types[] = {DATEOID, INT8ARRAYOID, INT8OID};
	Datum		values[] = {DateADTGetDatum(now->day), PointerGetDatum(customers), (Datum) 0};
	int			level = PlanByIndexBegin();

	/* Known beforehand, it tells the planner how few are new. */
	SpiRun("SELECT coalesce(max(episode_id), -1) FROM custseg.outcome", 0, NULL, NULL, NULL);
	values[2] = Int64GetDatum(SpiInt64(0, 1, 0));
	SpiRun("INSERT INTO custseg.outcome (episode_id, converted_on, orders, spend, final, measured_on)"
		   " SELECT n.episode_id, n.converted_on, n.orders, n.spend, n.final, $1"
		   " FROM (SELECT w.episode_id,"
		   "   CASE WHEN custseg.last_order_day(p.timeline) > w.eligible_on THEN"
		   "    (SELECT min(d.day) FROM custseg.entries(p.timeline, w.last_day) d"
		   "     WHERE d.day > w.eligible_on AND d.orders > 0) END AS converted_on,"
		   "   coalesce(custseg.order_count(p.timeline, w.last_day)"
		   "    - custseg.order_count(p.timeline, w.eligible_on), 0) AS orders,"
		   "   coalesce(custseg.spend(p.timeline, w.last_day) - custseg.spend(p.timeline, w.eligible_on), 0) AS spend,"
		   "   w.final"
		   "  FROM (SELECT e.episode_id, e.customer_id, e.eligible_on,"
		   "    greatest(e.eligible_on, least(e.eligible_on + e.window_days, $1)) AS last_day,"
		   "    e.eligible_on + e.window_days < $1 AS final"
		   "   FROM (" TO_MEASURE ") e ORDER BY e.customer_id) w"
		   "  LEFT JOIN custseg.person g ON g.customer_id = w.customer_id"
		   "  LEFT JOIN custseg.profile p ON p.customer_id = coalesce(g.person_id, w.customer_id) OFFSET 0) n"
		   " LEFT JOIN custseg.outcome o USING (episode_id)"
		   " WHERE o.episode_id IS NULL OR (o.converted_on, o.orders, o.spend, o.final)"
		   "  IS DISTINCT FROM (n.converted_on, n.orders, n.spend, n.final)"
		   " ORDER BY n.episode_id"
		   " ON CONFLICT (episode_id) DO UPDATE SET converted_on = EXCLUDED.converted_on,"
		   "  orders = EXCLUDED.orders, spend = EXCLUDED.spend, final = EXCLUDED.final,"
		   "  measured_on = EXCLUDED.measured_on",
		   3, types, values, customers ? NULL : " n ");
	PlanByIndexEnd(level);
}

Datum
custseg_measure_outcomes(PG_FUNCTION_ARGS)
{
	Moment		now;
	Guard		guard;

	OwnerBegin(&guard);
	now = MomentOf(PG_GETARG_TIMESTAMPTZ(1));
	now.run_id = PG_GETARG_INT64(0);
	MeasureOutcomes(&now, NULL);
	OwnerEnd(&guard);
	PG_RETURN_VOID();
}
