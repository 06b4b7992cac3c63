/*
 * quantile.c
 *		Cut points, scores and medians: sums over numbers, nothing else.
 */
#include "postgres.h"

#include <math.h>

#include "common/hashfn.h"

#include "model/fit/quantile.h"

#define FEW 32

typedef struct TallyEntry
{
	int64		value;
	int64		count;
	char		status;
} TallyEntry;

#define SH_PREFIX tally
#define SH_ELEMENT_TYPE TallyEntry
#define SH_KEY_TYPE int64
#define SH_KEY value
#define SH_HASH_KEY(tb, key) murmurhash32((uint32) (key) ^ (uint32) ((uint64) (key) >> 32))
#define SH_EQUAL(tb, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

struct Tally
{
	tally_hash *hash;
	int64		total;
};

int64
QuantileRank(double share, int64 n)
{
	int64		rank = (int64) ceil(share * n);

	return Max(rank, 1);
}

int
ScoreAbove(const int64 *cuts, int64 value)
{
	int			score = 1;

	for (int i = 0; i < SCORE_CUTS; i++)
		score += cuts[i] < value;
	return score;
}

static inline void
Swap(int32 *a, int32 *b)
{
	int32		t = *a;

	*a = *b;
	*b = t;
}

/* Put the k-th smallest value (from 0) in its place, no greater ones before it. */
static void
Select(int32 *values, int n, int k)
{
	int			low = 0;
	int			high = n - 1;

	while (low < high)
	{
		int			mid = low + (high - low) / 2;
		int			i = low;
		int			j = high;
		int32		pivot;

		if (values[mid] < values[low])
			Swap(&values[mid], &values[low]);
		if (values[high] < values[low])
			Swap(&values[high], &values[low]);
		if (values[high] < values[mid])
			Swap(&values[high], &values[mid]);
		pivot = values[mid];
		do
		{
			while (values[i] < pivot)
				i++;
			while (pivot < values[j])
				j--;
			if (i <= j)
				Swap(&values[i++], &values[j--]);
		} while (i <= j);
		if (k <= j)
			high = j;
		else if (k >= i)
			low = i;
		else
			return;
	}
}

/*
 * Of few values: the first whose rank is right, by counting in a loop without
 * branches, which for random values is many times as fast as to partition.
 */
static int32
MedianOfFew(const int32 *given, int n)
{
	int			k = (n - 1) / 2;
	int32		values[FEW];
	int32		lower;
	int32		upper = PG_INT32_MAX;
	int			i = 0;
	int			below;
	int			up_to;

	for (int j = 0; j < FEW; j++)
		values[j] = j < n ? given[j] : PG_INT32_MAX;
	do
	{
		lower = values[i++];
		below = up_to = 0;
		for (int j = 0; j < FEW; j++)
		{
			below += values[j] < lower;
			up_to += values[j] <= lower;
		}
	} while (below > k || up_to <= k);

	if (n % 2 == 1 || up_to > k + 1)
		return lower;
	for (int j = 0; j < FEW; j++)
		upper = values[j] > lower ? Min(upper, values[j]) : upper;
	return (int32) (((int64) lower + upper + 1) / 2);
}

int32
MedianCeil(int32 *values, int n)
{
	int			k = (n - 1) / 2;
	int32		upper;

	if (n <= FEW)
		return MedianOfFew(values, n);
	Select(values, n, k);
	if (n % 2 == 1)
		return values[k];
	upper = values[k + 1];
	for (int i = k + 2; i < n; i++)
		upper = Min(upper, values[i]);
	return (int32) (((int64) values[k] + upper + 1) / 2);
}

int64
RoundedShare(int64 n, int64 parts)
{
	int64		quotient = n / parts;
	int64		rest = n % parts;

	return quotient + (rest >= parts - rest ? 1 : 0);
}

int64
MultipleOfDays(double multiple, int32 days)
{
	/* 1.1 x 90 is 99.00000000000001 in binary. */
	return (int64) ceil(multiple * days - 1e-9);
}

Tally *
TallyCreate(void)
{
	Tally	   *tally = palloc0(sizeof(Tally));

	tally->hash = tally_create(CurrentMemoryContext, 1024, NULL);
	return tally;
}

void
TallyAdd(Tally *tally, int64 value)
{
	bool		found;
	TallyEntry *entry = tally_insert(tally->hash, value, &found);

	if (!found)
		entry->count = 0;
	entry->count++;
	tally->total++;
}

static int
CompareEntries(const void *a, const void *b)
{
	int64		x = ((const TallyEntry *) a)->value;
	int64		y = ((const TallyEntry *) b)->value;

	return (x > y) - (x < y);
}

void
TallyQuantiles(Tally *tally, const double *shares, int nshares, int64 *quantiles)
{
	int			n = tally->hash->members;
	TallyEntry *sorted = palloc_extended(Max(n, 1) * sizeof(TallyEntry), MCXT_ALLOC_HUGE);
	tally_iterator iterator;
	TallyEntry *entry;
	int			i = 0;
	int64		seen = 0;

	tally_start_iterate(tally->hash, &iterator);
	while ((entry = tally_iterate(tally->hash, &iterator)) != NULL)
		sorted[i++] = *entry;
	qsort(sorted, n, sizeof(TallyEntry), CompareEntries);

	i = 0;
	for (int s = 0; s < nshares && n > 0; s++)
	{
		int64		rank = QuantileRank(shares[s], tally->total);

		while (seen + sorted[i].count < rank)
			seen += sorted[i++].count;
		quantiles[s] = sorted[i].value;
	}
	pfree(sorted);
}
