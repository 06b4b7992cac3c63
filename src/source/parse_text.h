/*
 * parse_text.h
 *		Reading days and amounts from texts in the database's encoding.
 */
#ifndef CUSTSEG_PARSE_TEXT_H
#define CUSTSEG_PARSE_TEXT_H

#include "source/parse.h"
#include "timeline/day.h"

/* Why one cannot be read, as custseg.rejected says it. */
#define TIME_UNREADABLE		"time cannot be read"
#define TIME_SHORT_YEAR		"time has a year of two digits"
#define TIME_OTHER_ORDER	"time has day, month and year in another order"
#define TIME_IMPOSSIBLE		"time is a day or hour that does not exist"
#define AMOUNT_UNREADABLE	"amount cannot be read"
#define AMOUNT_AMBIGUOUS	"amount can be read in two ways"

/* By the name of an argument, or PARSE_NONE for NULL; an error for any other. */
extern ParseOrder ParseOrderOf(const char *name);
extern const char *ParseOrderName(ParseOrder order);

/* The shop's day of a text. PARSE_OUT_OF_RANGE is a day that no date can hold. */
extern ParseStatus ParseDayText(Datum text, ParseOrder order, DayMapper *days, DateADT *day);

extern ParseStatus ParseAmountText(Datum text, int64 *scaled);

#endif							/* CUSTSEG_PARSE_TEXT_H */
