/*
 * playbook.h
 *		Switching playbooks on and off, and who must not be contacted.
 */
#ifndef CUSTSEG_PLAYBOOK_H
#define CUSTSEG_PLAYBOOK_H

#include "postgres.h"

#include "datatype/timestamp.h"

/* An error unless the playbook exists; tried: a dry run was made. Inside SPI. */
extern bool PlaybookIsEnabled(const char *playbook, bool *tried);

/* Set a column that only we may set. Inside SPI, as the extension's owner. */
extern void PlaybookNote(const char *playbook, const char *column, Datum value, Oid type);

/* Never (or not until a moment) contact this customer. Likewise. */
extern void Suppress(int64 customer_id, const char *channel, Datum until, bool forever,
					 const char *reason, TimestampTz as_of);

#endif							/* CUSTSEG_PLAYBOOK_H */
