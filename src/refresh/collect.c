/*
 * collect.c
 *		The stages of a refresh that bring the sources into the profiles.
 *
 * Reading a source may fail, and must then fail alone: it is done in a
 * subtransaction, and applied after that, because applying commits.
 *
 * With one source of orders, what it says of a customer is the profile. With
 * several, or customers who are one person, each source's part is kept beside, so that one can be read again
 * alone; customers of whom a part changed are noted as pending in the same
 * transaction, and then their profiles are merged anew. When all sources are
 * read whole, so are everybody's.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "common/attempt.h"
#include "common/spi.h"
#include "facts/product.h"
#include "person/identity.h"
#include "profile/counts.h"
#include "profile/writer.h"
#include "refresh/collect.h"
#include "refresh/collect_people.h"
#include "refresh/incremental.h"
#include "refresh/merge_profile.h"
#include "refresh/note_read.h"
#include "refresh/reappear.h"
#include "refresh/trust.h"
#include "source/read.h"
#include "track/change_log.h"
#include "track/trigger_digest.h"

#define LOAD_CUSTOMERS	1000000 /* a first load commits this often */

/* Customers that were seen, of those with ids of ours (-1, -2, ...): a bit each. */
typedef struct SeenIds
{
	uint8	   *bits;
	int64		size;			/* bytes */
} SeenIds;

static void
MarkSeen(Run *run, SeenIds *seen, int64 id)
{
	int64		bit = -(id + 1);

	if (id >= 0)
		return;
	if (bit / 8 >= seen->size)
	{
		int64		size = Max(65536, Max(seen->size * 2, bit / 8 + 1));

		seen->bits = seen->bits ? repalloc_huge(seen->bits, size) : MemoryContextAllocHuge(run->context, size);
		memset(seen->bits + seen->size, 0, size - seen->size);
		seen->size = size;
	}
	seen->bits[bit / 8] |= 1 << bit % 8;
}

static bool
WasSeen(const SeenIds *seen, int64 id)
{
	int64		bit = -(id + 1);

	return id < 0 && bit / 8 < seen->size && (seen->bits[bit / 8] & (1 << bit % 8)) != 0;
}

/* The ids of customers, in their order. */
static int64 *
IdsOf(const Collected *rows, int n)
{
	int64	   *ids = palloc(Max(n, 1) * sizeof(int64));

	for (int i = 0; i < n; i++)
		ids[i] = rows[i].customer_id;
	return ids;
}

static void
KnowKey(void *collector, const char *key, int len, int64 customer_id)
{
	CollectorKnowKey(collector, key, len, customer_id);
}

/* The next customers that were collected. False when there are no more. */
static bool
NextCustomers(Run *run, int64 before, Collected **rows, int *n)
{
	bool		more;

	RunStage(run, STAGE_COLLECT);
	more = CollectorNext(run->collector, custseg_batch_size, rows, n);
	RunStage(run, STAGE_WRITE);
	run->counts.customers = before + CollectorCounts(run->collector)->customers;
	return more;
}

/* Nothing is there yet: store everything. Parts are merged when all sources were read. */
static void
LoadProfiles(Run *run, Source *source, const ProfileTarget *target)
{
	int64		before = run->counts.customers;
	int64		stored = 0;
	Collected  *rows;
	int			n;
	bool		more = true;

	while (more)
	{
		ProfileLoader *loader = ProfileLoadBegin(target);
		IdentityWriter *identities = NULL;
		int			loaded = 0;

		while (loaded < LOAD_CUSTOMERS && (more = NextCustomers(run, before, &rows, &n)))
		{
			NumberCustomers(&identities, source, rows, n);
			for (int i = 0; i < n; i++)
				ProfileLoadPut(loader, &rows[i]);
			loaded += n;
		}

		ProfileLoadEnd(loader);
		if (identities)
			IdentityClose(identities);
		stored += loaded;
		if (target->source_id == 0)
			run->counts.profiles_written += loaded;
		RunActivity(run, "writing profiles, " INT64_FORMAT " customers", before + stored);
		RunCommit(run);
	}
}

