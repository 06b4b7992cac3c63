/*
 * moves.c
 *		Customers whose orders the shop gave to another customer.
 *
 * An UPDATE of a tracked table that moves a customer's last orders to another says
 * that the two are one: it becomes a link, which unlink() undoes for good. One that
 * moves some of them says nothing, nor does one that divides them. What was moved
 * is looked at before the sources are read, since only then it can be told who had
 * orders, and again when what was moved has been read.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "common/attempt.h"
#include "common/bulk.h"
#include "common/guard.h"
#include "common/spi.h"
#include "person/link_rule.h"
#include "refresh/moves.h"

#define LONGEST_WAIT	1000	/* ms, for somebody who has linked them and has not committed */

/* The customer with a key of source s; the type of its column may have changed since. */
#define CUSTOMER_OF(key) \
	"CASE WHEN NOT s.native THEN (SELECT i.customer_id FROM custseg.identity i WHERE i.key = " key " AND i.namespace = s.namespace)" \
	" WHEN " key " ~ '^[1-9][0-9]{0,17}$' THEN " key "::bigint END"

/* While parts are not kept, a profile is a customer's own. */
#define HAS_ORDERS(id, parts) \
	"(EXISTS (SELECT FROM custseg.profile_part has WHERE has.customer_id = " id ")" \
	" OR (NOT " parts " AND EXISTS (SELECT FROM custseg.profile has WHERE has.customer_id = " id ")))"

bool
MovesBegin(void)
{
	if (NeverUsed("change_move") || SpiRun("SELECT FROM custseg.change_move LIMIT 1", 0, NULL, NULL, NULL) == 0)
		return false;
	SpiRun("UPDATE custseg.change_move m SET known = EXISTS (SELECT FROM custseg.source_mapping s"
		   "  WHERE s.source_id = m.source_id AND s.kind = 'orders' AND (EXISTS (SELECT FROM custseg.profile_part p"
		   "   WHERE p.customer_id = " CUSTOMER_OF("m.from_key") ") OR EXISTS (SELECT FROM custseg.profile p"
		   "   WHERE p.customer_id = " CUSTOMER_OF("m.from_key") "))) WHERE known IS NULL", 0, NULL, NULL, NULL);
	return true;
}

typedef struct Linking
{
	const Run  *run;
	bool		parts;
	uint64		made;
} Linking;

/* Those of transactions that were read; a customer may have moved on from where a move led. */
static void
LinkMoved(void *arg)
{
	Linking    *linking = arg;
	Oid			types[] = {BOOLOID, TIMESTAMPTZOID, BOOLOID};
	Datum		values[] = {BoolGetDatum(linking->parts), TimestampTzGetDatum(linking->run->now.as_of),
	BoolGetDatum(linking->run->link_rules != NULL)};

	SpiRun("WITH RECURSIVE done AS (DELETE FROM custseg.change_move m WHERE m.known IS NOT NULL"
		   "  AND NOT EXISTS (SELECT FROM custseg.change_log l WHERE l.source_id = m.source_id AND l.xact = m.xact)"
		   "  AND NOT EXISTS (SELECT FROM custseg.change_gap l WHERE l.source_id = m.source_id AND l.xact = m.xact)"
		   "  RETURNING m.source_id, m.from_key, m.to_key, m.known),"
		   " pair AS (SELECT " CUSTOMER_OF("d.from_key") " AS from_id, " CUSTOMER_OF("d.to_key") " AS to_id, d.known"
		   "  FROM done d JOIN custseg.source_mapping s ON s.source_id = d.source_id AND s.kind = 'orders'),"
		   " only_one AS (SELECT p.from_id, min(p.to_id) AS to_id, bool_or(p.known) AS known FROM pair p"
		   "  WHERE p.from_id IS NOT NULL AND NOT " HAS_ORDERS("p.from_id", "$1")
		   "  GROUP BY p.from_id HAVING count(DISTINCT p.to_id) = 1),"
		   " path AS (SELECT o.from_id, o.to_id, 1 AS n FROM only_one o WHERE o.known"
		   "  UNION ALL SELECT p.from_id, o.to_id, p.n + 1 FROM path p JOIN only_one o ON o.from_id = p.to_id WHERE p.n < 20),"
		   " made AS (INSERT INTO custseg.person_link (customer_id, other_id, rule, note, linked_at)"
		   "  SELECT DISTINCT least(p.from_id, p.to_id), greatest(p.from_id, p.to_id), 'moved', 'its orders were given to the other one', $2"
		   "  FROM path p WHERE p.from_id <> p.to_id AND " HAS_ORDERS("p.to_id", "$1")
		   "   AND NOT EXISTS (SELECT FROM custseg.person_link u WHERE u.customer_id = least(p.from_id, p.to_id)"
		   "    AND u.other_id = greatest(p.from_id, p.to_id) AND u.unlinked_by IS NOT NULL) ORDER BY 1, 2"
		   "  ON CONFLICT (customer_id, other_id) WHERE unlinked_at IS NULL DO NOTHING RETURNING customer_id, other_id),"
		   " ends AS (SELECT customer_id FROM made UNION SELECT other_id FROM made),"
		   " for_rules AS (INSERT INTO custseg.link_pending (customer_id) SELECT customer_id FROM ends WHERE $3)"
		   " INSERT INTO custseg.person_pending SELECT customer_id FROM ends",
		   lengthof(types), types, values, NULL);
	linking->made = SPI_processed;
}

bool
MovesLink(const Run *run, bool parts)
{
	Linking		linking = {run, parts};
	int			level = LimitLockWait(LONGEST_WAIT);
	ErrorData  *error = Attempt(LinkMoved, &linking);

	AtEOXact_GUC(false, level);
	/* They stay noted. */
	if (error && !LockWasRefused(error))
		ReThrowError(error);
	return error == NULL && linking.made > 0;
}
