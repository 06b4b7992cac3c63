/*
 * incremental.c
 *		Reading only the customers whose orders changed.
 *
 * A batch is one transaction: it takes changed customers off the log, reads
 * all their orders anew (a change is never added to what was there, so that
 * nothing can drift), brings their profiles, standings and recall up to it,
 * and commits. If it dies, the log still has them.
 *
 * Reading customer by customer goes through an index and back and forth in
 * the table. A row costs three to six times as much as in a scan where the table
 * is in memory, and far more where it is not. From a share of the customers on
 * the source is therefore read whole. So it is where so many changed that it
 * may have shrunk: only a read of all of it can tell (trust.c).
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "common/attempt.h"
#include "common/ids.h"
#include "common/settings.h"
#include "common/spi.h"
#include "facts/product.h"
#include "refresh/incremental.h"
#include "refresh/trust.h"
#include "source/follow.h"
#include "source/keys.h"
#include "source/read.h"
#include "track/change_log.h"
#include "track/line_changes.h"
#include "track/track.h"
#include "track/trigger_digest.h"

#define FEW_CUSTOMERS	10		/* are read one by one however small the shop is */

const char *const reading_names[] = {
	[READ_NOT] = "not",
	[READ_CHANGES] = "changes",
	[READ_WHOLE] = "whole",
};

Reading
HowToRead(Run *run, Source *source, const ProfileTarget *target, const char **why)
{
	ChangeSummary summary;
	DayLimits	limits;
	int64		most = Max(custseg_rescan_share * source->customers, FEW_CUSTOMERS);

	if (*why == NULL && run->asked.only_source != 0 && run->asked.only_source != source->source_id)
	{
		*why = "another source was asked for";
		return READ_NOT;
	}
	if (SourceAdopt(source))
		TellAdopted(run, source);
	if (*why)
		return READ_WHOLE;
	if (run->asked.only_source != 0 && run->asked.rebuild)
	{
		*why = "a rebuild of it was asked for";
		return READ_WHOLE;
	}
	if (source->last_read == DT_NOBEGIN)
	{
		*why = "it was not read before";
		return READ_WHOLE;
	}
	if (!source->tracked)
	{
		char		kind = get_rel_relkind(source->relation);

		if (source->resting && run->asked.only_source == 0)
		{
			*why = "it is not tracked, and its rescan_every is not over";
			return READ_NOT;
		}
		*why = kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE ?
			"it is not tracked" : "it is not a table, and cannot be tracked";
		return READ_WHOLE;
	}

	SourceOpen(source);
	*why = TrackingFault(source);
	if (*why)
		return READ_WHOLE;
	if (ReadDayLimits(source->source_id, run->now.day, &limits))
	{
		*why = psprintf("%s in it lay too far ahead, and do not any more", SourceKindName(source->kind));
		return READ_WHOLE;
	}
	ChangeLogSummary(source, &summary);
	if (source->orders)
	{
		ChangeSummary of_orders;

		ChangeLogSummary(source->orders, &of_orders);
		summary.missed |= of_orders.missed;
		summary.everything |= of_orders.everything;
		summary.customers += of_orders.customers;
	}
	if (summary.missed)
		*why = "a transaction could not note what it changed";
	else if (summary.everything)
		*why = "everything in it changed";
	else if (source->layout != NULL && strcmp(source->layout, MIXED_LAYOUT) == 0)
		*why = source->troubled ? "it was left as it was when it was to be read whole" : "reading it whole was interrupted";
	else if (source->layout == NULL || strcmp(source->layout, TableLayout(source)) != 0)
		*why = "it was rewritten, or its columns, partitions or our triggers changed";
	else if (!source->read_here)
		*why = "it came with a copy or a dump, and was not read here yet";
	if (*why)
		return READ_WHOLE;

	if (summary.customers == 0)
	{
		*why = "nothing in it changed";
		ForgetProblem(source);
		return READ_NOT;
	}
	if (source->customers == 0)
	{
		*why = "it was empty";
		return READ_WHOLE;
	}
	*why = IndexFault(source);
	if (*why)
		return READ_WHOLE;
	if (summary.customers > most)
		summary.customers = ChangeLogCustomers(source) + (source->orders ? ChangeLogCustomers(source->orders) : 0);
	if (summary.customers > most)
	{
		*why = psprintf("of its " INT64_FORMAT " customers " INT64_FORMAT " may have changed, over custseg.rescan_share",
						source->customers, summary.customers);
		return READ_WHOLE;
	}
	if (MayShrink(target, summary.customers))
	{
		*why = psprintf("so many of its customers, " INT64_FORMAT ", may have changed", summary.customers);
		return READ_WHOLE;
	}
	return READ_CHANGES;
}