/* Remove the customers of the target that were not seen. */
static void
RemoveUnseen(Run *run, const ProfileTarget *target, const SeenIds *seen, const ChangeFollower *follower)
{
	for (int64 after = PG_INT64_MIN;; RunCommit(run))
	{
		int64	   *ids = palloc(custseg_batch_size * sizeof(int64));
		ProfileChanges changes = {0};
		int			gone = 0;
		int			n;

		RunStage(run, STAGE_WRITE);
		n = ProfileIds(target, after, custseg_batch_size, ids);
		if (n == 0)
			return;
		after = ids[n - 1];
		for (int i = 0; i < n; i++)
			if (!WasSeen(seen, ids[i]))
				ids[gone++] = ids[i];
		if (gone > 0)
		{
			ReappearGone(run, target, ids, gone);
			ProfileRemove(target, ids, gone, &changes);
			AfterChanges(run, target, follower, &changes);
		}
	}
}

/* Write what differs from what is there, batch by batch. */
static void
ApplyProfiles(Run *run, Source *source, const ProfileTarget *target, const ChangeFollower *follower)
{
	int64		before = run->counts.customers;
	SeenIds		seen = {0};
	ProfileChanges changes;
	Collected  *rows;
	int			n;

	while (NextCustomers(run, before, &rows, &n))
	{
		if (source->key_kind == KEY_NATIVE)
		{
			ReappearDifferences(run, target, rows, n);
			ProfileWrite(target, rows, n, &changes);
		}
		else
		{
			IdentityWriter *identities = NULL;
			bool	   *are_new = palloc(Max(n, 1) * sizeof(bool));

			for (int i = 0; i < n; i++)
				are_new[i] = rows[i].customer_id == 0;
			NumberCustomers(&identities, source, rows, n);
			if (identities)
				IdentityClose(identities);
			for (int i = 0; i < n; i++)
				if (are_new[i])
					ReappearCame(run, rows[i].customer_id, rows[i].timeline);
			qsort(rows, n, sizeof(Collected), CompareCollected);
			for (int i = 0; i < n; i++)
				MarkSeen(run, &seen, rows[i].customer_id);
			ProfileWriteIds(target, IdsOf(rows, n), n, rows, n, &changes);
		}
		AfterChanges(run, target, follower, &changes);
		RunActivity(run, "comparing profiles, " INT64_FORMAT " customers", run->counts.customers);
		RunCommit(run);
	}

	/* By key there is no range to compare: look for those that are gone. */
	if (source->key_kind != KEY_NATIVE)
		RemoveUnseen(run, target, &seen, follower);
}

/* A read of a whole source. */
typedef struct WholeRead
{
	Run		   *run;
	Source	   *source;
	const ProfileTarget *target;
	bool		compare;
	ReadRecord	record;
	char	   *snapshot;		/* what its log of changes had to say before */
	DayLimits	limits;
} WholeRead;

/* The reading alone. */
static void
ReadWhole(void *arg)
{
	WholeRead  *read = arg;
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
	(void) ReadDayLimits(source->source_id, run->now.day, &read->limits);
	ProductsLoad(run->context, source);
	run->collector = CollectorCreate(run->context, source, run->settings->time_zone, &read->limits,
									 (Size) custseg_work_mem * 1024);
	if (source->key_kind == KEY_NATIVE && read->compare)
		CollectorCompare(run->collector, read->target);
	CollectorRead(run->collector, source);
}

static void
CloseCollector(Run *run)
{
	if (run->collector)
		CollectorClose(run->collector);
	run->collector = NULL;
	run->reading = NULL;
}

/* What was read of a source, if it can be believed; else it stays as it was last read. */
static bool
CanApply(Run *run, WholeRead *read, bool known, bool *sudden)
{
	Source	   *source = read->source;
	bool		accept = run->asked.rebuild && run->asked.only_source == source->source_id;
	const CollectCounts *counts = CollectorCounts(run->collector);
	Expectation expected;
	int64		least;
	int64		many;
	int64		found;

	Expect(source, read->target, known, &expected);
	least = LeastCustomers(&expected);
	many = FullAgain(&expected, source, counts->rows - RejectedRows(counts));
	found = CollectorCustomers(run->collector, Max(least, many));
	TellOddities(run, source, counts);
	if (found < least && !accept)
	{
		TellHeld(run, source, &expected, found);
		return false;
	}
	*sudden = found < least || (many > 0 && found >= many);
	return true;
}

