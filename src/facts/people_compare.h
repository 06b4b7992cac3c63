/*
 * people_compare.h
 *		What a source says of people, beside what is stored of them.
 */
#ifndef CUSTSEG_PEOPLE_COMPARE_H
#define CUSTSEG_PEOPLE_COMPARE_H

#include "facts/people.h"

/* The differences that a read of a whole source found; they outlive the transaction that found them. */
typedef struct PeopleSpool PeopleSpool;

extern PeopleSpool *PeopleSpoolCreate(MemoryContext context);

/*
 * Read the source, which is open, and keep what differs from what is stored of
 * it. "full": compare the values themselves, and not only their digests. Nothing
 * else may be written to custseg.profile_attribute until all are applied.
 */
extern void PeopleSpoolRead(PeopleSpool *spool, Source *source, const char *time_zone, bool full);

/* Up to so many differences, by ascending number, those without one last; 0 at the end. In the current memory context. */
extern int	PeopleSpoolNext(PeopleSpool *spool, int most, Person **people);

extern const CollectCounts *PeopleSpoolCounts(const PeopleSpool *spool);
extern const PeopleOddities *PeopleSpoolOdd(const PeopleSpool *spool);

/* Close temporary files. Must run even after an error, that of PeopleSpoolRead too. */
extern void PeopleSpoolClose(PeopleSpool *spool);

/*
 * Read some customers of an open source that has an index for it: keys as it
 * writes them (those that are NULL are left out), ids 0 where they have none yet.
 * What it says of them now, all or what differs from what is stored, by ascending
 * number, those without one last.
 */
extern Person *PeopleReadSome(Source *source, const char *time_zone, char **keys, const int64 *ids, int n,
							  bool differences, CollectCounts *counts, int *n_people);

/* Write differences, all of which have numbers now: custseg.profile_attribute and custseg.attribute_conflict. (people_write.c) */
extern void PeopleWrite(const Source *source, const Person *people, int n);

#endif							/* CUSTSEG_PEOPLE_COMPARE_H */
