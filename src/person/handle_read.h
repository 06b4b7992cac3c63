/*
 * handle_read.h
 *		The handles of a source, read, hashed, and written where they differ.
 *
 * Call inside SPI, as the owner of the extension, with the source open.
 */
#ifndef CUSTSEG_HANDLE_READ_H
#define CUSTSEG_HANDLE_READ_H

#include "postgres.h"

#include "person/link_rule.h"

typedef struct HandlesRead HandlesRead;

/* Does a rule go by a column of the source? */
extern bool HasHandles(const LinkRules *rules, const Source *source);

/* Which kinds those are, a text[]. */
extern Datum HandleKindsOf(const LinkRules *rules, const Source *source);

/* What it is read into; it lives until the end of the transaction, or of the subtransaction this is called in. */
extern HandlesRead *HandlesBegin(const LinkRules *rules, const Source *source);

/*
 * The reading alone, as the source's owner: of all, or of customers with these
 * keys, as it writes them (NULLs are left out). May fail and be left so.
 */
extern void HandlesReadAll(HandlesRead *read, Source *source);
extern void HandlesReadSome(HandlesRead *read, Source *source, int n, char **keys);

/* Rows that had any handle. */
extern int64 HandlesRows(const HandlesRead *read);

/*
 * Bring custseg.person_handle up to what was read, of all or of these customers,
 * and note in custseg.link_pending what came and went.
 */
extern void HandlesApplyAll(HandlesRead *read, const Source *source);
extern void HandlesApplySome(HandlesRead *read, const Source *source, const int64 *ids, int n);

/* What is stored of sources and kinds that there are no more. */
extern void HandlesForget(const LinkRules *rules);

#endif							/* CUSTSEG_HANDLE_READ_H */
