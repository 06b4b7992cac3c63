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

/*
 * Before anything is read: of the logs of orders whose lines are tracked only what
 * is there now is read in this run, so that the lines, which are read first, see
 * all of it.
 */
extern void LimitOrders(Run *run, List *orders, List *lines);

/*
 * Whether a source of lines could be read. If not, and its orders are read, these
 * will have taken off their log whose lines were to be read: then all are.
 */
extern void NoteLinesRead(Run *run, const Source *source, bool went_well);

#endif							/* CUSTSEG_COLLECT_LINES_H */
