/*
 * bulk.h
 *		Many rows into one of our own tables, fast: new ones, and new versions.
 */
#ifndef CUSTSEG_BULK_H
#define CUSTSEG_BULK_H

#include "postgres.h"

#include "storage/itemptr.h"

typedef struct BulkWriter BulkWriter;

/*
 * Rows are visible to the statements that follow BulkClose. The values given
 * to BulkPut are those of the table's first columns, as many as BulkOpen was
 * told; they are copied. Columns that somebody added stay null. Defaults and
 * identity columns are the caller's work. Put rows in primary key order where
 * there is one. An empty table is locked against other writers until the end of
 * the transaction.
 */
extern BulkWriter *BulkOpen(Oid relid, int columns);
extern void BulkPut(BulkWriter *writer, const Datum *values, const bool *nulls);

/*
 * A new version of the row that was seen at "place", with the same primary key;
 * a snapshot no younger than the one that saw it there must still be held.
 * False if somebody else has changed it since, or where an update has to be a
 * statement, for triggers or columns of others: that is then the caller's work.
 */
extern bool BulkReplace(BulkWriter *writer, ItemPointer place, const Datum *values, const bool *nulls);
extern uint64 BulkClose(BulkWriter *writer);	/* rows written */

/* The OID of one of the extension's own tables or views. */
extern Oid	OwnRelation(const char *name);

/* Has one of our own tables no page? Without a statement, for what most shops never use. */
extern bool NeverUsed(const char *name);

#endif							/* CUSTSEG_BULK_H */
