/*
 * spend.h
 *		What the shop spends on its channels, day by day.
 */
#ifndef CUSTSEG_SPEND_H
#define CUSTSEG_SPEND_H

#include "fmgr.h"
#include "refresh/run.h"

/* Read the sources of spend (all, or the one the run names) and write what differs. Nothing is evaluated by it. */
extern void CollectSpend(Run *run);

/* Compare what is stored with what the sources say now: a row for each sum that differs, as verify() returns them. */
extern uint64 VerifySpend(const char *time_zone, ReturnSetInfo *result);

#endif							/* CUSTSEG_SPEND_H */
