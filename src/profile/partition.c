/*
 * partition.c
 *		Rows scattered over many partitions, in bounded memory.
 *
 * Each partition is a list of chunks. While memory lasts, a full chunk stays
 * where it is; after that a full chunk is written to a temporary file and its
 * memory is used for the next. So what spills is only what is over, and no
 * chunk is ever written twice.
 *
 * The file only grows, and is written some chunks at a time. It is also how
 * processes that collect together (parallel.c) exchange partitions: each keeps
 * those that it owns, and publishes its part of the others, which writes what
 * was still in memory and where all of it is. The owner adopts these chunks as
 * if it had spilled them itself.
 */
#include "postgres.h"

#include <fcntl.h>
#ifndef WIN32
#include <sys/mman.h>
#endif

#include "miscadmin.h"
#include "pgstat.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"

#include "profile/partition.h"

#define SLAB_CHUNKS		64		/* the first slab of memory; later ones are larger, up to ... */
#define MOST_SLAB_CHUNKS 2048
#define HUGE_PAGE		(2 * 1024 * 1024)
#define TAIL_SIZE		(16 * CHUNK_SIZE)

typedef struct ChunkPlace
{
	int64		at;
	int32		used;
} ChunkPlace;

ChunkStore *
ChunkStoreCreate(MemoryContext context, Size memory_limit)
{
	ChunkStore *store = MemoryContextAllocZero(context, sizeof(ChunkStore));

	store->context = context;
	store->data_context = AllocSetContextCreate(context, "custseg chunks", ALLOCSET_DEFAULT_SIZES);
	store->memory_limit = memory_limit;
	store->free_chunk = NO_CHUNK;
	return store;
}

void
ChunkStoreCreateFiles(ChunkStore *store, int n)
{
	store->files = MemoryContextAlloc(store->context, n * sizeof(File));
	for (store->n_files = 0; store->n_files < n; store->n_files++)
		store->files[store->n_files] = OpenTemporaryFile(true);
}

void
ChunkStoreOpenFiles(ChunkStore *store, int n, const char *paths, int own)
{
	store->files = MemoryContextAlloc(store->context, n * sizeof(File));
	store->own = own;
	for (store->n_files = 0; store->n_files < n; store->n_files++)
	{
		const char *path = paths + store->n_files * MAXPGPATH;
		File		file = PathNameOpenFile(path, O_RDWR | PG_BINARY);

		if (file < 0)
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not open temporary file \"%s\": %m", path)));
		store->files[store->n_files] = file;
	}
}

/*
 * Must run even after an error, since the files outlive the transaction. That
 * is why they are no BufFiles: closing one flushes its buffer, which fails
 * again when what failed was to write.
 */
void
ChunkStoreClose(ChunkStore *store)
{
	while (store->n_files > 0)
		FileClose(store->files[--store->n_files]);
}

void
ChunkStoreFlush(ChunkStore *store)
{
	int			written;

	if (store->tail_used == 0)
		return;
	CHECK_FOR_INTERRUPTS();
	if (store->n_files == 0)
		ChunkStoreCreateFiles(store, 1);

	/* A file that belongs to another process is not counted where ours are. */
	if (store->own > 0 && temp_file_limit >= 0 &&
		store->written + store->tail_used > (int64) temp_file_limit * 1024)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("temporary file size exceeds temp_file_limit (%dkB)", temp_file_limit)));
	errno = 0;
	written = FileWrite(store->files[store->own], store->tail, store->tail_used, (off_t) store->written,
						WAIT_EVENT_BUFFILE_WRITE);
	if (written != store->tail_used)
	{
		if (errno == 0)
			errno = ENOSPC;
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not write collected rows to a temporary file: %m"),
				 errhint("Make room in the temporary tablespace, or raise custseg.work_mem so that less is written.")));
	}
	store->written += written;
	store->tail_used = 0;
}

int64
ChunkStoreAppend(ChunkStore *store, const void *data, Size size)
{
	int64		at = store->written + store->tail_used;

	if (store->tail == NULL)
		store->tail = MemoryContextAlloc(store->context, TAIL_SIZE);
	while (size > 0)
	{
		Size		part = Min(size, TAIL_SIZE - store->tail_used);

		memcpy(store->tail + store->tail_used, data, part);
		store->tail_used += part;
		data = (const char *) data + part;
		size -= part;
		if (store->tail_used == TAIL_SIZE)
			ChunkStoreFlush(store);
	}
	return at;
}

