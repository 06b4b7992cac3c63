/*
 * look.h
 *		A look for newer orders of some customers, by collecting what a source
 *		says of them.
 */
#ifndef CUSTSEG_LOOK_H
#define CUSTSEG_LOOK_H

#include "source/probe.h"

/* As ProbeSource, for sources whose days or amounts SQL cannot read. */
extern void LookByCollecting(Source *source, DayMapper *days, int n, char **keys, const DateADT *after, bool *ordered);

#endif							/* CUSTSEG_LOOK_H */
