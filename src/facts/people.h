/*
 * people.h
 *		From the rows of a source of people to one of each customer; see people.c.
 */
#ifndef CUSTSEG_PEOPLE_H
#define CUSTSEG_PEOPLE_H

#include "postgres.h"

#include "profile/collector.h"
#include "utils/date.h"

/* What a source says of one customer. */
typedef struct Person
{
	int64		customer_id;	/* 0: a key that has no number yet */
	char	   *key;			/* NULL where the shop's numbers are used */
	DateADT		registered_on;	/* DATEVAL_NOBEGIN: not known */
	int64		digest;			/* of all that follows, and of the day */
	char	   *attributes;		/* a JSON object; NULL: not shown yet, or the source has the customer no more */
	int64		other_rows;		/* that say something else */
	char	   *others;			/* what, as a JSON array; NULL without any */
	int64		rows;			/* that say something of the customer */
	bool		stored;			/* there is a row of the customer and this source */
} Person;

/* What was left out of rows that count all the same. */
typedef struct PeopleOddities
{
	int64		unregistered;	/* rows whose moment of registration is NULL, infinite or out of range */
	int64		too_long;		/* attributes */
} PeopleOddities;

typedef struct PeopleReader PeopleReader;

/*
 * Reads in the current subtransaction, which must last until PeopleReaderEnd,
 * within so many kilobytes. The source must be open. Samples of rejected rows
 * are in the current memory context.
 */
extern PeopleReader *PeopleReaderBegin(const Source *source, const char *time_zone, int kilobytes);
extern DestReceiver *PeopleReceiver(PeopleReader *reader);

/* After the rows. Then the customers one by one, by ascending number or key; NULL at the end. Valid until the next. */
extern void PeopleSort(PeopleReader *reader);
extern Person *PeopleNext(PeopleReader *reader);

/* Fill in what the last person's attributes are, in the current memory context. */
extern void PersonShow(PeopleReader *reader, Person *person);

/* Was the last person forgotten? Then the rows are counted as such. */
extern bool PersonIsForgotten(PeopleReader *reader, const Person *person);

extern const CollectCounts *PeopleCounts(const PeopleReader *reader);
extern const PeopleOddities *PeopleOdd(const PeopleReader *reader);
extern void PeopleReaderEnd(PeopleReader *reader);

#endif							/* CUSTSEG_PEOPLE_H */
