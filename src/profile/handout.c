/*
 * handout.c
 *		What was collected, handed out batch by batch.
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "person/forgotten.h"
#include "profile/batch.h"
#include "profile/compare.h"
#include "profile/parallel.h"
#include "profile/split.h"

#define OUT_ENOUGH		(16 * 1024 * 1024)	/* bytes of timelines a batch */

/* The rows of the source that a result was made of: a line is one, and may count for two events. */
static int64
RowsOf(const Collector *c, const Collected *result)
{
	return c->lines && result->event_id != c->source->events[0].event_id ? 0 : result->rows;
}

/*
 * Leave out whoever was forgotten, and count their rows as such. They have no
 * number of ours and are nowhere stored, so others need not be looked up.
 */
static void
LeaveForgotten(Collector *c)
{
	int			n = 0;
	Collected	last = {0};		/* who was left out; a copy, since others take the place */
	bool		any = false;

	for (int i = 0; i < c->n_results; i++)
	{
		const Collected *result = &c->results[i];
		bool		native = c->key_kind == KEY_NATIVE;
		bool		is_last = any && (native ? last.customer_id == result->customer_id : strcmp(last.key, result->key) == 0);

		if (!result->stored && (native || result->customer_id == 0) &&
			(is_last || (native ? IsNumberForgotten(c->forgotten, result->customer_id) :
						 IsForgotten(c->forgotten, c->source->namespace, result->key))))
		{
			c->counts.rows -= RowsOf(c, result);
			c->counts.forgotten += RowsOf(c, result);
			c->counts.customers -= !is_last;
			last = *result;
			any = true;
		}
		else
			c->results[n++] = *result;
	}
	c->n_results = n;
}

bool
CollectorNext(Collector *c, int wanted, Collected **customers, int *n)
{
	MemoryContext old = BeginBatch(c, wanted);
	bool		more = c->next_partition < c->n_partitions;
	int64		before = c->counts.customers;
	bool		compare = c->compare && !c->gathered;
	void		(*add) (Collector *c, int p, LocalKeys *locals) = c->gathered ? GatheredPartition : AssemblePartition;

	wanted = Max(wanted, 1);
	if (compare)
	{
		CompareLock(&c->target);
		PushActiveSnapshot(GetTransactionSnapshot());
	}
	while (c->n_results < wanted && c->counts.customers - before < wanted && c->out_used < OUT_ENOUGH &&
		   c->next_partition < c->n_partitions)
	{
		int			p = c->next_partition++;

		if (c->key_kind == KEY_NATIVE)
			add(c, p, NULL);
		else
		{
			MemoryContext keys = AllocSetContextCreate(c->batch_context, "custseg keys", ALLOCSET_DEFAULT_SIZES);
			int			first_result = c->n_results;
			LocalKeys  *locals;

			MemoryContextSwitchTo(keys);
			locals = LocalKeysCreate();
			add(c, p, locals);
			ResolveKeys(c, p, locals, first_result);
			MemoryContextSwitchTo(c->batch_context);
			MemoryContextDelete(keys);
		}
	}
	if (compare)
		PopActiveSnapshot();
	MemoryContextSwitchTo(old);
	if (!c->knows_forgotten)
		c->forgotten = ForgottenRead(c->context);
	c->knows_forgotten = true;
	if (c->forgotten)
		LeaveForgotten(c);
	*customers = c->results;
	*n = c->n_results;
	return more;
}
