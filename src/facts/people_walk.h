/*
 * people_walk.h
 *		A walk along what a source says of people and what is stored of them.
 */
#ifndef CUSTSEG_PEOPLE_WALK_H
#define CUSTSEG_PEOPLE_WALK_H

#include "facts/people.h"

/* What is stored of a customer. */
typedef struct StoredPerson
{
	int64		customer_id;
	DateADT		registered_on;	/* DATEVAL_NOBEGIN: not known */
	int64		digest;
	Datum		attributes;
} StoredPerson;

/* A walk along what a source says and what is stored, both by ascending number. */
typedef struct PeopleWalkAlong
{
	PeopleReader *reader;		/* that can show a person who was not shown yet */
	MemoryContext row;			/* of one person */
	bool		full;			/* compare values, not only digests */
	Person	   *(*next) (void *from);
	void	   *from;
	const StoredPerson *(*stored) (void *beside);
	void	   *beside;
	void		(*differs) (const Person *person, void *to);
	void	   *to;
} PeopleWalkAlong;

extern void PeopleWalk(const PeopleWalkAlong *walk);

#endif							/* CUSTSEG_PEOPLE_WALK_H */
