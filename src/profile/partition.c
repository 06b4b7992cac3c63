/*
 * partition.c
 *		Rows scattered over many partitions, in bounded memory.
 *
 * Each partition is a list of chunks. While memory lasts, a full chunk stays
 * where it is; after that a full chunk is written to a temporary file and its
 * memory is used for the next. So what spills is only what is over, and no
 * chunk is ever written twice.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "pgstat.h"
#include "utils/memutils.h"

#include "profile/partition.h"

#define SLAB_CHUNKS		64

ChunkStore *
ChunkStoreCreate(MemoryContext context, Size memory_limit)
{
	ChunkStore *store = MemoryContextAllocZero(context, sizeof(ChunkStore));

	store->context = context;
	store->memory_limit = memory_limit;
	store->free_chunk = NO_CHUNK;
	store->file = -1;
	return store;
}

/*
 * Must run even after an error, since the file outlives the transaction. That
 * is why it is no BufFile: closing one flushes its buffer, which fails again
 * when what failed was to write.
 */
void
ChunkStoreClose(ChunkStore *store)
{
	if (store->file >= 0)
		FileClose(store->file);
	store->file = -1;
}

static void
FreeData(ChunkStore *store, char *data)
{
	if (store->n_free_data == store->max_free_data)
	{
		store->max_free_data = Max(1024, store->max_free_data * 2);
		store->free_data = store->free_data ?
			repalloc_huge(store->free_data, store->max_free_data * sizeof(char *)) :
			MemoryContextAllocHuge(store->context, store->max_free_data * sizeof(char *));
	}
	store->free_data[store->n_free_data++] = data;
}

static char *
NewData(ChunkStore *store)
{
	if (store->n_free_data == 0)
	{
		char	   *slab = MemoryContextAlloc(store->context, SLAB_CHUNKS * CHUNK_SIZE);

		for (int i = SLAB_CHUNKS - 1; i >= 0; i--)
			FreeData(store, slab + i * CHUNK_SIZE);
		store->memory_used += SLAB_CHUNKS * CHUNK_SIZE;
	}
	return store->free_data[--store->n_free_data];
}

static int32
NewChunk(ChunkStore *store)
{
	int32		c = store->free_chunk;

	if (c != NO_CHUNK)
		store->free_chunk = store->chunks[c].next;
	else
	{
		if (store->n_chunks == store->max_chunks)
		{
			if (store->max_chunks > PG_INT32_MAX / 2)
				ereport(ERROR,
						(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						 errmsg("too many rows to collect in one refresh"),
						 errhint("Split the source into several.")));
			store->max_chunks = Max(1024, store->max_chunks * 2);
			store->chunks = store->chunks ?
				repalloc_huge(store->chunks, store->max_chunks * sizeof(Chunk)) :
				MemoryContextAllocHuge(store->context, store->max_chunks * sizeof(Chunk));
		}
		c = store->n_chunks++;
	}
	store->chunks[c].data = NULL;
	store->chunks[c].next = NO_CHUNK;
	store->chunks[c].used = 0;
	return c;
}

static void
FreeChunk(ChunkStore *store, int32 c)
{
	if (store->chunks[c].data)
		FreeData(store, store->chunks[c].data);
	store->chunks[c].data = NULL;
	store->chunks[c].next = store->free_chunk;
	store->free_chunk = c;
}

/* Move a full chunk to the file; its memory is free. */
static void
Spill(ChunkStore *store, Chunk *chunk)
{
	int			written;

	if (store->file < 0)
		store->file = OpenTemporaryFile(true);
	CHECK_FOR_INTERRUPTS();
	errno = 0;
	written = FileWrite(store->file, chunk->data, CHUNK_SIZE, (off_t) store->n_blocks * CHUNK_SIZE,
						WAIT_EVENT_BUFFILE_WRITE);
	if (written != CHUNK_SIZE)
	{
		if (errno == 0)
			errno = ENOSPC;
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not write collected rows to a temporary file: %m"),
				 errhint("Make room in the temporary tablespace, or raise custseg.work_mem so that less is written.")));
	}
	chunk->block = store->n_blocks++;
	FreeData(store, chunk->data);
	chunk->data = NULL;
}

PartitionSet *
PartitionSetCreate(ChunkStore *store, int n)
{
	PartitionSet *set = MemoryContextAlloc(store->context, sizeof(PartitionSet));

	set->store = store;
	set->n = n;
	set->ends = MemoryContextAllocZero(store->context, n * sizeof(PartitionEnd));
	set->lists = MemoryContextAllocZero(store->context, n * sizeof(PartitionList));
	for (int p = 0; p < n; p++)
		set->lists[p].first = set->lists[p].last = NO_CHUNK;
	return set;
}