/* Read a source whole and apply it. False, and the source is as it was, if that cannot be. */
static bool
CollectSource(Run *run, Source *source, const ProfileTarget *target, ChangeFollower *follower, bool known,
			  char **snapshot)
{
	WholeRead	read = {run, source, target,.record = {.began = GetCurrentTimestamp()}};
	bool		load = (follower->standing == NULL || (target->events && !target->moves_labels)) && ProfileTargetIsEmpty(target);
	bool		sudden = false;
	ErrorData  *error;

	RunStage(run, STAGE_COLLECT);
	RunActivity(run, "reading %s", SourceRelation(source));
	read.compare = !load;
	error = Attempt(ReadWhole, &read);
	if (error != NULL)
		TellFailure(run, source, error);
	run->reading = NULL;
	if (error != NULL || !CanApply(run, &read, known, &sudden))
	{
		CloseCollector(run);
		MarkSourceMixed(source);	/* whole, the next time too */
		RunCommit(run);
		return false;
	}

	/* Whoever is there all at once, or gone, is so because of the source: no event, and no silence that begins. */
	if (sudden || source->last_read == DT_NOBEGIN)
		follower->cause = CAUSE_SETTING;
	follower->sudden |= sudden;
	if (source->key_kind != KEY_NATIVE)
		IdentityRead(source->namespace, KnowKey, run->collector);

	MarkSourceMixed(source);
	if (!load && !source->tracked && target->events == NULL && follower->cause == CAUSE_DATA)
		ReappearBegin(run);
	if (load)
		LoadProfiles(run, source, target);
	else
		ApplyProfiles(run, source, target, follower);
	ReappearEnd(run, target, sudden);

	RunStage(run, STAGE_WRITE);
	NoteRead(run, source, &read.record, CollectorCounts(run->collector));
	NoteDayLimits(source->source_id, &read.limits, CollectorCounts(run->collector)->ahead, true);
	CloseCollector(run);
	RunCommit(run);
	*snapshot = read.snapshot;
	return true;
}

/* Forget what sources said that are not there any more. */
static void
DropParts(Run *run, List *sources, bool parts)
{
	StringInfoData keep;
	ListCell   *cell;

	initStringInfo(&keep);
	foreach(cell, sources)
		appendStringInfo(&keep, "%s%d", keep.len ? "," : "", ((Source *) lfirst(cell))->source_id);
	DropPeople(keep.data);
	if (!parts)
	{
		SpiRun("DELETE FROM custseg.profile_part", 0, NULL, NULL, NULL);
		SpiRun("DELETE FROM custseg.profile_pending", 0, NULL, NULL, NULL);
	}
	else
		SpiRun(psprintf("WITH gone AS (DELETE FROM custseg.profile_part WHERE source_id NOT IN (%s) RETURNING customer_id)"
						" INSERT INTO custseg.profile_pending (customer_id) SELECT DISTINCT customer_id FROM gone ON CONFLICT DO NOTHING",
						keep.data), 0, NULL, NULL, NULL);
	ChangeLogDropUnknown();
	RunCommit(run);
}

/* After all parts were read, also of customers whose parts are as they were: a profile may not be what they say. */
static void
MergeAll(Run *run, const ChangeFollower *follower)
{
	int64		last = PG_INT64_MIN;

	RunActivity(run, "merging the sources");
	while (MergeRange(run, follower, &last))
		RunCommit(run);
}

/* Reading compares timelines, not keys. */
static void
RestoreKeys(Run *run)
{
	RunStage(run, STAGE_WRITE);
	SpiRun("UPDATE custseg.profile p SET customer_key = " CUSTOMER_KEY("p.customer_id")
		   " WHERE p.customer_key IS DISTINCT FROM " CUSTOMER_KEY("p.customer_id"), 0, NULL, NULL, NULL);
	run->counts.profiles_written += SPI_processed;
	RunCommit(run);
}

/*
 * The only source cannot be read, and was one of several before: what it said
 * then is known, so what the others said can go without it.
 */
static void
LeavePart(Run *run, const Source *source, const ChangeFollower *follower)
{
	Oid			types[1] = {INT4OID};
	Datum		values[1] = {Int32GetDatum(source->source_id)};

	if (SpiRun("SELECT FROM custseg.profile_part WHERE source_id = $1 LIMIT 1", 1, types, values, NULL) > 0)
		DropPeople(psprintf("%d", source->source_id));
	SpiRun("WITH gone AS (DELETE FROM custseg.profile_part WHERE source_id <> $1"
		   "  AND EXISTS (SELECT FROM custseg.profile_part WHERE source_id = $1) RETURNING customer_id)"
		   " INSERT INTO custseg.profile_pending (customer_id) SELECT DISTINCT customer_id FROM gone ON CONFLICT DO NOTHING",
		   1, types, values, NULL);
	while (MergePending(run, follower))
		RunCommit(run);
}

