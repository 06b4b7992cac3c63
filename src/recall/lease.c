/*
 * lease.c
 *		Leases that ran out.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/timestamp.h"

#include "common/spi.h"
#include "recall/lease.h"

void
EndLeases(TimestampTz as_of)
{
	Oid			types[] = {TIMESTAMPTZOID};
	Datum		values[] = {TimestampTzGetDatum(as_of)};

	SpiRun("UPDATE custseg.task SET " LEASE_OVER("$1")
		   " WHERE task_id = ANY (ARRAY(SELECT t.task_id FROM custseg.task t WHERE t.state = 'claimed' AND t.wake_at <= $1"
		   "  FOR UPDATE SKIP LOCKED))", 1, types, values, NULL);
}
