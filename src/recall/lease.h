/*
 * lease.h
 *		Leases that ran out.
 */
#ifndef CUSTSEG_LEASE_H
#define CUSTSEG_LEASE_H

#include "postgres.h"

#include "datatype/timestamp.h"

/*
 * Whatever happens to a claimed task whose lease has run out is the same: it was
 * a try, and after the tries allowed the task has failed. What follows FROM the
 * tasks' numbers, for an UPDATE of custseg.task; $n is the moment.
 */
#define LEASE_OVER(n) \
	"attempts = attempts + (state = 'claimed')::integer," \
	" state = CASE WHEN state = 'claimed' AND attempts + 1 >= max_attempts THEN 'failed' ELSE 'open' END," \
	" outcome = CASE state WHEN 'claimed' THEN 'lease_expired' ELSE outcome END," \
	" closed_at = CASE WHEN state = 'claimed' AND attempts + 1 >= max_attempts THEN " n " END," \
	" lease_until = NULL, wake_at = NULL"

/* End all the leases that are over. Skips tasks that somebody has locked. Inside SPI. */
extern void EndLeases(TimestampTz as_of);

#endif							/* CUSTSEG_LEASE_H */