/* The chunks must have been released by reading them. */
void
PartitionSetDrop(PartitionSet *set)
{
	pfree(set->ends);
	pfree(set->lists);
	pfree(set);
}

/* Write down how much of the current chunk is used. */
static void
NoteUsed(PartitionSet *set, int p)
{
	PartitionList *list = &set->lists[p];

	if (list->last != NO_CHUNK)
		set->store->chunks[list->last].used = CHUNK_SIZE - set->ends[p].left;
}

/* Begin a new chunk at the partition's end. */
void
PartitionGrow(PartitionSet *set, int p)
{
	ChunkStore *store = set->store;
	PartitionList *list = &set->lists[p];
	int32		c = NewChunk(store);

	if (list->last != NO_CHUNK)
	{
		NoteUsed(set, p);
		list->bytes += store->chunks[list->last].used;
		if (store->n_free_data == 0 && store->memory_used >= store->memory_limit)
			Spill(store, &store->chunks[list->last]);
		store->chunks[list->last].next = c;
	}
	else
		list->first = c;
	list->last = c;
	store->chunks[c].data = NewData(store);
	set->ends[p].write = store->chunks[c].data;
	set->ends[p].left = CHUNK_SIZE;
}

int64
PartitionBytes(const PartitionSet *set, int p)
{
	return set->lists[p].bytes + (set->lists[p].last == NO_CHUNK ? 0 : CHUNK_SIZE - set->ends[p].left);
}

/* Unite partitions 2i and 2i + 1 into i; the upper half becomes empty. */
void
PartitionHalve(PartitionSet *set, Size row_size)
{
	ChunkStore *store = set->store;

	for (int i = 0; i < set->n; i++)
	{
		PartitionList *to = &set->lists[i];
		PartitionList odd = {NO_CHUNK, NO_CHUNK, 0};
		PartitionEnd odd_end = {NULL, 0};

		if (i >= set->n / 2)
		{
			to->first = to->last = NO_CHUNK;
			to->bytes = 0;
			memset(&set->ends[i], 0, sizeof(PartitionEnd));
			continue;
		}

		odd = set->lists[2 * i + 1];
		odd_end = set->ends[2 * i + 1];
		*to = set->lists[2 * i];
		set->ends[i] = set->ends[2 * i];
		if (odd.first == NO_CHUNK)
			continue;
		if (to->first == NO_CHUNK)
		{
			*to = odd;
			set->ends[i] = odd_end;
			continue;
		}

		/* Full chunks go in front; the rows of the one being written move. */
		if (odd.first != odd.last)
		{
			int32		c = odd.first;

			while (store->chunks[c].next != odd.last)
				c = store->chunks[c].next;
			store->chunks[c].next = to->first;
			to->first = odd.first;
			to->bytes += odd.bytes;
		}
		for (Size at = 0; at + row_size <= CHUNK_SIZE - odd_end.left; at += row_size)
			memcpy(PartitionReserve(set, i, row_size), store->chunks[odd.last].data + at, row_size);
		FreeChunk(store, odd.last);
	}
}

void
PartitionIterInit(PartitionIter *iter, PartitionSet *set, int p, bool release)
{
	NoteUsed(set, p);
	iter->set = set;
	iter->chunk = set->lists[p].first;
	iter->release = release;
	iter->buffer = NULL;
	iter->p = p;
}

char *
PartitionIterNext(PartitionIter *iter, int *used)
{
	ChunkStore *store = iter->set->store;
	Chunk	   *chunk;
	int32		c = iter->chunk;

	if (iter->buffer)
	{
		FreeData(store, iter->buffer);
		iter->buffer = NULL;
	}
	if (c == NO_CHUNK)
	{
		if (iter->release)
		{
			PartitionList *list = &iter->set->lists[iter->p];

			list->first = list->last = NO_CHUNK;
			list->bytes = 0;
			memset(&iter->set->ends[iter->p], 0, sizeof(PartitionEnd));
		}
		return NULL;
	}

	chunk = &store->chunks[c];
	*used = chunk->used;
	iter->chunk = chunk->next;
	if (chunk->data == NULL)
	{
		CHECK_FOR_INTERRUPTS();
		iter->buffer = NewData(store);
		if (FileRead(store->file, iter->buffer, CHUNK_SIZE, (off_t) chunk->block * CHUNK_SIZE,
					 WAIT_EVENT_BUFFILE_READ) != CHUNK_SIZE)
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not read back collected rows from a temporary file: %m")));
		if (iter->release)
			FreeChunk(store, c);
		return iter->buffer;
	}
	if (iter->release)
	{
		iter->buffer = chunk->data;
		chunk->data = NULL;
		FreeChunk(store, c);
		return iter->buffer;
	}
	return chunk->data;
}
