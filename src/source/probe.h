/*
 * probe.h
 *		A look for newer orders of some customers in one source.
 *
 * Call inside SPI and after SourceOpen.
 */
#ifndef CUSTSEG_PROBE_H
#define CUSTSEG_PROBE_H

#include "postgres.h"

#include "source/mapping.h"
#include "timeline/day.h"
#include "utils/date.h"

/* Whether a look costs little: by an index, or because the table is so small that none is needed. */
extern bool ProbeIsCheap(const Source *source);

/*
 * Set ordered[i] where the customer with keys[i] (NULL: not one of this source's)
 * has an order on a later day than after[i]. With n = 0 days may be NULL, and the
 * source is only tried.
 */
extern void ProbeSource(const Source *source, DayMapper *days, int n, char **keys, const DateADT *after,
						bool *ordered);

#endif							/* CUSTSEG_PROBE_H */
