/*
 * moment.h
 *		When something is done, as every room is told.
 */
#ifndef CUSTSEG_MOMENT_H
#define CUSTSEG_MOMENT_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "utils/date.h"

typedef struct Moment
{
	TimestampTz as_of;
	DateADT		day;			/* the shop's day of it */
	int64		run_id;			/* the refresh that does it; 0 outside of one */
} Moment;

/* That moment, outside of a refresh. Inside SPI: the shop's time zone is read. */
extern Moment MomentOf(TimestampTz as_of);

#endif							/* CUSTSEG_MOMENT_H */
