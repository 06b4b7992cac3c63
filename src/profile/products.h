/*
 * products.h
 *		What products cost and which are bestsellers, by which lines of orders are
 *		judged while they are read.
 */
#ifndef CUSTSEG_PRODUCTS_H
#define CUSTSEG_PRODUCTS_H

#include "postgres.h"

#include "timeline/amount.h"

/* What lines of orders become: the events of their source, in this order. */
typedef enum LineEvent
{
	LINE_ANY,					/* each line */
	LINE_BARGAIN,				/* and one bought at a bargain */
	LINE_BESTSELLER,			/* or else one of a bestseller */
} LineEvent;

#define LINE_EVENTS (LINE_BESTSELLER + 1)

extern const char *const line_events[LINE_EVENTS];

/* A number of a line: times 10^4, where it can be said so exactly. */
typedef struct LineNumber
{
	AmountStatus status;
	int64		scaled;			/* if it is AMOUNT_OK */
	Datum		value;			/* of the type */
	Oid			type;			/* an integer or numeric */
} LineNumber;

/* A product, for a table of them. */
typedef struct ProductFact
{
	const char *name;
	int			len;
	int64		bargain;		/* the price of a bargain, times 10^4, rounded down ... */
	int32		rest;			/* ... and of what that leaves the next 4 decimals */
	bool		bestseller;
} ProductFact;

/*
 * A table of products: one piece of memory without pointers, so that processes can
 * share it.
 */
typedef struct ProductTable
{
	Size		size;			/* of all of it */
	uint32		mask;
	uint32		texts;			/* where the names are, behind the slots */
} ProductTable;

/* In the current memory context. */
extern ProductTable *ProductTableCreate(const ProductFact *facts, int n);

/* What a line is besides LINE_ANY; that, if it is nothing else. The price is above zero. */
extern LineEvent ProductLine(const ProductTable *table, const char *name, int len, const LineNumber *price, bool clearance);

#endif							/* CUSTSEG_PRODUCTS_H */
