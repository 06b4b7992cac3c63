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
 * the source is therefore read whole.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "common/ids.h"
#include "common/settings.h"
#include "refresh/incremental.h"
#include "source/change_log.h"
#include "source/read.h"
#include "source/layout.h"
#include "source/track.h"

#define FEW_CUSTOMERS	10		/* are read one by one however small the shop is */

const char *const reading_names[] = {
	[READ_NOT] = "not",
	[READ_CHANGES] = "changes",
	[READ_WHOLE] = "whole",
};

Reading
HowToRead(Run *run, Source *source, const char **why)
{
	ChangeSummary summary;
	DayLimits	limits;
	int64		most = Max(custseg_rescan_share * source->customers, FEW_CUSTOMERS);

	*why = NULL;
	if (run->only_source != 0 && run->only_source != source->source_id)
	{
		*why = "another source was asked for";
		return READ_NOT;
	}
	if (source->last_read == DT_NOBEGIN)
	{
		*why = "it was not read before";
		return READ_WHOLE;
	}
	if (!source->tracked)
	{
		char		kind = get_rel_relkind(source->relation);

		if (source->resting && run->only_source == 0)
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
	if (ReadDayLimits(source->source_id, run->day, &limits))
	{
		*why = "orders in it lay too far ahead, and do not any more";
		return READ_WHOLE;
	}
	ChangeLogSummary(source, &summary);
	if (summary.missed)
		*why = "a transaction could not note what it changed";
	else if (summary.everything)
		*why = "everything in it changed";
	else if (source->layout != NULL && strcmp(source->layout, MIXED_LAYOUT) == 0)
		*why = "reading it whole was interrupted";
	else if (source->layout == NULL || strcmp(source->layout, TableLayout(source)) != 0)
		*why = "it was rewritten, or its columns, partitions or our triggers changed";
	else if (!source->read_here)
		*why = "it came with a copy or a dump, and was not read here yet";
	if (*why)
		return READ_WHOLE;

	if (summary.customers == 0)
	{
		*why = "nothing in it changed";
		return READ_NOT;
	}
	if (!HasCustomerIndex(source))
	{
		*why = psprintf("it has no index on its customer column: %s", CustomerIndexStatement(source));
		return READ_WHOLE;
	}
	if (summary.customers > most)
		summary.customers = ChangeLogCustomers(source);
	if (summary.customers > most)
	{
		*why = psprintf("of its " INT64_FORMAT " customers " INT64_FORMAT " may have changed, over custseg.rescan_share",
						source->customers, summary.customers);
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
	Collected  *all = palloc(Max(most, 1) * sizeof(Collected));
	Collected  *portion;
	int			n_portion;
	int			at;

	*n = 0;
	while (CollectorNext(collector, most, &portion, &n_portion))
		for (int i = 0; i < n_portion; i++)
		{
			Collected  *row = &all[*n];
			Size		size = VARSIZE_ANY(portion[i].timeline);
			const char *key = portion[i].key ? portion[i].key : psprintf(INT64_FORMAT, portion[i].customer_id);

			if (*n == most || KeyIndexFirst(asked, key, &at) < 0)
				ereport(ERROR,
						(errcode(ERRCODE_DATA_EXCEPTION),
						 errmsg("%s shows customers that were not asked for", SourceRelation(source)),
						 errdetail("Customer %s is one of them.", quote_literal_cstr(key)),
						 errhint("A function it calls says that it is IMMUTABLE or STABLE and is not; mark it VOLATILE.")));
			(*n)++;
			row->customer_id = portion[i].customer_id;
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
	Datum		array = IdentityKeyArray(source, n, keys, &type);

	SourceReadCustomers(source, type, array, CollectorReceiver(collector));
	if (source->key_kind != KEY_NATIVE)
		for (int i = 0; i < n; i++)
			if (keys[i] != NULL && ids[i] != 0)
				CollectorKnowKey(collector, keys[i], strlen(keys[i]), ids[i]);
	return GatherCollected(source, collector, keys, n, n_rows);
}

/* Read and write some customers, by number or by key. */
static void
ReadCustomers(Run *run, Source *source, const ProfileTarget *target, const ChangeFollower *follower,
			  ChangedCustomers *changed)
{
	bool		native = source->key_kind == KEY_NATIVE;
	char	  **keys = native ? IdentityKeys(source, changed->n, changed->ids) : changed->keys;
	int64	   *ids = native ? changed->ids : IdentityNumbers(source->namespace, changed->n, changed->keys);
	int			n_ids = changed->n;
	IdentityWriter *identities = NULL;
	Collected  *rows;
	ProfileChanges changes;
	DayLimits	limits;
	int			n;

	(void) ReadDayLimits(source->source_id, run->day, &limits);
	run->collector = CollectorCreate(run->context, source, run->settings->time_zone, &limits, SMALL_COLLECTION);
	run->reading = SourceShown(source);
	rows = ReadSomeCustomers(source, run->collector, keys, ids, changed->n, &n);
	run->reading = NULL;

	RunStage(run, STAGE_WRITE);
	if (!native)
	{
		/* All the customers there are or were: those with a number, and those who get one now. */
		int64	   *known = palloc((changed->n + n) * sizeof(int64));

		n_ids = 0;
		for (int i = 0; i < changed->n; i++)
			if (ids[i] != 0)
				known[n_ids++] = ids[i];
		for (int i = 0; i < n; i++)
			if (rows[i].customer_id == 0)
			{
				NumberCustomers(&identities, source, &rows[i], 1);
				known[n_ids++] = rows[i].customer_id;
			}
		if (identities)
			IdentityClose(identities);
		n_ids = SortIds(known, n_ids);
		qsort(rows, n, sizeof(Collected), CompareCollected);
		ids = known;
	}
	ProfileWriteIds(target, ids, n_ids, rows, n, &changes);
	AfterChanges(run, target, follower, &changes);
	if (target->source_id)
		while (MergePending(run, follower))
			;
	CountRows(run, source, CollectorCounts(run->collector));
	NoteDayLimits(source->source_id, &limits, CollectorCounts(run->collector)->ahead, false);
	CollectorClose(run->collector);
	run->collector = NULL;
}

void
CollectChanges(Run *run, Source *source, const ProfileTarget *target, const ChangeFollower *follower)
{
	bool		more = true;

	while (more)
	{
		ChangedCustomers changed;

		RunStage(run, STAGE_COLLECT);
		SourceOpen(source);
		more = ChangeLogTake(source, custseg_batch_size, &changed);
		if (changed.n == 0)
			break;
		run->customers += changed.n;
		run->changed += changed.n;
		RunActivity(run, "reading changed customers of %s, " INT64_FORMAT " customers",
					SourceRelation(source), run->changed);
		ReadCustomers(run, source, target, follower, &changed);
		RunCommit(run);
	}
}
