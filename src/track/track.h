/*
 * track.h
 *		Sources whose changes are noted by triggers.
 */
#ifndef CUSTSEG_TRACK_H
#define CUSTSEG_TRACK_H

#include "source/mapping.h"
#include "utils/timestamp.h"

/* The index that reading single customers needs and that is missing, in words with the statement that makes it; NULL: none. */
extern const char *IndexFault(const Source *source);

/* What custseg.track() and custseg.set_rescan() do. Call inside SPI. */
extern void Track(int source_id, Interval *timeout);
extern void SetRescan(int source_id, Interval *every);

#endif							/* CUSTSEG_TRACK_H */