void
KeepAsPart(void)
{
	SpiRun("INSERT INTO custseg.profile_part (source_id, customer_id, timeline)"
		   " SELECT m.source_id, p.customer_id, p.timeline FROM custseg.profile p, custseg.refresh_state s"
		   " JOIN custseg.source_mapping m ON s.sources = ARRAY[m.source_id] AND m.kind = 'orders'"
		   " ON CONFLICT DO NOTHING", 0, NULL, NULL, NULL);
}

void
ForgetParts(void)
{
	SpiRun("DELETE FROM custseg.profile_part", 0, NULL, NULL, NULL);
}

/* How a source is read, which already looks at its table. */
typedef struct Question
{
	Run		   *run;
	Source	   *source;
	const ProfileTarget *target;
	const char *why;			/* at first: why all are read whole, if they are */
	Reading		reading;
} Question;

static void
AskHowToRead(void *arg)
{
	Question   *question = arg;

	question->reading = HowToRead(question->run, question->source, question->target, &question->why);
}

void
CollectOne(Run *run, Source *source, const ProfileTarget *target, ChangeFollower *follower,
		   const char *reread_all, bool known, char **snapshot)
{
	Question	question = {run, source, target, reread_all, READ_WHOLE};
	ErrorData  *error = Attempt(AskHowToRead, &question);

	RunNoteRead(run, source->source_id, reading_names[error ? READ_NOT : question.reading], error ? NULL : question.why);
	if (error)
	{
		TellFailure(run, source, error);
		if (reread_all)
			MarkSourceMixed(source);
		if (reread_all && target->source_id == 0)
			LeavePart(run, source, follower);
		return;
	}
	if (question.reading == READ_CHANGES &&
		!(target->people ? CollectPeopleChanges : CollectChanges) (run, source, target, follower))
	{
		RunNoteRead(run, source->source_id, reading_names[READ_WHOLE], "so many of its customers changed meanwhile");
		question.reading = READ_WHOLE;
	}
	if (question.reading != READ_WHOLE)
		return;
	if (target->people)
		(void) CollectPeople(run, source, target, follower, known, reread_all != NULL, snapshot);
	else if (CollectSource(run, source, target, follower, known, snapshot))
	{
		if (target->source_id == 0 && !reread_all)
			SpiRun("DELETE FROM custseg.profile_part", 0, NULL, NULL, NULL);
	}
	else if (target->source_id == 0)
		LeavePart(run, source, follower);
}

void
CollectSources(Run *run, List *sources, bool parts, const char *reread_all, bool known, ChangeFollower *follower)
{
	char	  **snapshots = MemoryContextAllocZero(run->context, Max(list_length(sources), 1) * sizeof(char *));
	ListCell   *cell;

	if (reread_all && (parts || sources == NIL))
		DropParts(run, sources, parts);
	foreach(cell, sources)
	{
		Source	   *source = lfirst(cell);
		ProfileTarget target;

		TargetOrders(&target, parts ? source->source_id : 0);
		target.people = source->kind == SOURCE_PEOPLE;
		CollectOne(run, source, &target, follower, reread_all, known, &snapshots[foreach_current_index(cell)]);
	}
	if (reread_all && !parts && sources != NIL && run->counts.left == 0)
		DropParts(run, sources, false);
	if (parts && reread_all)
		MergeAll(run, follower);
	if (parts)
		while (MergePending(run, follower))
			RunCommit(run);

	if (run->asked.rebuild)
		RestoreKeys(run);

	/* Only now is everything in the profiles, and claim() need not hold anybody back any more. */
	foreach(cell, sources)
		if (snapshots[foreach_current_index(cell)] != NULL)
			ChangeLogForget(((Source *) lfirst(cell))->source_id, ((Source *) lfirst(cell))->changes_until ?
							((Source *) lfirst(cell))->changes_until : snapshots[foreach_current_index(cell)]);
	if (sources == NIL)
	{
		ProfileTarget profile;
		const SeenIds nobody = {0};

		TargetOrders(&profile, 0);
		RemoveUnseen(run, &profile, &nobody, follower);
	}
}
