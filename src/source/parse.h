/*
 * parse.h
 *		Days and amounts that are written as people write them.
 */
#ifndef CUSTSEG_PARSE_H
#define CUSTSEG_PARSE_H

#include "postgres.h"

#include "datatype/timestamp.h"

/* The order of day, month and year where the year is not the first. */
typedef enum ParseOrder
{
	PARSE_NONE,					/* texts are not read */
	PARSE_YMD,
	PARSE_DMY,
	PARSE_MDY,
} ParseOrder;

typedef enum ParseStatus
{
	PARSE_OK,
	PARSE_UNREADABLE,
	PARSE_SHORT_YEAR,			/* a year of two digits */
	PARSE_OTHER_ORDER,			/* the year is last, and that is not the order */
	PARSE_IMPOSSIBLE,			/* no such day or time */
	PARSE_AMBIGUOUS,			/* an amount that could be two */
	PARSE_TOO_PRECISE,			/* more than 4 decimals that are not zero */
	PARSE_OUT_OF_RANGE			/* 10^11 or more */
} ParseStatus;

typedef struct ParsedTime
{
	Timestamp	local;			/* as it is written */
	bool		zoned;			/* it says how far from UTC that is */
	int			east;			/* seconds before UTC */
} ParsedTime;

/* Texts are in UTF-8; what is none cannot be read. */
extern ParseStatus ParseTime(const char *text, int len, ParseOrder order, ParsedTime *time);

/* The amount times 10^4. */
extern ParseStatus ParseAmount(const char *text, int len, int64 *scaled);

#endif							/* CUSTSEG_PARSE_H */
