/*
 * collapse.c
 *		Sorting histories and uniting equal ones.
 *
 * A fit looks at every history a few dozen times, and many customers share
 * theirs, above all those who bought once.  The order makes the bits of a fit
 * the same whatever order the customers came in, and puts together what the
 * likelihoods can share.
 *
 * A radix sort, as doubles that are not negative are ordered as their bits are,
 * and in whole days most of those bits are the same for all.
 */
#include "postgres.h"

#include "model/fit/interrupt.h"
#include "model/purchase/purchase.h"

#define DIGIT_BITS 11
#define DIGITS_OF_DOUBLE 6
#define DIGITS_OF_X 3
#define DIGITS (2 * DIGITS_OF_DOUBLE + DIGITS_OF_X)
#define BUCKETS (1 << DIGIT_BITS)
#define FEW 2000				/* up to here a plain sort is as fast */

static inline uint64
Bits(double value)
{
	uint64		bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

/* Digit 0 is the least of t_x, the last the highest of x. */
static inline uint32
Digit(const Repeats *repeats, int digit)
{
	uint64		bits;

	if (digit < DIGITS_OF_DOUBLE)
		bits = Bits(repeats->t_x);
	else if (digit < 2 * DIGITS_OF_DOUBLE)
	{
		bits = Bits(repeats->T);
		digit -= DIGITS_OF_DOUBLE;
	}
	else
	{
		bits = (uint32) repeats->x;
		digit -= 2 * DIGITS_OF_DOUBLE;
	}
	return (bits >> (digit * DIGIT_BITS)) & (BUCKETS - 1);
}

static int
Compare(const void *left, const void *right)
{
	const Repeats *a = left;
	const Repeats *b = right;

	if (a->x != b->x)
		return a->x < b->x ? -1 : 1;
	if (a->T != b->T)
		return a->T < b->T ? -1 : 1;
	if (a->t_x != b->t_x)
		return a->t_x < b->t_x ? -1 : 1;
	return 0;
}

static void
RadixSort(Repeats *repeats, int64 n)
{
	int64		(*counts)[BUCKETS] = palloc0(DIGITS * sizeof(*counts));
	Repeats    *from = repeats;
	Repeats    *to = palloc_extended(n * sizeof(Repeats), MCXT_ALLOC_HUGE);
	Repeats    *scratch = to;

	for (int64 i = 0; i < n; i++)
	{
		CHECK_EVERY_SO_OFTEN(i);
		for (int digit = 0; digit < DIGITS; digit++)
			counts[digit][Digit(&repeats[i], digit)]++;
	}
	for (int digit = 0; digit < DIGITS; digit++)
	{
		int64	   *count = counts[digit];
		int64		place = 0;
		Repeats    *swap;

		if (count[Digit(&repeats[0], digit)] == n)
			continue;
		for (int bucket = 0; bucket < BUCKETS; bucket++)
		{
			int64		size = count[bucket];

			count[bucket] = place;
			place += size;
		}
		for (int64 i = 0; i < n; i++)
		{
			CHECK_EVERY_SO_OFTEN(i);
			to[count[Digit(&from[i], digit)]++] = from[i];
		}
		swap = from;
		from = to;
		to = swap;
	}
	if (from != repeats)
		memcpy(repeats, from, n * sizeof(Repeats));
	pfree(scratch);
	pfree(counts);
}

int64
CollapseRepeats(Repeats *repeats, int64 n)
{
	int64		kept = 0;

	for (int64 i = 0; i < n; i++)
	{
		CHECK_EVERY_SO_OFTEN(i);

		/* minus zero is zero, also bit by bit */
		repeats[i].t_x += 0.0;
		repeats[i].T += 0.0;
	}
	if (n > FEW)
		RadixSort(repeats, n);
	else if (n > 1)
		qsort(repeats, n, sizeof(Repeats), Compare);

	for (int64 i = 0; i < n; i++)
	{
		Repeats    *last = kept > 0 ? &repeats[kept - 1] : NULL;

		CHECK_EVERY_SO_OFTEN(i);
		if (last && Compare(last, &repeats[i]) == 0 &&
			repeats[i].customers <= PG_INT32_MAX - last->customers)
			last->customers += repeats[i].customers;
		else
			repeats[kept++] = repeats[i];
	}
	return kept;
}
