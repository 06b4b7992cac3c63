/*
 * trigger_digest.h
 *		Whether the triggers of a tracked source note all that changes.
 */
#ifndef CUSTSEG_TRIGGER_DIGEST_H
#define CUSTSEG_TRIGGER_DIGEST_H

#include "source/mapping.h"

/* The function of the triggers. */
extern Oid	TriggerFunction(void);

/*
 * A digest of the table's files, mapped columns and partitions, and of our
 * triggers on them. When it is not the one of the last complete read, something
 * happened that no trigger notes: a partition came or went, a column was
 * computed anew or is another one now, an accepted status is called differently,
 * or a trigger was off for a while. Call inside SPI, as the owner of the
 * extension, after SourceOpen.
 */
extern char *TableLayout(const Source *source);

/* Why the triggers of a tracked source do not note every change now; NULL where they do. */
extern const char *TrackingFault(const Source *source);

/* Whether the table's own trigger notes changes now: cheap, and nothing is locked afterwards. */
extern bool TrackingIsLive(const Source *source);

/*
 * Whether what they note is all there is: no other table inherits from it, which
 * would be read with it and fires no trigger, and its customers are the same.
 */
extern bool TriggersSeeAll(const Source *source);

/* Whether the layout is that of the last complete read: cheap as long as nothing in the catalog changes. */
extern bool LayoutIsAsRead(const Source *source);

#endif							/* CUSTSEG_TRIGGER_DIGEST_H */
