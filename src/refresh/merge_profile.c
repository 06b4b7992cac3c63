/*
 * merge_profile.c
 *		What sources say, made the profiles' own, and what follows from it.
 *
 * A customer whose profile changed is evaluated, and recall follows, in the
 * transaction that wrote it.
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "common/ids.h"
#include "common/settings.h"
#include "common/spi.h"
#include "common/stream.h"
#include "person/person.h"
#include "queue/queue.h"
#include "refresh/merge_profile.h"
#include "source/read.h"

#define TOUCH_MOST		20000	/* customers remembered for recall */

int
CompareCollected(const void *a, const void *b)
{
	const Collected *x = a;
	const Collected *y = b;

	if (x->customer_id != y->customer_id)
		return x->customer_id < y->customer_id ? -1 : 1;

	/* Who has no number yet is known by a key. */
	if (x->customer_id == 0 && strcmp(x->key, y->key) != 0)
		return strcmp(x->key, y->key);
	return x->event_id - y->event_id;
}

void
NumberCustomers(IdentityWriter **identities, const Source *source, Collected *rows, int n)
{
	const Collected *last = NULL;	/* who got a number */

	for (int i = 0; i < n; i++)
	{
		if (rows[i].customer_id != 0)
			continue;
		if (*identities == NULL)
			*identities = IdentityOpen(source->namespace);

		/* Several events of a customer come one after the other. */
		if (last == NULL || source->events == NULL || strcmp(last->key, rows[i].key) != 0)
			rows[i].customer_id = IdentityAdd(*identities, rows[i].key);
		else
			rows[i].customer_id = last->customer_id;
		last = &rows[i];
	}
}

/* Remember whom recall has to look at, unless they are so many that it may as well look at all. */
static void
TouchCustomers(Run *run, const int64 *ids, int n)
{
	if (run->touched.n + n > TOUCH_MOST)
		run->touched.all = true;
	if (run->touched.all)
		return;
	if (run->touched.ids == NULL)
		run->touched.ids = MemoryContextAlloc(run->context, TOUCH_MOST * sizeof(int64));
	memcpy(run->touched.ids + run->touched.n, ids, n * sizeof(int64));
	run->touched.n += n;
}

/* Customers who would have an episode now, had they not come, or lost orders, together with so many. */
static void
CountSudden(Run *run, int64 after_transition)
{
	Oid			types[1] = {INT8OID};
	Datum		values[1] = {Int64GetDatum(after_transition)};

	SpiRun("SELECT count(*) FROM custseg.transition WHERE transition_id > $1 AND label = 'lifecycle'"
		   " AND to_value = 'silent' AND cause = 'setting'"
		   " AND EXISTS (SELECT FROM custseg.playbook_choice WHERE enabled)", 1, types, values, NULL);
	run->counts.left_out_sudden += SpiInt64(0, 1, 0);
}

/* Evaluate them, if by their timelines alone, and let recall follow the transitions, in one batch. */
static void
Follow(Run *run, const ChangeFollower *follower, const int64 *ids, struct varlena *const *timelines, int n)
{
	StandingRun *standing = follower->standing;
	int64		last_transition;

	TouchCustomers(run, ids, n);
	if (standing == NULL)
		return;
	RunStage(run, STAGE_EVALUATE);
	SpiRun("SELECT coalesce(max(transition_id), 0) FROM custseg.transition", 0, NULL, NULL, NULL);
	last_transition = SpiInt64(0, 1, 0);
	if (timelines)
		StandingEvaluateChanged(standing, ids, timelines, n, follower->cause);
	else
		StandingEvaluateCustomers(standing, ids, n, follower->cause);
	RunStage(run, STAGE_RECALL);
	if (follower->sudden)
		CountSudden(run, last_transition);
	run->counts.left_out += QueueFollow(&run->now, last_transition);
}

static void
FollowChanges(Run *run, const ChangeFollower *follower, const ProfileChanges *changes)
{
	Follow(run, follower, changes->ids, changes->timelines, changes->n);
}

