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

#include "utils/guc.h"

#include "common/attempt.h"
#include "common/guard.h"
#include "common/ids.h"
#include "common/settings.h"
#include "common/spi.h"
#include "person/contact.h"
#include "person/person.h"
#include "queue/queue.h"
#include "refresh/persons.h"

#define LONGEST_WAIT	1000	/* ms, for somebody who has not committed */

bool
PartsAreWanted(const Run *run, List *sources, bool kept)
{
	ListCell   *cell;

	/* Of people always: a profile is never theirs alone. */
	foreach(cell, sources)
		if (((Source *) lfirst(cell))->kind == SOURCE_PEOPLE)
			return true;
	return list_length(sources) > 1 ||
		(sources != NIL && ((run->link_rules && run->link_rules->n > 0) || PersonsLinked() ||
							(kept && SpiRun("SELECT FROM custseg.profile_pending LIMIT 1", 0, NULL, NULL, NULL) > 0)));
}

/* A batch of customers whose links changed, and who that concerns. */
typedef struct Batch
{
	Run		   *run;
	int64	   *ids;
	int			n;
	bool		parting;		/* the customer table is being looked at */
} Batch;

static void
WorkOutPersons(void *arg)
{
	Batch	   *batch = arg;
	int			n;
	int64	   *taken = PersonsTake(custseg_batch_size, &n);
	Parting    *parting;

	batch->ids = NULL;
	if (taken == NULL)
		return;
	parting = PartingBegin(taken, n);
	batch->ids = PersonsWorkOut(taken, n, &batch->n);
	batch->parting = true;
	PartingEnd(&batch->run->now, parting);
}

/* Nobody is parted while it is not known who must not be contacted. Until then nobody of them is handed out. */
static bool
MayFollow(Run *run, const Batch *batch, ErrorData *error)
{
	if (error == NULL)
		return true;
	if (!LockWasRefused(error) && !(batch->parting && ContactsReading() != 0))
		ReThrowError(error);
	ereport(WARNING,
			(errcode(error->sqlerrcode),
			 errmsg("customers who were linked or parted are left as they were: %s", error->message),
			 error->detail ? errdetail_internal("%s", error->detail) : 0,
			 error->hint ? errhint("%s", error->hint) : errhint("The next refresh tries again.")));
	RunNote(run, psprintf("customers who were linked or parted are left as they were: %s", error->message));
	run->counts.left++;
	run->links_left = true;
	return false;
}

void
FollowLinks(Run *run, const ChangeFollower *follower)
{
	ChangeFollower identity = {.standing = follower->standing,.cause = CAUSE_IDENTITY};
	bool		all;

	while (!run->links_left)
	{
		Batch		batch = {run};
		ErrorData  *error;
		int			level;

		RunStage(run, STAGE_WRITE);
		level = LimitLockWait(LONGEST_WAIT);
		error = Attempt(WorkOutPersons, &batch);
		AtEOXact_GUC(false, level);
		if (!MayFollow(run, &batch, error) || batch.ids == NULL)
			return;
		RunActivity(run, "following links, %d customers", batch.n);
		all = QueueMerge(&run->now, IdArray(batch.ids, batch.n));
		MergeCustomers(run, &identity, batch.ids, batch.n);
		/* Of an account that never ordered something else may be known. */
		if (identity.standing && identity.standing->with_events)
			FollowEvents(run, &identity, batch.ids, batch.n);
		RunCommit(run);
		/* Some are still to be looked at, and so are those who come after them: the next refresh does. */
		if (!all)
			return;
	}
}