/*
 * All that was collected of the customers with these keys, sorted; it comes in
 * portions that are gone with the next. A function that lies about what it
 * depends on may have shown us others than we asked for.
 */
static Collected *
GatherCollected(const Source *source, Collector *collector, char **keys, int most, int *n)
{
	KeyIndex   *asked = KeyIndexCreate(most, keys);
	int			each = Max(source->n_events, 1);
	int			room = Max(most, 1);
	Collected  *all = palloc_extended(room * sizeof(Collected), MCXT_ALLOC_HUGE);
	Collected  *portion;
	int			n_portion;
	int			at;

	*n = 0;
	while (CollectorNext(collector, most, &portion, &n_portion))
		for (int i = 0; i < n_portion; i++)
		{
			Collected  *row;
			Size		size = VARSIZE_ANY(portion[i].timeline);
			const char *key = portion[i].key ? portion[i].key : psprintf(INT64_FORMAT, portion[i].customer_id);

			if (*n == (int64) most * each || KeyIndexFirst(asked, key, &at) < 0)
				ereport(ERROR,
						(errcode(ERRCODE_DATA_EXCEPTION),
						 errmsg("%s shows customers that were not asked for", SourceRelation(source)),
						 errdetail("Customer %s is one of them.", quote_literal_cstr(key)),
						 errhint("A function it calls says that it is IMMUTABLE or STABLE and is not; mark it VOLATILE.")));
			if (*n == room)
			{
				room *= 2;
				all = repalloc_huge(all, room * sizeof(Collected));
			}
			row = &all[(*n)++];
			row->customer_id = portion[i].customer_id;
			row->event_id = portion[i].event_id;
			row->key = portion[i].key ? pstrdup(portion[i].key) : NULL;
			row->timeline = palloc(size);
			memcpy(row->timeline, portion[i].timeline, size);
		}
	qsort(all, *n, sizeof(Collected), CompareCollected);
	return all;
}

Collected *
ReadSomeCustomers(Source *source, Collector *collector, char **keys, const int64 *ids, int n, int *n_rows)
{
	Oid			type;
	Datum		array = KeyArray(source, n, keys, &type);

	SourceReadCustomers(source, type, array, CollectorReceiver(collector));
	if (source->key_kind != KEY_NATIVE)
		for (int i = 0; i < n; i++)
			if (keys[i] != NULL && ids[i] != 0)
				CollectorKnowKey(collector, keys[i], strlen(keys[i]), ids[i]);
	return GatherCollected(source, collector, keys, n, n_rows);
}

/* A batch of customers who changed, and what the source says of them. */
typedef struct ChangeRead
{
	Run		   *run;
	Source	   *source;
	LineChanges *lines;			/* of lines of orders */
	bool		more;			/* there may be others */
	ChangedCustomers changed;
	int64	   *ids;			/* by number, or 0 where a key has none yet */
	Collected  *rows;
	int			n_rows;
	DayLimits	limits;
} ChangeRead;

