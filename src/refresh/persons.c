/*
 * persons.c
 *		The step of a refresh that works out who is one person.
 *
 * It comes before the sources are read, so that what changes here changes for
 * this reason alone. Parts are those of accounts, and stay as they are: a profile
 * is the merge of the parts of all accounts and sources, so parting two accounts
 * gives back what was. A batch is one transaction: who is one person, what recall
 * has of them, their profiles and standings.
 */
#include "postgres.h"

#include "common/ids.h"
#include "common/settings.h"
#include "common/spi.h"
#include "person/person.h"
#include "queue/queue.h"
#include "refresh/persons.h"

bool
PartsAreWanted(List *sources, bool kept)
{
	ListCell   *cell;

	/* Of people always: a profile is never theirs alone. */
	foreach(cell, sources)
		if (((Source *) lfirst(cell))->kind == SOURCE_PEOPLE)
			return true;
	return list_length(sources) > 1 ||
		(sources != NIL && (PersonsLinked() ||
							(kept && SpiRun("SELECT FROM custseg.profile_pending LIMIT 1", 0, NULL, NULL, NULL) > 0)));
}

void
FollowLinks(Run *run, const ChangeFollower *follower)
{
	ChangeFollower identity = {.standing = follower->standing,.cause = CAUSE_IDENTITY};
	int64	   *ids;
	int			n;
	bool		all;

	for (;;)
	{
		RunStage(run, STAGE_WRITE);
		ids = PersonsWorkOut(custseg_batch_size, &n);
		if (ids == NULL)
			return;
		RunActivity(run, "following links, %d customers", n);
		all = QueueMerge(&run->now, IdArray(ids, n));
		MergeCustomers(run, &identity, ids, n);
		/* Of an account that never ordered something else may be known. */
		if (identity.standing && identity.standing->with_events)
			FollowEvents(run, &identity, ids, n);
		RunCommit(run);
		/* Some are still to be looked at, and so are those who come after them: the next refresh does. */
		if (!all)
			return;
	}
}
