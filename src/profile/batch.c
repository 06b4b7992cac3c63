/*
 * batch.c
 *		A batch of results: the timelines that are handed out together.
 *
 * Timelines of a batch go into blocks that the next batch uses again: memory
 * fresh from the system costs more than to fill it.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "profile/batch.h"

#define OUT_BLOCK		(1024 * 1024)

/* How a result is handed to the leader. */
#define IS_STORED			1
#define HAS_TIMELINE		2
#define HOW_BITS			2

MemoryContext
BeginBatch(Collector *c, int wanted)
{
	MemoryContextReset(c->batch_context);
	c->n_results = 0;
	c->max_results = Max(wanted, 1024);
	c->results = MemoryContextAllocHuge(c->batch_context, c->max_results * sizeof(Collected));
	c->next_out_block = 0;
	c->out_left = 0;
	c->out_used = 0;
	return MemoryContextSwitchTo(c->batch_context);
}

void
MakeRoom(Collector *c, Size size)
{
	if (size <= c->out_left)
		return;
	if (size > OUT_BLOCK)
		c->out = MemoryContextAllocHuge(c->batch_context, size);
	else
	{
		if (c->next_out_block == c->n_out_blocks)
		{
			c->out_blocks = c->out_blocks ?
				repalloc(c->out_blocks, (c->n_out_blocks + 1) * sizeof(char *)) :
				MemoryContextAlloc(c->context, sizeof(char *));
			c->out_blocks[c->n_out_blocks++] = MemoryContextAlloc(c->context, OUT_BLOCK);
		}
		c->out = c->out_blocks[c->next_out_block++];
		size = OUT_BLOCK;
	}
	c->out_left = size;
}

void
AddResult(Collector *c, const Collected *result)
{
	if (c->n_results == c->max_results)
	{
		c->max_results *= 2;
		c->results = repalloc_huge(c->results, c->max_results * sizeof(Collected));
	}
	c->results[c->n_results++] = *result;
}

void
EmitCustomer(Collector *c, int64 id, int event, const TimelineEntry *entries, int n, int64 rows)
{
	int			event_id = c->events ? c->source->events[event].event_id : 0;
	Size		bound = TimelineBound(n);
	Size		size;

	MakeRoom(c, bound);
	size = TimelineEncode(c->out, entries, n);
	if (size == 0)
	{
		c->counts.rejected[REJECT_TOTAL_RANGE] += rows;
		return;
	}

	AddResult(c, &(Collected) {.customer_id = id,.event_id = event_id,.timeline = (struct varlena *) c->out,.rows = rows});
	size = INTALIGN(size);
	c->out += size;
	c->out_left -= size;
	c->out_used += size;
}

void
PackBatch(Collector *c, PartitionSet *set, int p, const LocalKeys *locals)
{
	static const char padding[sizeof(int)] = {0};

	for (int i = 0; i < c->n_results; i++)
	{
		const Collected *result = &c->results[i];
		int64		how = (int64) result->event_id << HOW_BITS | (result->stored ? IS_STORED : 0) | (result->timeline ? HAS_TIMELINE : 0);
		Size		size = result->timeline ? VARSIZE(result->timeline) : 0;

		if (locals)
			PartitionPut(set, p, &locals->keys[result->customer_id], sizeof(WideKey));
		else
			PartitionPut(set, p, &result->customer_id, sizeof(int64));
		PartitionPut(set, p, &how, sizeof(how));
		PartitionPut(set, p, &result->rows, sizeof(result->rows));
		PartitionPut(set, p, result->timeline, size);
		PartitionPut(set, p, padding, INTALIGN(size) - size);
	}
}

void
UnpackBatch(Collector *c, char *at, const char *end, LocalKeys *locals)
{
	while (at < end)
	{
		Collected	result = {0};
		WideKey		key;
		int64		how;

		if (locals)
		{
			memcpy(&key, at, sizeof(key));
			result.customer_id = LocalKey(locals, key, true);
			at += sizeof(key);
		}
		else
		{
			memcpy(&result.customer_id, at, sizeof(int64));
			at += sizeof(int64);
		}
		memcpy(&how, at, sizeof(how));
		at += sizeof(how);
		memcpy(&result.rows, at, sizeof(result.rows));
		at += sizeof(result.rows);
		result.stored = (how & IS_STORED) != 0;
		result.event_id = how >> HOW_BITS;
		if (how & HAS_TIMELINE)
		{
			result.timeline = (struct varlena *) at;
			at += INTALIGN(VARSIZE(at));
		}
		AddResult(c, &result);
	}
}
