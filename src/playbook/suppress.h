/*
 * suppress.h
 *		Who must not be contacted.
 */
#ifndef CUSTSEG_SUPPRESS_H
#define CUSTSEG_SUPPRESS_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "person/handle.h"

typedef struct Suppression
{
	int64		customer_id;
	const char *channel;		/* NULL: any */
	bool		forever;
	TimestampTz until;			/* unless forever */
	const char *reason;
	Oid			by;				/* the role that says so */
	Handle		handle;			/* one that is known, or no_handle */
} Suppression;

/*
 * Whether a customer, or a handle, must not be contacted through a channel at a moment:
 * true or NULL. Looked up one by one; an EXISTS may be answered from a hash of
 * the whole table.
 */
#define IS_SUPPRESSED(customer, channel, at) \
	"(SELECT true FROM custseg.suppression x WHERE x.customer_id = " customer \
	" AND (x.channel IS NULL OR x.channel = " channel ") AND (x.until IS NULL OR x.until > " at ") LIMIT 1)"
#define HANDLE_IS_SUPPRESSED(handle, channel, at) \
	"(SELECT true FROM custseg.suppressed_handle x WHERE x.handle = " handle \
	" AND (x.channel IS NULL OR x.channel = " channel ") AND (x.until IS NULL OR x.until > " at ") LIMIT 1)"

/*
 * Do not contact a customer, nor whoever has the same handle. Never shortens what
 * is there; false when that lasts as long. Inside SPI, as the extension's owner.
 */
extern bool Suppress(const Suppression *suppression, TimestampTz as_of);

/*
 * Of customers (a bigint[]) who are one person with others, what one said holds
 * for all, from now on. Waits for nobody for long; who could not be looked at is
 * noted to be looked at again, and that is false.
 */
extern bool SuppressAccounts(Datum customers);

/* Why a customer must not be contacted through a channel at a moment; NULL when that is allowed. */
extern char *SuppressedBecause(int64 customer_id, const Handle *handle, const char *channel, TimestampTz as_of);

/* Let custseg.suppressed_handle say what they are now. Inside SPI. */
extern void StoreOptOuts(const OptOuts *opt_outs);

/* Of customers (bigint[]) who are forgotten only the numbers stay that must not be called, and nobody's. */
extern void SuppressionsForget(Datum customers);

#endif							/* CUSTSEG_SUPPRESS_H */
