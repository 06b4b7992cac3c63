/*
 * note_read.h
 *		How the complete read of a source went, in custseg.source_mapping, rejected
 *		and rejected_sample.
 */
#ifndef CUSTSEG_NOTE_READ_H
#define CUSTSEG_NOTE_READ_H

#include "refresh/merge_profile.h"

typedef struct ReadRecord
{
	TimestampTz began;
	char	   *layout;			/* of its table; NULL where it is not tracked */
} ReadRecord;

/* Remember how the read went, and which rows could not be used. */
extern void NoteRead(Run *run, const Source *source, const ReadRecord *read, const CollectCounts *counts);

/* After that: that something was left out of so many rows. */
extern void NoteReason(const Source *source, const char *reason, int64 rows);

/*
 * Until all of a read is applied the profiles are a mixture, and the next
 * refresh must read the source whole whatever its layout is by then. Where it
 * has none the source was never read here, and that must stay so.
 */
extern void MarkSourceMixed(const Source *source);

#endif							/* CUSTSEG_NOTE_READ_H */