void
ChunkStoreRead(ChunkStore *store, int file, int64 at, void *data, Size size)
{
	if (file == store->own && at + size > store->written)
		ChunkStoreFlush(store);
	while (size > 0)
	{
		int			part = Min(size, 1024 * 1024 * 1024);
		int			got;

		CHECK_FOR_INTERRUPTS();
		errno = 0;
		got = FileRead(store->files[file], data, part, (off_t) at, WAIT_EVENT_BUFFILE_READ);
		if (got <= 0)
		{
			if (errno == 0)
				errno = EIO;	/* it ends too early */
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not read back collected rows from a temporary file: %m")));
		}
		data = (char *) data + got;
		at += got;
		size -= got;
	}
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

/*
 * Rows go to a thousand places in turn. On pages of the usual size each of them
 * would miss the TLB, so ask for huge ones; where there are none, nothing is lost.
 */
static void
AdviseHugePages(char *slab, Size size)
{
#ifdef MADV_HUGEPAGE
	uintptr_t	from = TYPEALIGN(HUGE_PAGE, (uintptr_t) slab);
	uintptr_t	to = TYPEALIGN_DOWN(HUGE_PAGE, (uintptr_t) slab + size);

	if (from < to)
		(void) madvise((void *) from, to - from, MADV_HUGEPAGE);
#endif
}

static void
AddSlab(ChunkStore *store)
{
	int64		used = store->memory_used / CHUNK_SIZE;
	int64		left = (int64) (store->memory_limit / CHUNK_SIZE) - used;
	int			n = Max(Min(Min(used, left), MOST_SLAB_CHUNKS), SLAB_CHUNKS);
	char	   *slab = MemoryContextAlloc(store->data_context, n * CHUNK_SIZE);

	AdviseHugePages(slab, n * CHUNK_SIZE);
	for (int i = n - 1; i >= 0; i--)
		FreeData(store, slab + i * CHUNK_SIZE);
	store->memory_used += n * CHUNK_SIZE;
}

static char *
NewData(ChunkStore *store)
{
	if (store->n_free_data == 0)
		AddSlab(store);
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
	store->chunks[c].file = 0;
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

/* Move a chunk to the file; its memory is free. */
static void
SpillChunk(ChunkStore *store, Chunk *chunk)
{
	chunk->at = ChunkStoreAppend(store, chunk->data, chunk->used);
	chunk->file = store->own;
	FreeData(store, chunk->data);
	chunk->data = NULL;
}

PartitionSet *
PartitionSetCreate(ChunkStore *store, int n)
{
	PartitionSet *set = MemoryContextAlloc(store->context, sizeof(PartitionSet));

	set->store = store;
	set->n = n;
	set->owners = NULL;
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

int16 *
PartitionSetDeal(PartitionSet *set)
{
	set->owners = MemoryContextAllocZero(set->store->context, set->n * sizeof(int16));
	return set->owners;
}

static inline bool
IsOurs(const PartitionSet *set, int p)
{
	return set->owners == NULL || set->owners[p] == set->store->own;
}

/* Write down how much of the current chunk is used. */
static void
NoteUsed(PartitionSet *set, int p)
{
	PartitionList *list = &set->lists[p];

	if (list->last != NO_CHUNK)
		set->store->chunks[list->last].used = CHUNK_SIZE - set->ends[p].left;
}

static void
EmptyPartition(PartitionSet *set, int p)
{
	set->lists[p].first = set->lists[p].last = NO_CHUNK;
	set->lists[p].bytes = 0;
	memset(&set->ends[p], 0, sizeof(PartitionEnd));
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
		if ((store->n_free_data == 0 && store->memory_used >= store->memory_limit) || !IsOurs(set, p))
			SpillChunk(store, &store->chunks[list->last]);
		store->chunks[list->last].next = c;
	}
	else
		list->first = c;
	list->last = c;
	store->chunks[c].data = NewData(store);
	set->ends[p].write = store->chunks[c].data;
	set->ends[p].left = CHUNK_SIZE;
}

void
PartitionPut(PartitionSet *set, int p, const void *data, Size size)
{
	while (size > 0)
	{
		uint32		part = Min(size, set->ends[p].left > 0 ? set->ends[p].left : CHUNK_SIZE);

		memcpy(PartitionReserve(set, p, part), data, part);
		data = (const char *) data + part;
		size -= part;
	}
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
			EmptyPartition(set, i);
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
PartitionPublish(PartitionSet *set, int p, PartitionPlace *place)
{
	ChunkStore *store = set->store;
	PartitionList *list = &set->lists[p];
	ChunkPlace *places;
	int32		next;

	NoteUsed(set, p);
	place->chunks = 0;
	for (int32 c = list->first; c != NO_CHUNK; c = store->chunks[c].next)
		place->chunks++;
	if (place->chunks == 0)
		return;

	places = MemoryContextAllocExtended(CurrentMemoryContext, place->chunks * sizeof(ChunkPlace),
										MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	place->chunks = 0;
	for (int32 c = list->first; c != NO_CHUNK; c = next)
	{
		next = store->chunks[c].next;
		if (store->chunks[c].data)
			SpillChunk(store, &store->chunks[c]);
		places[place->chunks].at = store->chunks[c].at;
		places[place->chunks++].used = store->chunks[c].used;
		FreeChunk(store, c);
	}
	place->at = ChunkStoreAppend(store, places, place->chunks * sizeof(ChunkPlace));
	place->file = store->own;
	pfree(places);
	EmptyPartition(set, p);
}

void
PartitionAdopt(PartitionSet *set, int p, const PartitionPlace *place)
{
	ChunkStore *store = set->store;
	PartitionList *list = &set->lists[p];
	ChunkPlace *places;

	if (place->chunks == 0)
		return;
	NoteUsed(set, p);
	places = MemoryContextAllocHuge(CurrentMemoryContext, place->chunks * sizeof(ChunkPlace));
	ChunkStoreRead(store, place->file, place->at, places, place->chunks * sizeof(ChunkPlace));
	for (int i = 0; i < place->chunks; i++)
	{
		int32		c = NewChunk(store);

		store->chunks[c].file = place->file;
		store->chunks[c].at = places[i].at;
		store->chunks[c].used = places[i].used;
		if (list->last != NO_CHUNK)
		{
			list->bytes += store->chunks[list->last].used;
			store->chunks[list->last].next = c;
		}
		else
			list->first = c;
		list->last = c;
		set->ends[p].left = CHUNK_SIZE - places[i].used;
	}
	pfree(places);
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
			EmptyPartition(iter->set, iter->p);
		return NULL;
	}

	chunk = &store->chunks[c];
	*used = chunk->used;
	iter->chunk = chunk->next;
	if (chunk->data == NULL)
	{
		iter->buffer = NewData(store);
		ChunkStoreRead(store, chunk->file, chunk->at, iter->buffer, chunk->used);
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
