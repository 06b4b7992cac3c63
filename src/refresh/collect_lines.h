/*
 * collect_lines.h
 *		The sources of lines of orders, in a refresh: their products.
 */
#ifndef CUSTSEG_COLLECT_LINES_H
#define CUSTSEG_COLLECT_LINES_H

#include "refresh/merge_profile.h"

/* Before the first read of a source of lines: learn its products. False, and that is said, if that cannot be. */
extern bool LearnFirstProducts(Run *run, Source *source);

/*
 * With a calibration: learn the products of all sources of lines among these anew,
 * and read the lines anew by them where that judges some otherwise. No standing
 * where everybody is evaluated after that.
 */
extern void RelearnProducts(Run *run, List *sources, StandingRun *standing);

#endif							/* CUSTSEG_COLLECT_LINES_H */
