/*
 * lines.h
 *		What a row of a source of lines of orders comes to.
 */
#ifndef CUSTSEG_PROFILE_LINES_H
#define CUSTSEG_PROFILE_LINES_H

#include "executor/tuptable.h"
#include "source/read.h"

/* Quantity times price of a row that a read showed, times 10^4; false, if they are not both above zero, or it cannot be said. */
extern bool LineAmount(const Source *source, const ReadPlaces *at, TupleTableSlot *slot, int64 *amount);

#endif							/* CUSTSEG_PROFILE_LINES_H */
