/*
 * limits.h
 *		The days that orders can have; see limits.c.
 */
#ifndef CUSTSEG_LIMITS_H
#define CUSTSEG_LIMITS_H

#include "postgres.h"

#include "utils/date.h"

typedef struct DayLimits
{
	DateADT		first;			/* both included */
	DateADT		last;
} DayLimits;

/*
 * Those of a source for a refresh as of a day. True when a row that lay behind
 * the last day when the source was read can be read now. Call inside SPI.
 */
extern bool ReadDayLimits(int source_id, DateADT day, DayLimits *limits);

/*
 * Remember what a source was read by, and the first day of the rows that lay
 * behind it, DATEVAL_NOEND without any; "whole": of all rows.
 */
extern void NoteDayLimits(int source_id, const DayLimits *limits, DateADT ahead, bool whole);

#endif							/* CUSTSEG_LIMITS_H */
