/*
 * collect_people.c
 *		Sources of people in a refresh.
 *
 * A person without an order is a customer, too. What a source of people says of
 * one is a part of the profile that has no day in it, and it stands in
 * custseg.profile_attribute: where there is such a row, there is a profile.
 * Whoever's row differs is merged anew and evaluated, also when the profile
 * stays what it was, since what is concluded may go by attributes.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "common/attempt.h"
#include "common/ids.h"
#include "common/settings.h"
#include "common/spi.h"
#include "facts/people_compare.h"
#include "person/handle_read.h"
#include "refresh/collect_people.h"
#include "refresh/incremental.h"
#include "refresh/note_read.h"
#include "refresh/trust.h"
#include "source/read.h"
#include "track/change_log.h"
#include "track/trigger_digest.h"

/* Give new keys their numbers, and write; who that is, by ascending number. */
static int64 *
NumberAndWrite(const Source *source, Person *people, int n)
{
	IdentityWriter *identities = NULL;
	int64	   *ids = palloc_extended(Max(n, 1) * sizeof(int64), MCXT_ALLOC_HUGE);

	for (int i = 0; i < n; i++)
	{
		if (people[i].customer_id == 0)
		{
			if (identities == NULL)
				identities = IdentityOpen(source->namespace);
			people[i].customer_id = IdentityAdd(identities, people[i].key);
		}
		ids[i] = people[i].customer_id;
	}
	if (identities)
		IdentityClose(identities);
	PeopleWrite(source, people, n);
	return ids;
}

/* ---------------------------------------------------------- a whole source */

typedef struct PeopleRead
{
	Run		   *run;
	Source	   *source;
	ReadRecord	record;
	char	   *snapshot;		/* what its log of changes had to say before */
} PeopleRead;

/* The reading alone. */
static void
ReadPeople(void *arg)
{
	PeopleRead *read = arg;
	Run		   *run = read->run;
	Source	   *source = read->source;

	SourceOpen(source);
	run->reading = SourceShown(source);
	if (source->tracked)
	{
		/* Before the reading: what it sees is never less. */
		read->record.layout = MemoryContextStrdup(run->context, TableLayout(source));
		read->snapshot = MemoryContextStrdup(run->context, ChangeLogSnapshot());
	}
	PeopleSpoolRead(run->people, source, run->settings->time_zone, run->asked.rebuild);
}

static void
ClosePeople(Run *run)
{
	if (run->people)
		PeopleSpoolClose(run->people);
	run->people = NULL;
	run->reading = NULL;
}

/* What was read, if it can be believed; else the source stays as it was last read. */
static bool
CanApplyPeople(Run *run, PeopleRead *read, const ProfileTarget *target, bool known, bool *sudden)
{
	Source	   *source = read->source;
	const CollectCounts *counts = PeopleSpoolCounts(run->people);
	bool		accept = run->asked.rebuild && run->asked.only_source == source->source_id;
	Expectation expected;
	int64		least;
	int64		many;

	Expect(source, target, known, &expected);
	least = LeastCustomers(&expected);
	many = FullAgain(&expected, source, counts->rows - RejectedRows(counts));
	TellOddities(run, source, counts);
	if (counts->customers < least && !accept)
	{
		TellHeld(run, source, &expected, counts->customers);
		return false;
	}
	*sudden = counts->customers < least || (many > 0 && counts->customers >= many);
	return true;
}

/* Values that were left out of rows that count. */
static void
NoteOddities(const Source *source, const PeopleOddities *odd)
{
	if (odd->unregistered > 0)
		NoteReason(source, "registered_at is null, infinite or out of range (the row counts without it)", odd->unregistered);
	if (odd->too_long > 0)
		NoteReason(source, "an attribute is longer than 1000 bytes (the row counts without it)", odd->too_long);
}

bool
CollectPeople(Run *run, Source *source, const ProfileTarget *target, ChangeFollower *follower, bool known,
			  bool all_merged, char **snapshot)
{
	PeopleRead	read = {run, source, {.began = GetCurrentTimestamp()}};
	bool		first = source->last_read == DT_NOBEGIN;
	bool		sudden = false;
	int64		before = run->counts.customers;
	ErrorData  *error;
	Person	   *people;
	int			n;

	RunStage(run, STAGE_COLLECT);
	RunActivity(run, "reading %s", SourceRelation(source));
	run->people = PeopleSpoolCreate(run->context);
	error = Attempt(ReadPeople, &read);
	if (error != NULL)
		TellFailure(run, source, error);
	if (error != NULL || !CanApplyPeople(run, &read, target, known, &sudden))
	{
		ClosePeople(run);
		MarkSourceMixed(source);	/* whole, the next time too */
		RunCommit(run);
		return false;
	}
	if (sudden || first)
		follower->cause = CAUSE_SETTING;
	follower->sudden |= sudden;

	MarkSourceMixed(source);
	RunStage(run, STAGE_WRITE);
	while ((n = PeopleSpoolNext(run->people, custseg_batch_size, &people)) > 0)
	{
		int64	   *ids = NumberAndWrite(source, people, n);

		/* Nothing that was concluded before can have gone by what nobody had said. */
		if (!first || !all_merged)
			NotePending(ids, n, !first);
		RunActivity(run, "writing attributes, " INT64_FORMAT " customers", run->counts.customers);
		RunCommit(run);
	}
	run->counts.customers = before + PeopleSpoolCounts(run->people)->customers;
	NoteRead(run, source, &read.record, PeopleSpoolCounts(run->people));
	NoteOddities(source, PeopleSpoolOdd(run->people));
	ClosePeople(run);
	RunCommit(run);
	*snapshot = read.snapshot;
	return true;
}

