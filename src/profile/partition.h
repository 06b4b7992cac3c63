/*
 * partition.h
 *		Rows scattered over many partitions, in bounded memory.
 */
#ifndef CUSTSEG_PARTITION_H
#define CUSTSEG_PARTITION_H

#include "postgres.h"

#include "storage/fd.h"

/* Chunks are blocks of the file, so that any can be fetched by its number. */
#define CHUNK_SIZE		BLCKSZ
#define NO_CHUNK		(-1)

typedef struct Chunk
{
	char	   *data;			/* NULL while it is in the file */
	int64		block;
	int32		next;
	int32		used;			/* bytes */
} Chunk;

/* The memory and the file that the partition sets of one collection share. */
typedef struct ChunkStore
{
	MemoryContext context;
	Chunk	   *chunks;
	int32		n_chunks;
	int32		max_chunks;
	int32		free_chunk;
	char	  **free_data;
	int32		n_free_data;
	int32		max_free_data;
	Size		memory_used;
	Size		memory_limit;
	File		file;			/* -1 until something spills */
	int64		n_blocks;
} ChunkStore;

/* What an append touches, kept small so that all of it stays in cache. */
typedef struct PartitionEnd
{
	char	   *write;
	uint32		left;
} PartitionEnd;

typedef struct PartitionList
{
	int32		first;
	int32		last;			/* the chunk being written, if any */
	int64		bytes;			/* of all chunks but the last */
} PartitionList;

typedef struct PartitionSet
{
	ChunkStore *store;
	int			n;
	PartitionEnd *ends;
	PartitionList *lists;
} PartitionSet;

extern ChunkStore *ChunkStoreCreate(MemoryContext context, Size memory_limit);
extern void ChunkStoreClose(ChunkStore *store);

extern PartitionSet *PartitionSetCreate(ChunkStore *store, int n);
extern void PartitionSetDrop(PartitionSet *set);
extern void PartitionGrow(PartitionSet *set, int p);
extern int64 PartitionBytes(const PartitionSet *set, int p);
extern void PartitionHalve(PartitionSet *set, Size row_size);

/* Space for one row; rows never straddle chunks. */
static inline char *
PartitionReserve(PartitionSet *set, int p, uint32 size)
{
	PartitionEnd *end = &set->ends[p];
	char	   *at;

	if (unlikely(end->left < size))
		PartitionGrow(set, p);
	at = end->write;
	end->write += size;
	end->left -= size;
	return at;
}

/* Reads a partition chunk by chunk, giving its memory back when asked to. */
typedef struct PartitionIter
{
	PartitionSet *set;
	int32		chunk;
	bool		release;
	char	   *buffer;
	int			p;
} PartitionIter;

extern void PartitionIterInit(PartitionIter *iter, PartitionSet *set, int p, bool release);
extern char *PartitionIterNext(PartitionIter *iter, int *used);

#endif							/* CUSTSEG_PARTITION_H */
