/*
 * line_changes.h
 *		Whose lines of orders changed.
 */
#ifndef CUSTSEG_LINE_CHANGES_H
#define CUSTSEG_LINE_CHANGES_H

#include "track/change_log.h"

/* What there is to be read of a tracked source of lines, which is open: see line_changes.c. */
typedef struct LineChanges LineChanges;

/* In "context", which must outlive transactions. Call inside SPI, as the owner of the extension. */
extern LineChanges *LineChangesBegin(MemoryContext context, Source *source);

/* The next customers whose lines may be others, as ChangeLogTake; true if there may be more. */
extern bool LineChangesTake(LineChanges *changes, int most, ChangedCustomers *taken);

/* Mark those of n customers of the source, which is open, whose lines a refresh has not read as they are. */
extern void LineChangesPending(Source *source, int n, const int64 *ids, bool *pending);

#endif							/* CUSTSEG_LINE_CHANGES_H */
