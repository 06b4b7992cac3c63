/*
 * read.h
 *		Reading a source as the owner of its relation.
 */
#ifndef CUSTSEG_READ_H
#define CUSTSEG_READ_H

#include "executor/spi.h"
#include "source/mapping.h"
#include "tcop/dest.h"

/*
 * What a read of orders or events sends to its receiver, column by column:
 * customer, at, amount or value (a numeric, an integer or a real; 0 where none
 * is mapped), then what else is mapped.
 */
#define READ_CUSTOMER	0
#define READ_AT			1
#define READ_AMOUNT		2

/* Of people: customer, the moment of registration if it is mapped, then the attributes. */
#define READ_REGISTERED_AT	1

/* And a read of spend: day, amount (a numeric, a real or a text), channel (a text, if it is mapped). */
#define SPEND_DAY		0
#define SPEND_AMOUNT	1
#define SPEND_CHANNEL	2

/* Where the others are; -1: not mapped. */
typedef struct ReadPlaces
{
	int			order_id;
	int			promotion;		/* boolean */
	int			event;			/* text */
	int			status;			/* text */
	int			product;		/* text; this and what follows of lines, whose quantity stands in place of the amount */
	int			price;			/* of the type of LineNumberType */
	int			counts;			/* boolean: the order does; NULL: there is none. Of lines with orders */
	int			clearance;		/* boolean */
	int			columns;		/* in all */
} ReadPlaces;

extern void PlacesOfRead(const Source *source, ReadPlaces *places);

/*
 * The statement that reads handles: the customer and some mapped columns, all as
 * text. A condition on the customers can follow it. After SourceOpen.
 */
extern char *SourceHandleStatement(const Source *source, const MappedColumn *columns, int n);

/* Run the read with no rows, so that a mistake shows. */
extern void SourceTry(Source *source);

/* Read all of the orders or events, whatever their status, into dest, in one snapshot. */
extern void SourceRead(Source *source, DestReceiver *dest);

/*
 * Read the rows of some customers, whose keys are an array of the customer
 * column's own kind, and only those with an accepted status. After SourceOpen,
 * and worth it with HasCustomerIndex.
 */
extern void SourceReadCustomers(Source *source, Oid type, Datum keys, DestReceiver *dest);

/* The condition on the customer column, or another that holds keys, that its value is in an array, parameter $n. After SourceOpen. */
extern char *SourceCustomerIsAny(const Source *source, int parameter);
extern char *SourceColumnIsAny(const Source *source, MappedColumn of, int parameter);

/* What is read as whom, for messages. */
extern char *SourceShown(const Source *source);

/* Error context of a read; the argument is what SourceShown says. */
extern void SourceContext(void *shown);

/* The statement of SourceRead, which has no parameters, and what a plan for it reads. */
extern char *SourceStatement(const Source *source);
extern void SourceCheckPlan(const Source *source, SPIPlanPtr plan);

/*
 * Run a query over one source's relation as the relation's owner; rows go to
 * dest. A row may be anything: a function that lies about what it depends on can
 * make it one that the query's conditions exclude.
 */
extern void SourceQuery(const Source *source, const char *sql, int nargs, Oid *types, Datum *values,
						DestReceiver *dest);

/* Do work that runs code of the relation, as its owner: see RunForeign. */
extern void SourceForeign(const Source *source, void (*work) (void *arg), void *arg);

/* Whether rows of single customers can be found by an index, and whether a column has one. After SourceOpen. */
extern bool HasIndexOn(const Source *source, MappedColumn column);
extern bool HasCustomerIndex(const Source *source);

#endif							/* CUSTSEG_READ_H */
