/*
 * follow.h
 *		A relation that took the name of a source's own.
 */
#ifndef CUSTSEG_FOLLOW_H
#define CUSTSEG_FOLLOW_H

#include "source/mapping.h"

/* What to do where another relation has its name. */
extern char *FollowHint(const Source *source);

/* Has another relation the name of the source's own now? Takes no lock. */
extern bool SourceIsReplaced(const Source *source);

/*
 * Where that is so and the source follows: read the other from now on, in memory
 * alone. True if so; an error, with the cure, where it is not like the one before.
 */
extern bool SourceFollow(Source *source);

/*
 * The same for good: true where the source is another relation from now on. What
 * the next is to be like is kept up to date. Inside SPI, as the extension's owner.
 */
extern bool SourceAdopt(Source *source);

/* The base type of a column, as it is kept; NULL if the relation has no such column. */
extern char *ColumnTypeName(Oid relid, const char *column);

/* Say whether it follows. Inside SPI, as the extension's owner, who may be another than the caller. */
extern void SetFollow(int source_id, bool follow, Oid caller);

#endif							/* CUSTSEG_FOLLOW_H */
