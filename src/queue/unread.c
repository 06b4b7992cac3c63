/*
 * unread.c
 *		What the sources know of customers that no refresh has read yet.
 */
#include "postgres.h"

#include "utils/guc.h"
#include "utils/timestamp.h"

#include "common/attempt.h"
#include "common/guard.h"
#include "common/settings.h"
#include "common/spi.h"
#include "facts/event.h"
#include "person/identity.h"
#include "person/forgotten.h"
#include "person/person.h"
#include "profile/look.h"
#include "queue/unread.h"
#include "source/follow.h"
#include "source/probe.h"
#include "source/read.h"
#include "timeline/day.h"
#include "track/change_pending.h"
#include "track/trigger_digest.h"

#define LONGEST_WAIT	1000	/* ms, for a lock */

/* A look at one source. */
typedef struct Look
{
	Source	   *source;
	DayMapper  *days;
	int			n;
	const int64 *ids;
	const DateADT *after;
	bool	   *ordered;
	bool		looked;
} Look;

static void
LookAtSource(void *arg)
{
	Look	   *look = arg;
	char	  **keys;

	(void) SourceFollow(look->source);
	SourceOpen(look->source);
	look->looked = ProbeIsCheap(look->source);
	if (!look->looked)
		return;
	keys = IdentityKeys(look->source, look->n, look->ids);
	if (SourceIsParsed(look->source))
		LookByCollecting(look->source, look->days, look->n, keys, look->after, look->ordered);
	else
		ProbeSource(look->source, look->days, look->n, keys, look->after, look->ordered);
}

/*
 * Look at one source. A source that cannot be read now, because its table was
 * dropped or is locked, or its owner may not read it, must not stop the desks: a
 * warning, and what is known of it is as old as its last read. True when it was
 * looked at.
 */
static bool
TrySource(Source *source, DayMapper *days, int n, const int64 *ids, const DateADT *after, bool *ordered)
{
	Look		look = {source, days, n, ids, after, ordered};
	ErrorData  *error;
	int			level = LimitLockWait(LONGEST_WAIT);

	error = Attempt(LookAtSource, &look);
	AtEOXact_GUC(false, level);

	if (error)
		ereport(WARNING,
				(errcode(error->sqlerrcode),
				 errmsg("could not look for new orders in %s: %s", SourceRelation(source), error->message),
				 error->hint ? errhint("%s", error->hint) : 0));
	return error == NULL && look.looked;
}

struct Probe
{
	List	   *queried;		/* sources whose own rows are looked at */
	TimestampTz checked_at;		/* now, or when one was read that could not be looked at */
	DayMapper  *days;
	ChangeLook *changes;		/* in those that are tracked; NULL without any */
	bool		shared;			/* every customer is one of each source */
	bool		linked;			/* some are one person with others */
	bool		forgetting;		/* somebody was just forgotten */
};

Probe *
ProbeSources(void)
{
	Probe	   *probe = palloc0(sizeof(Probe));
	List	   *sources = ListSources(SOURCE_ORDERS);
	List	   *tracked = NIL;
	ListCell   *cell;

	probe->checked_at = GetCurrentTimestamp();
	probe->shared = true;
	probe->linked = PersonsLinked();
	probe->forgetting = ForgettingGoesOn();
	foreach(cell, sources)
	{
		Source	   *source = lfirst(cell);

		probe->shared &= source->native || list_length(sources) == 1;
		source->tracked = TrackingIsLive(source);
		if (source->tracked)
			tracked = lappend(tracked, source);
		/* Where another table goes by its name now, the triggers are on the old one; the look says so. */
		if (!source->tracked || !SourceIsNamed(source) || !TriggersSeeAll(source))
			probe->queried = lappend(probe->queried, source);
		else if (source->read_here && !LayoutIsAsRead(source))
		{
			/* A partition was attached, or a trigger was off: there may be orders that no trigger saw. */
			if (TrySource(source, NULL, 0, NULL, NULL, NULL))
				probe->queried = lappend(probe->queried, source);
			else
				source->read_here = false;
		}
	}
	/* A complaint is known by its trigger alone; one of a source that was never read is no news. */
	foreach(cell, ListComplaintSources())
	{
		Source	   *source = lfirst(cell);

		if (source->last_read == DT_NOBEGIN || !source->read_here || !TrackingIsLive(source))
			continue;
		tracked = lappend(tracked, source);
		probe->shared &= source->native;
	}
	if (probe->queried != NIL)
		probe->days = DayMapperCreate(ReadShopSettings()->time_zone);
	if (tracked != NIL)
		probe->changes = ChangeLogLook(tracked);
	return probe;
}

static void
AccountChanges(Probe *probe, int n, const int64 *ids, bool *pending)
{
	if (probe->changes != NULL)
		ChangeLogPending(probe->changes, n, ids, pending);
	else
		memset(pending, 0, n * sizeof(bool));
	/* A refresh that was running may have brought them back for a while. */
	if (probe->forgetting)
		ForgottenPending(ids, n, pending);
}

void
ProbeChanges(Probe *probe, int n, const int64 *ids, bool *pending)
{
	int			n_all;
	int		   *owners;
	int64	   *all;
	bool	   *changed;

	if (!probe->linked)
	{
		AccountChanges(probe, n, ids, pending);
		return;
	}
	all = MembersOf(ids, n, &n_all, &owners);
	changed = palloc(Max(n_all, 1) * sizeof(bool));
	AccountChanges(probe, n_all, all, changed);
	/* Whoever was just linked, or parted, is not what a refresh made of them. */
	PersonsPending(all, n_all, changed);
	memcpy(pending, changed, n * sizeof(bool));
	for (int i = n; i < n_all; i++)
		pending[owners[i - n]] |= changed[i];
}

bool
ProbeAllChanged(const Probe *probe)
{
	return probe->changes != NULL && probe->shared && ChangeLogAll(probe->changes);
}

bool
ProbeAheadPays(const Probe *probe)
{
	return probe->changes != NULL && ChangeLogIsLong();
}

void
ProbeOrders(Probe *probe, int n, const int64 *ids, const DateADT *after, bool *ordered, bool *pending,
			TimestampTz *checked_at)
{
	ListCell   *cell;
	int			n_all = n;
	int		   *owners = NULL;
	const int64 *all = ids;
	DateADT    *last = palloc(Max(n, 1) * sizeof(DateADT));
	bool	   *found;

	if (probe->linked && probe->queried != NIL)
	{
		all = MembersOf(ids, n, &n_all, &owners);
		last = repalloc(last, Max(n_all, 1) * sizeof(DateADT));
	}
	for (int i = 0; i < n_all; i++)
		last[i] = after[i < n ? i : owners[i - n]];
	found = palloc0(Max(n_all, 1) * sizeof(bool));
	foreach(cell, probe->queried)
	{
		Source	   *source = lfirst(cell);

		if (TrySource(source, probe->days, n_all, all, last, found))
			continue;
		/* Nor will it be the next time. */
		probe->checked_at = Min(probe->checked_at, source->last_read);
		probe->queried = foreach_delete_current(probe->queried, cell);
	}
	memcpy(ordered, found, n * sizeof(bool));
	for (int i = n; i < n_all; i++)
		ordered[owners[i - n]] |= found[i];
	ProbeChanges(probe, n, ids, pending);
	for (int i = 0; i < n; i++)
		checked_at[i] = probe->checked_at;
}
