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
 * to BulkPut are copied. Defaults and identity columns are the caller's work.
 * Put rows in primary key order where there is one.
 */
extern BulkWriter *BulkOpen(Oid relid);
extern void BulkPut(BulkWriter *writer, const Datum *values, const bool *nulls);

/*
 * A new version of the row at "place", with the same primary key; the snapshot
 * that saw it there must still be held. False if it is not the last version any
 * more, since somebody else changed it, or if triggers are to fire: what the
 * caller then does by a statement.
 */
extern bool BulkReplace(BulkWriter *writer, ItemPointer place, const Datum *values, const bool *nulls);
extern uint64 BulkClose(BulkWriter *writer);	/* rows written */

/* The OID of one of the extension's own tables or views. */
extern Oid	OwnRelation(const char *name);

#endif							/* CUSTSEG_BULK_H */