void
FollowEvents(Run *run, const ChangeFollower *follower, int64 *ids, int n)
{
	n = SortIds(ids, n);
	if (n == 0)
		return;
	/* What happened to an account is the person's. */
	if (PersonsLinked())
		ids = WithMembers(ids, n, &n);
	Follow(run, follower, ids, NULL, n);
}

void
NotePending(const int64 *ids, int n, bool evaluate)
{
	Oid			types[2] = {INT8ARRAYOID, BOOLOID};
	Datum		values[2] = {IdArray(ids, n), BoolGetDatum(evaluate)};

	SpiRun("INSERT INTO custseg.profile_pending AS p SELECT unnest($1), $2"
		   " ON CONFLICT (customer_id) DO UPDATE SET evaluate = true WHERE EXCLUDED.evaluate AND NOT p.evaluate",
		   2, types, values, NULL);
}

void
AfterChanges(Run *run, const ProfileTarget *target, const ChangeFollower *follower, const ProfileChanges *changes)
{
	if (changes->n == 0)
		return;
	if (target->events)
	{
		if (target->moves_labels)
			FollowEvents(run, follower, changes->ids, changes->n);
	}
	else if (target->source_id)
		NotePending(changes->ids, changes->n, false);
	else
	{
		if (changes->written + changes->removed > 0 && run->counts.profiles_written + run->counts.profiles_removed == 0)
			SpiRun("UPDATE custseg.refresh_state SET cut_day = NULL WHERE cut_day IS NOT NULL", 0, NULL, NULL, NULL);
		run->counts.profiles_written += changes->written;
		run->counts.profiles_removed += changes->removed;
		FollowChanges(run, follower, changes);
	}
}

static int
CompareWithId(const void *id, const void *row)
{
	int64		sought = *(const int64 *) id;
	int64		found = ((const Collected *) row)->customer_id;

	return (sought > found) - (sought < found);
}

/*
 * These are not pending any more. Who is to be evaluated in any case is added to
 * the changes as the profile is, which was not written if it is what it was.
 */
static void
TakePending(const int64 *ids, int n, const Collected *rows, int n_rows, ProfileChanges *changes)
{
	Oid			types[1] = {INT8ARRAYOID};
	Datum		values[1] = {IdArray(ids, n)};
	int			wanted = SpiRun("WITH taken AS (DELETE FROM custseg.profile_pending WHERE customer_id = ANY ($1)"
								"  RETURNING customer_id, evaluate)"
								" SELECT DISTINCT coalesce(g.person_id, t.customer_id) FROM taken t"
								" LEFT JOIN custseg.person g USING (customer_id) WHERE t.evaluate", 1, types, values, NULL);
	int			n_written = changes->n;
	int64	   *written;

	if (wanted == 0)
		return;
	written = palloc_extended(Max(n_written, 1) * sizeof(int64), MCXT_ALLOC_HUGE);
	memcpy(written, changes->ids, n_written * sizeof(int64));
	qsort(written, n_written, sizeof(int64), CompareIds);
	changes->ids = repalloc_huge(changes->ids, (changes->n + wanted) * sizeof(int64));
	changes->timelines = repalloc_huge(changes->timelines, (changes->n + wanted) * sizeof(struct varlena *));
	for (int i = 0; i < wanted; i++)
	{
		int64		id = SpiInt64(i, 1, 0);
		const Collected *row = bsearch(&id, rows, n_rows, sizeof(Collected), CompareWithId);

		if (row == NULL || bsearch(&id, written, n_written, sizeof(int64), CompareIds) != NULL)
			continue;
		changes->ids[changes->n] = id;
		changes->timelines[changes->n++] = row->timeline;
	}
}

