/*
 * lines.h
 *		Lines of orders, which have their customers and days from the orders.
 */
#ifndef CUSTSEG_LINES_H
#define CUSTSEG_LINES_H

#include "utils/date.h"

#include "source/mapping.h"

/*
 * Open the orders of a source of lines, too, and take over what its customers
 * and days are. An error, with a hint, if the lines cannot be read with them.
 */
extern void LinesOpen(Source *source);

typedef enum LinesRead
{
	LINES_ALL,					/* with those that have no order */
	LINES_OF_CUSTOMERS,			/* whose keys are parameter $1; only what counts (accepted statuses: $2) */
} LinesRead;

/* As what a column of numbers is read: an integer as it is, everything else as a numeric. */
extern Oid	LineNumberType(const Source *source, MappedColumn column);

/* The SELECT, with the columns that PlacesOfRead says. After SourceOpen. */
extern char *LinesStatement(const Source *source, LinesRead read);

/*
 * The SELECT of what products cost, who bought them and what they are called, by
 * the lines from one day to another that count: product, the median price, that
 * of list prices, buyers, name, whether the last of them was on clearance. No
 * parameters.
 */
extern char *ProductsStatement(const Source *source, const char *time_zone, DateADT first, DateADT last);

/* The SELECT of the customers, as texts, who have one of the orders whose numbers are the array $1. It begins with the orders. */
extern char *OrderCustomersStatement(const Source *source);

#endif							/* CUSTSEG_LINES_H */
