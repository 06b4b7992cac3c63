/*
 * transition.h
 *		The record of labels that changed.
 */
#ifndef CUSTSEG_TRANSITION_H
#define CUSTSEG_TRANSITION_H

#include "common/changes.h"
#include "segment/standing.h"

extern void TransitionsBegin(Changes *transitions);

/* Note a transition for every label that differs. NULL: there was, or is, no standing. */
extern void NoteTransitions(StandingRun *run, Changes *transitions, int64 customer_id, Cause cause,
							const Evaluation *was, const Evaluation *now);
extern void WriteTransitions(StandingRun *run, Changes *transitions);

#endif							/* CUSTSEG_TRANSITION_H */