void
MergeCustomers(Run *run, const ChangeFollower *follower, const int64 *ids, int n)
{
	ProfileTarget profile;
	Oid			types[1] = {INT8ARRAYOID};
	Datum		values[1];
	Collected  *rows;
	ProfileChanges changes;
	int			merged;
	int			level;

	TargetOrders(&profile, 0);
	/* An account that is one person with others has no profile of its own. */
	if (PersonsLinked())
		ids = WithMembers(ids, n, &n);
	values[0] = IdArray(ids, n);
	level = PlanByIndexBegin();
	SpiRun("SELECT m.id, coalesce(m.timeline, '{}'), " CUSTOMER_KEY("m.id") " FROM ("
		   "  SELECT coalesce(g.person_id, p.customer_id) AS id, custseg.merge(p.timeline) AS timeline"
		   "  FROM (SELECT customer_id, timeline FROM custseg.profile_part WHERE customer_id = ANY ($1)"
		   "   UNION ALL SELECT customer_id, NULL FROM custseg.profile_attribute WHERE customer_id = ANY ($1)) p"
		   "  LEFT JOIN custseg.person g USING (customer_id) GROUP BY 1) m ORDER BY m.id",
		   1, types, values, NULL);
	PlanByIndexEnd(level);
	merged = SPI_processed;
	rows = palloc0(Max(merged, 1) * sizeof(Collected));
	for (int i = 0; i < merged; i++)
	{
		bool		isnull;

		rows[i].customer_id = SpiInt64(i, 1, 0);
		rows[i].timeline = PG_DETOAST_DATUM(SpiField(i, 2, &isnull));
		rows[i].key = SpiText(i, 3);
	}
	ProfileWriteIds(&profile, ids, n, rows, merged, &changes);
	TakePending(ids, n, rows, merged, &changes);
	AfterChanges(run, &profile, follower, &changes);
}

/* Merge the parts of the customers just found; the last of them, if there are any. */
static bool
MergeFound(Run *run, const ChangeFollower *follower, int64 *last)
{
	int			n = SPI_processed;
	int64	   *ids = palloc(Max(n, 1) * sizeof(int64));

	if (n == 0)
		return false;
	for (int i = 0; i < n; i++)
		ids[i] = SpiInt64(i, 1, 0);
	*last = ids[n - 1];
	MergeCustomers(run, follower, ids, n);
	return true;
}

bool
MergePending(Run *run, const ChangeFollower *follower)
{
	int64		last;

	RunStage(run, STAGE_WRITE);
	SpiRun(psprintf("SELECT customer_id FROM custseg.profile_pending ORDER BY customer_id LIMIT %d",
					custseg_batch_size), 0, NULL, NULL, NULL);
	return MergeFound(run, follower, &last);
}

bool
MergeRange(Run *run, const ChangeFollower *follower, int64 *last)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[2] = {INT8OID, INT4OID};
	Datum		values[2] = {Int64GetDatum(*last), Int32GetDatum(custseg_batch_size)};
	int			level = PlanInOrderBegin();

	RunStage(run, STAGE_WRITE);
	SpiRunPlan(SpiKeep(&plan,
					   "(SELECT DISTINCT customer_id FROM custseg.profile_part WHERE customer_id > $1"
					   " ORDER BY customer_id LIMIT $2)"
					   " UNION (SELECT DISTINCT customer_id FROM custseg.profile_attribute WHERE customer_id > $1"
					   " ORDER BY customer_id LIMIT $2)"
					   " UNION (SELECT customer_id FROM custseg.profile WHERE customer_id > $1"
					   " ORDER BY customer_id LIMIT $2)"
					   " ORDER BY customer_id LIMIT $2",
					   2, types), values, NULL);
	PlanByIndexEnd(level);
	return MergeFound(run, follower, last);
}

void
CountRows(Run *run, const Source *source, const CollectCounts *counts)
{
	int64		rejected = RejectedRows(counts);

	run->counts.rows_read += counts->rows;
	run->counts.rows_rejected += rejected;
	RunTell(run, "read %s: " INT64_FORMAT " rows, " INT64_FORMAT " of them rejected%s",
			SourceRelation(source), counts->rows, rejected,
			counts->processes > 1 ? psprintf(", by %d processes", counts->processes) : "");
}
