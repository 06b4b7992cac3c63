/*
 * bulk.h
 *		Many new rows into one of our own tables, fast.
 */
#ifndef CUSTSEG_BULK_H
#define CUSTSEG_BULK_H

#include "postgres.h"

typedef struct BulkWriter BulkWriter;

/*
 * Rows are visible to the statements that follow BulkClose. The values given
 * to BulkPut are copied. Defaults and identity columns are the caller's work.
 * Put rows in primary key order where there is one.
 */
extern BulkWriter *BulkOpen(Oid relid);
extern void BulkPut(BulkWriter *writer, const Datum *values, const bool *nulls);
extern uint64 BulkClose(BulkWriter *writer);	/* rows written */

/* The OID of one of the extension's own tables or views. */
extern Oid	OwnRelation(const char *name);

#endif							/* CUSTSEG_BULK_H */