/* --------------------------------------------------------- some customers */

/* A batch of customers of whom rows changed, and what of them differs. */
typedef struct PeopleChanges
{
	Run		   *run;
	Source	   *source;
	bool		more;			/* there may be others */
	ChangedCustomers changed;
	CollectCounts counts;
	Person	   *people;
	int			n;
	HandlesRead *handles;		/* of all of them; NULL: no rule goes by any */
} PeopleChanges;

/* The reading alone: if it fails, the log still has them. */
static void
ReadPeopleChanges(void *arg)
{
	PeopleChanges *read = arg;
	Run		   *run = read->run;
	Source	   *source = read->source;
	ChangedCustomers *changed = &read->changed;
	int64	   *ids = NULL;
	char	  **keys;

	SourceOpen(source);
	run->reading = SourceShown(source);
	read->more = ChangeLogTake(source, custseg_batch_size, changed);
	if (changed->n == 0)
		return;
	RunActivity(run, "reading changed customers of %s, " INT64_FORMAT " customers",
				SourceRelation(source), run->counts.changed + changed->n);
	if (source->key_kind == KEY_NATIVE)
		keys = IdentityKeys(source, changed->n, ids = changed->ids);
	else
		ids = IdentityNumbers(source->namespace, changed->n, keys = changed->keys);
	read->people = PeopleReadSome(source, run->settings->time_zone, keys, ids, changed->n, true, &read->counts, &read->n);
	if (read->handles)
		HandlesReadSome(read->handles, source, changed->n, keys);
}

/* What rules know them by, once all have their numbers. */
static void
WriteHandles(const PeopleChanges *read)
{
	const ChangedCustomers *changed = &read->changed;
	int64	   *ids = changed->ids;
	int			n = changed->n;

	if (read->handles == NULL)
		return;
	if (ids == NULL)
		n = SortIds(ids = IdentityNumbers(read->source->namespace, n, changed->keys), n);
	HandlesApplySome(read->handles, read->source, ids, n);
}

/* Reading changes does not count the customers, but where none is left that is noted. */
static void
NoteIfNobody(const Source *source)
{
	SpiRun(psprintf("UPDATE custseg.source_mapping SET customers = 0, rows_accepted = 0 WHERE source_id = %d"
					" AND NOT EXISTS (SELECT FROM custseg.profile_attribute WHERE source_id = %d)",
					source->source_id, source->source_id), 0, NULL, NULL, NULL);
}

bool
CollectPeopleChanges(Run *run, Source *source, const ProfileTarget *target, const ChangeFollower *follower)
{
	int64		taken = 0;
	bool		more = true;

	while (more)
	{
		PeopleChanges read = {run, source};
		ErrorData  *error;
		bool		removed = false;

		RunStage(run, STAGE_COLLECT);
		if (run->link_rules && HasHandles(run->link_rules, source))
			read.handles = HandlesBegin(run->link_rules, source);
		error = Attempt(ReadPeopleChanges, &read);
		if (error != NULL)
		{
			TellFailure(run, source, error);
			run->reading = NULL;
			RunCommit(run);
			return true;
		}
		run->reading = NULL;
		more = read.more;
		if (read.changed.n == 0)
			break;
		taken += read.changed.n;
		run->counts.customers += read.changed.n;
		run->counts.changed += read.changed.n;
		RunStage(run, STAGE_WRITE);
		for (int i = 0; i < read.n; i++)
			removed |= read.people[i].attributes == NULL;
		NotePending(NumberAndWrite(source, read.people, read.n), read.n, true);
		WriteHandles(&read);
		while (MergePending(run, follower))
			;
		CountRows(run, source, &read.counts);
		if (removed)
			NoteIfNobody(source);
		RunCommit(run);
		if (more && MayShrink(target, taken))
			return false;
	}
	ForgetProblem(source);
	return true;
}

/* ------------------------------------------------------- sources that are gone */

void
DropPeople(const char *keep)
{
	SpiRun(psprintf("WITH gone AS (DELETE FROM custseg.profile_attribute WHERE source_id <> ALL ('{%s}') RETURNING customer_id)"
					" INSERT INTO custseg.profile_pending (customer_id, evaluate) SELECT DISTINCT customer_id, true FROM gone"
					" ON CONFLICT (customer_id) DO UPDATE SET evaluate = true", keep), 0, NULL, NULL, NULL);
	SpiRun(psprintf("DELETE FROM custseg.attribute_conflict WHERE source_id <> ALL ('{%s}')", keep), 0, NULL, NULL, NULL);
}
