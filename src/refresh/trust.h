/*
 * trust.h
 *		Whether a source can be believed, and what is said where it cannot.
 */
#ifndef CUSTSEG_TRUST_H
#define CUSTSEG_TRUST_H

#include "refresh/run.h"
#include "source/mapping.h"

/* What the last read of a source leads to expect of the next. */
typedef struct Expectation
{
	int64		customers;		/* there are of it; -1 where it was never read */
	double		shrink_share;	/* of them must be found again */
} Expectation;

/*
 * "known": the target holds what the source said when it was last read, and
 * nothing else.
 */
extern void Expect(const Source *source, const ProfileTarget *target, bool known, Expectation *expected);

/* settings.shrink_share */
extern double ShrinkShare(void);

/* If so many customers of the target changed, may it have shrunk? */
extern bool MayShrink(const ProfileTarget *target, int64 changed);

/* The fewest customers it may have: with fewer it shrank. 0 where any number will do. */
extern int64 LeastCustomers(const Expectation *expected);

/* From that many customers on it is full again, or another one; where it has so many more rows. -1: none is. */
extern int64 FullAgain(const Expectation *expected, const Source *source, int64 rows);

/* Say what is odd about a complete read: nothing in it, nearly nothing usable, statuses that no row has. */
extern void TellOddities(Run *run, const Source *source, const CollectCounts *counts);

/* Keep how many rows of a complete read had which status. */
extern void NoteStatuses(const Source *source, const StatusCounts *statuses);

/* The customer table could be read while tasks were planned, or (error) could not. Inside SPI. */
extern void TellContacts(Run *run, const ErrorData *error);

/* It could not be read, or is not believed: it stays as it was last read, and everybody is told. */
extern void TellFailure(Run *run, const Source *source, const ErrorData *error);
extern void TellHeld(Run *run, const Source *source, const Expectation *expected, int64 found);
extern void TellHeldOf(Run *run, const Source *source, const Expectation *expected, int64 found, const char *what);

/* Another relation has the name of the source and is its own from now on. */
extern void TellAdopted(Run *run, const Source *source);

/* Adopt what has the name of a customer table, and say so. */
extern void FollowContacts(Run *run);

/* It is as it should be. */
extern void ForgetProblem(Source *source);

#endif							/* CUSTSEG_TRUST_H */
