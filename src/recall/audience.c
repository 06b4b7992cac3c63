/*
 * audience.c
 *		Who is eligible for a playbook now.
 *
 * Only silence that came with data or time makes somebody eligible; a new
 * calibration or setting that moves a thousand customers across a line does
 * not. Nor does old history that has just come to light: a silence longer than
 * that of a backlog. And it is decided without a look at arms.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "common/settings.h"
#include "common/spi.h"
#include "common/stream.h"
#include "person/identity.h"
#include "playbook/audience.h"
#include "recall/audience.h"
#include "recall/episode.h"

/*
 * Whom a playbook makes eligible. Somebody who must never be contacted is in
 * neither arm; somebody who must not for a while is, and waits. Episodes are
 * looked up one by one: a join may walk all that were opened since the cursor
 * was, for each.
 */
#define AUDIENCE(fresh, which) \
	"SELECT DISTINCT ON (b.goal, f.customer_id)" \
	" b.goal, b.playbook, b.version, b.holdout, b.window_days, b.expire_days," \
	" f.customer_id, f.opened_by, " ARM_PERSON("f.customer_id") " AS person," \
	" custseg.last_order_day(p.timeline, $2) AS since," \
	" custseg.spend(p.timeline, $2)::float8 AS priority" \
	" FROM (" fresh ") f" \
	" JOIN custseg.standing s USING (customer_id)" \
	" JOIN custseg.profile p USING (customer_id)" \
	" JOIN custseg.playbook b ON " which \
	" WHERE " AUDIENCE_BEGINS \
	" AND custseg.last_order_day(p.timeline, $2) IS NOT NULL" \
	" AND NOT EXISTS (SELECT FROM custseg.suppression x" \
	"   WHERE x.customer_id = f.customer_id AND x.channel IS NULL AND x.until IS NULL)" \
	" AND (SELECT o.episode_id FROM custseg.episode o" \
	"   WHERE o.customer_id = f.customer_id AND o.goal = b.goal AND o.state IN " EPISODE_OPEN " LIMIT 1) IS NULL" \
	" ORDER BY b.goal, f.customer_id, b.playbook"

#define FRESHLY_SILENT \
	"SELECT DISTINCT ON (t.customer_id) t.customer_id, t.cause AS opened_by" \
	" FROM custseg.transition t" \
	" WHERE t.transition_id > $3 AND t.label = " AUDIENCE_LABEL " AND t.to_value = " AUDIENCE_BEGINS_AS \
	" AND t.cause IN ('data', 'time')" \
	" ORDER BY t.customer_id, t.transition_id DESC"

#define OLD_NEWS "(f.opened_by = 'data' AND s.silent_at < $2 - (SELECT backlog_days FROM custseg.settings))"

#define SILENT_BEFORE \
	"SELECT s.customer_id, 'backlog'::text AS opened_by" \
	" FROM custseg.standing s" \
	" WHERE s.lifecycle = " AUDIENCE_BEGINS_AS " AND s.silent_at <= $2" \
	" AND s.silent_at >= $2 - (SELECT backlog_days FROM custseg.settings)"

static const Oid audience_types[] = {TEXTOID, TEXTOID, INT4OID, FLOAT8OID, INT4OID, INT4OID, INT8OID, TEXTOID, TEXTOID,
DATEOID, FLOAT8OID};

const char *
BacklogAudience(void)
{
	return AUDIENCE(SILENT_BEFORE, "b.playbook = $3");
}

const char *
FreshAudience(void)
{
	return AUDIENCE(FRESHLY_SILENT, "b.enabled AND NOT " OLD_NEWS);
}

int64
CountOldNews(const Moment *now, int64 after_transition)
{
	Oid			types[] = {TIMESTAMPTZOID, DATEOID, INT8OID};
	Datum		values[] = {TimestampTzGetDatum(now->as_of), DateADTGetDatum(now->day), Int64GetDatum(after_transition)};

	SpiRun("SELECT count(DISTINCT a.customer_id) FROM (" AUDIENCE(FRESHLY_SILENT, "b.enabled AND " OLD_NEWS) ") a"
		   " WHERE $1 IS NOT NULL", 3, types, values, NULL);
	return SpiInt64(0, 1, 0);
}

/* The rows just fetched, as columns. */
static void
AsColumns(Changes *portion)
{
	uint64		n = SPI_processed;

	memset(portion, 0, sizeof(*portion));
	portion->ncolumns = lengthof(audience_types);
	for (int c = 0; c < portion->ncolumns; c++)
		portion->columns[c].type = audience_types[c];
	for (uint64 row = 0; row < n; row++)
	{
		Datum		columns[lengthof(audience_types)];
		bool		nulls[lengthof(audience_types)];

		for (int c = 0; c < portion->ncolumns; c++)
			columns[c] = SpiField(row, c + 1, &nulls[c]);
		AddChange(portion, columns, nulls);
	}
}

void
EachAudience(const char *sql, const Moment *now, Oid type, Datum value,
			 void (*tell) (const Changes *portion, void *arg), void *arg)
{
	Oid			types[] = {TIMESTAMPTZOID, DATEOID, type};
	Datum		values[] = {TimestampTzGetDatum(now->as_of), DateADTGetDatum(now->day), value};
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "custseg audience", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old;
	int			level = PlanByIndexBegin();
	Portal		cursor;

	cursor = SPI_cursor_open_with_args(NULL, sql, lengthof(types), types, values, NULL, false,
									   CURSOR_OPT_NO_SCROLL);
	old = MemoryContextSwitchTo(context);
	for (bool more = true; more;)
	{
		SPITupleTable *found;
		Changes		portion;

		SPI_cursor_fetch(cursor, true, custseg_batch_size);
		MemoryContextSwitchTo(context);
		found = SPI_tuptable;
		more = SPI_processed > 0;
		if (more)
		{
			AsColumns(&portion);
			tell(&portion, arg);
		}
		SPI_freetuptable(found);
		MemoryContextReset(context);
	}
	MemoryContextSwitchTo(old);
	SPI_cursor_close(cursor);
	PlanByIndexEnd(level);
	MemoryContextDelete(context);
}
