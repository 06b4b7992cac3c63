/*
 * clock.c
 *		A customer's clocks: how long until silence, and every silence there was.
 *
 * Silence is the end of a customer's own rhythm.  Where the shop has not fixed
 * its days it begins on the earlier of two days, kept between the tier's fewest
 * and most:
 *
 * - the quantile of the customer's own next gap (gap.h), rounded up to a day;
 *
 * - the first whole day on which P(alive), a function that only falls while the
 *	 customer stays away, is at or below a level.  The model tells the moment in
 *	 closed form or by root finding, and the day is then checked against P(alive)
 *	 itself, so that it is the first whatever was lost in rounding.  A level that
 *	 a first order does not even start above would silence people at checkout,
 *	 and is not used.
 *
 * Both are numbers of days that follow from the order days alone and not from
 * the day on which one asks, so the day of silence is known in advance.
 */
#include "postgres.h"

#include <math.h>

#include "segment/clock.h"
#include "timeline/timeline.h"

Tier
TierOfSpend(const Rules *rules, int64 spend)
{
	if (spend > rules->tier_high_cut)
		return TIER_HIGH;
	if (spend > rules->tier_mid_cut)
		return TIER_MID;
	return TIER_LOW;
}

void
RhythmInit(Rhythm *rhythm)
{
	memset(rhythm, 0, sizeof(Rhythm));
	rhythm->first_order = rhythm->last_order = NO_DAY;
}

void
RhythmAdd(const Rules *rules, Rhythm *rhythm, DateADT order_day)
{
	if (rhythm->order_days++ == 0)
		rhythm->first_order = order_day;
	else if (rules->gap.usable)
		rhythm->log_gaps += log((double) order_day - rhythm->last_order);
	rhythm->last_order = order_day;
}

bool
IsPersonal(const Rules *rules, Tier tier, const Rhythm *rhythm)
{
	return rules->personal[tier] && rhythm->order_days > 0 &&
		(rules->gap.usable || rules->alive != NULL);
}

int32
GapDays(const Rules *rules, const Rhythm *rhythm, double z, int32 most)
{
	double		days = ceil(GapQuantile(&rules->gap, rhythm->order_days - 1, rhythm->log_gaps, z));

	return days < most ? (int32) days : most;
}

double
AliveAfter(const Rules *rules, const Rhythm *rhythm, int32 days)
{
	double		t_x = (double) rhythm->last_order - rhythm->first_order;

	return PurchaseAlive(rules->alive, rhythm->order_days - 1, t_x, t_x + days);
}

/* The first of the days [from, to) after the last order with P(alive) at or below the level, else to. */
static int32
AliveDays(const Rules *rules, const Rhythm *rhythm, int32 from, int32 to)
{
	double		t_x = (double) rhythm->last_order - rhythm->first_order;
	double		until;
	int32		days;

	if (to <= from || AliveAfter(rules, rhythm, to - 1) > rules->alive_level)
		return to;

	until = ceil(PurchaseAliveUntil(rules->alive, rhythm->order_days - 1, t_x,
									rules->alive_level) - t_x);
	days = until <= from ? from : until < to ? (int32) until : to - 1;
	while (days > from && AliveAfter(rules, rhythm, days - 1) <= rules->alive_level)
		days--;
	while (days < to - 1 && AliveAfter(rules, rhythm, days) > rules->alive_level)
		days++;
	return days;
}

Silence
SilenceOf(const Rules *rules, Tier tier, const Rhythm *rhythm)
{
	int32		least = rules->silent_min_days[tier];
	Silence		silence = {rules->silent_days[tier], SILENCE_FIXED};

	if (!IsPersonal(rules, tier, rhythm))
		return silence;

	silence.days = rules->silent_max_days[tier];
	silence.rule = SILENCE_LONGEST;
	if (rules->gap.usable)
	{
		int32		days = GapDays(rules, rhythm, rules->gap_z, silence.days);

		if (days < silence.days)
		{
			silence.days = days;
			silence.rule = SILENCE_GAP;
		}
	}
	if (rules->alive != NULL)
	{
		/* One day fewer than the fewest, to see whether that comes too late. */
		int32		days = AliveDays(rules, rhythm, least - 1, silence.days);

		if (days < silence.days)
		{
			silence.days = days;
			silence.rule = SILENCE_ALIVE;
		}
	}
	if (silence.days < least)
	{
		silence.days = least;
		silence.rule = SILENCE_SHORTEST;
	}
	return silence;
}

/* The silence that came of a rhythm, if it began until a day; "ended" is the day of the next order or NO_DAY. */
static void
SeeSilence(const Rules *rules, const Rhythm *rhythm, int64 spend, DateADT until, DateADT ended,
		   SilenceSeen seen, void *arg)
{
	Tier		tier = TierOfSpend(rules, spend);
	DateADT		began;

	if (rhythm->order_days == 0)
		return;
	began = DaysAfter(rhythm->last_order, SilenceOf(rules, tier, rhythm).days);
	if (began <= until)
		seen(rhythm->last_order, began, ended, tier, arg);
}

void
EachSilence(const Rules *rules, Datum timeline, DateADT day, SilenceSeen seen, void *arg)
{
	struct varlena *stored = (struct varlena *) DatumGetPointer(timeline);
	struct varlena *t = pg_detoast_datum_packed(stored);
	TimelineIter iter;
	TimelineEntry entry;
	Rhythm		rhythm;
	int64		spend = 0;

	if (!TimelineIterInit(&iter, t))
		TimelineVersionError();
	RhythmInit(&rhythm);
	while (TimelineIterNextCounted(&iter, &entry) && entry.day <= day)
	{
		if (entry.orders > 0)
		{
			SeeSilence(rules, &rhythm, spend, entry.day, entry.day, seen, arg);
			RhythmAdd(rules, &rhythm, entry.day);
		}
		spend += entry.gross - entry.refunded;
	}
	SeeSilence(rules, &rhythm, spend, day, NO_DAY, seen, arg);
	if (t != stored)
		pfree(t);
}
