/*
 * reappear.h
 *		Customers who vanish while their history appears at somebody new.
 */
#ifndef CUSTSEG_REAPPEAR_H
#define CUSTSEG_REAPPEAR_H

#include "refresh/run.h"

/* For one whole read of a source of orders that is not tracked; where it is not begun the others do nothing. */
extern void ReappearBegin(Run *run);

/* These are about to be removed from the target. */
extern void ReappearGone(Run *run, const ProfileTarget *target, const int64 *ids, int n);

/* This customer was not in the target, and is now. */
extern void ReappearCame(Run *run, int64 id, const struct varlena *timeline);

/* Of differences that are about to be written, both. */
extern void ReappearDifferences(Run *run, const ProfileTarget *target, const Collected *rows, int n);

/* All is written: propose what is so, or (give_up) nothing. */
extern void ReappearEnd(Run *run, const ProfileTarget *target, bool give_up);

/* Forget proposals that are not so any more, or were taken up. */
extern void ForgetProposals(void);

#endif							/* CUSTSEG_REAPPEAR_H */
