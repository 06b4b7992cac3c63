/*
 * comeback.c
 *		How silent customers come back unaided, from the shop's own past.
 */
#include "postgres.h"

#include <math.h>

#include "model/gap/comeback.h"

const int32 return_starts[RETURN_INTERVALS] = {0, 7, 14, 30, 60, 90, 120, 180, 270, 365, 545, 730};

/* The day after the last of an interval. */
static int64
IntervalEnd(int i)
{
	return i < RETURN_INTERVALS - 1 ? return_starts[i + 1] : PG_INT32_MAX;
}

void
ReturnsAdd(ReturnTable *table, int group, int32 days, bool returned)
{
	table->silences++;
	for (int i = 0; i < RETURN_INTERVALS && return_starts[i] <= days; i++)
	{
		int64		end = IntervalEnd(i);

		table->watched[group][i] += Min((int64) days + 1, end) - return_starts[i];
		if (returned && days < end)
			table->returned[group][i]++;
	}
}

int64
ReturnsOf(const ReturnTable *table, int group)
{
	int64		returns = 0;

	for (int g = 0; g < RETURN_GROUPS; g++)
		for (int i = 0; i < RETURN_INTERVALS && (group < 0 || g == group); i++)
			returns += table->returned[g][i];
	return returns;
}

/* The chance of a return on one day of an interval, of all groups. */
static double
SharedChance(const ReturnTable *table, int i)
{
	double		chance = 0;

	for (int k = 0; k <= i; k++)
	{
		double		returned = 0;
		double		watched = 0;

		for (int g = 0; g < RETURN_GROUPS; g++)
		{
			returned += table->returned[g][k];
			watched += table->watched[g][k];
		}
		if (chance > 0)
			chance = (returned + INTERVAL_PRIOR) / (watched + INTERVAL_PRIOR / chance);
		else if (watched > 0)
			chance = returned / watched;
	}
	return chance;
}

static double
DailyChance(const ReturnTable *table, int group, int i)
{
	double		all = SharedChance(table, i);

	if (group < 0 || all == 0)
		return all;
	return (table->returned[group][i] + RETURN_PRIOR) /
		(table->watched[group][i] + RETURN_PRIOR / all);
}

double
ReturnChance(const ReturnTable *table, int group, int32 since, int32 days)
{
	double		log_stay = 0;

	if (table->silences == 0)
		return NAN;
	for (int i = 0; i < RETURN_INTERVALS; i++)
	{
		int64		first = Max((int64) since + 1, return_starts[i]);
		int64		end = Min((int64) since + days + 1, IntervalEnd(i));

		if (end > first)
			log_stay += (end - first) * log1p(-DailyChance(table, group, i));
	}
	return log_stay < 0 ? -expm1(log_stay) : 0; /* not -0 */
}