/* The reading alone: if it fails, the log still has them. */
static void
ReadChanges(void *arg)
{
	ChangeRead *read = arg;
	Run		   *run = read->run;
	Source	   *source = read->source;
	ChangedCustomers *changed = &read->changed;
	char	  **keys = changed->keys;

	SourceOpen(source);
	run->reading = SourceShown(source);
	read->more = read->lines ? LineChangesTake(read->lines, custseg_batch_size, changed) :
		ChangeLogTake(source, custseg_batch_size, changed);
	if (changed->n == 0)
		return;
	RunActivity(run, "reading changed customers of %s, " INT64_FORMAT " customers",
				SourceRelation(source), run->counts.changed + changed->n);
	if (source->key_kind == KEY_NATIVE)
	{
		read->ids = changed->ids;
		keys = IdentityKeys(source, changed->n, changed->ids);
	}
	else
		read->ids = IdentityNumbers(source->namespace, changed->n, keys = changed->keys);
	(void) ReadDayLimits(source->source_id, run->now.day, &read->limits);
	ProductsLoad(run->context, source);
	run->collector = CollectorCreate(run->context, source, run->settings->time_zone, &read->limits, SMALL_COLLECTION);
	read->rows = ReadSomeCustomers(source, run->collector, keys, read->ids, changed->n, &read->n_rows);
}

/* Write what was read of them; how many of them are gone. */
static int
WriteChangedCustomers(Run *run, const ProfileTarget *target, const ChangeFollower *follower, ChangeRead *read)
{
	Source	   *source = read->source;
	int			n = read->n_rows;
	Collected  *rows = read->rows;
	int64	   *ids = read->ids;
	int			n_ids = read->changed.n;
	IdentityWriter *identities = NULL;
	ProfileChanges changes;

	RunStage(run, STAGE_WRITE);
	if (source->key_kind != KEY_NATIVE)
	{
		/* All the customers there are or were: those with a number, and those who get one now. */
		int64	   *known = palloc((n_ids + n) * sizeof(int64));

		n_ids = 0;
		for (int i = 0; i < read->changed.n; i++)
			if (ids[i] != 0)
				known[n_ids++] = ids[i];
		NumberCustomers(&identities, source, rows, n);
		for (int i = 0; i < n; i++)
			known[n_ids++] = rows[i].customer_id;
		if (identities)
			IdentityClose(identities);
		n_ids = SortIds(known, n_ids);
		qsort(rows, n, sizeof(Collected), CompareCollected);
		ids = known;
	}
	ProfileWriteIds(target, ids, n_ids, rows, n, &changes);
	AfterChanges(run, target, follower, &changes);
	if (target->source_id && target->events == NULL)
		while (MergePending(run, follower))
			;
	CountRows(run, source, CollectorCounts(run->collector));
	NoteDayLimits(source->source_id, &read->limits, CollectorCounts(run->collector)->ahead, false);
	CollectorClose(run->collector);
	run->collector = NULL;
	return changes.removed;
}

/* Reading changes does not count the customers, but where none is left that is noted. */
static void
NoteIfEmpty(const Source *source, const ProfileTarget *target)
{
	if (ProfileTargetIsEmpty(target))
		SpiRun(psprintf("UPDATE custseg.source_mapping SET customers = 0, rows_accepted = 0 WHERE source_id = %d",
						source->source_id), 0, NULL, NULL, NULL);
}

bool
CollectChanges(Run *run, Source *source, const ProfileTarget *target, const ChangeFollower *follower)
{
	LineChanges *lines = source->orders ? LineChangesBegin(run->context, source) : NULL;
	int64		taken = 0;
	bool		more = true;

	while (more)
	{
		ChangeRead	read = {run, source, lines};
		ErrorData  *error;

		RunStage(run, STAGE_COLLECT);
		error = Attempt(ReadChanges, &read);
		if (error != NULL)
		{
			TellFailure(run, source, error);
			if (run->collector)
				CollectorClose(run->collector);
			run->collector = NULL;
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
		if (WriteChangedCustomers(run, target, follower, &read) > 0)
			NoteIfEmpty(source, target);
		RunCommit(run);
		if (more && MayShrink(target, taken))
			return false;
	}
	ForgetProblem(source);
	return true;
}
