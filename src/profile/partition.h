/*
 * partition.h
 *		Rows scattered over many partitions, in bounded memory; see partition.c.
 */
#ifndef CUSTSEG_PARTITION_H
#define CUSTSEG_PARTITION_H

#include "postgres.h"

#include "storage/fd.h"

#define CHUNK_SIZE		BLCKSZ
#define NO_CHUNK		(-1)

typedef struct Chunk
{
	char	   *data;			/* NULL while it is in a file */
	int64		at;				/* where in the file */
	int32		next;
	uint16		used;			/* bytes */
	uint16		file;
} Chunk;

/* The memory and the files that the partition sets of one collection share. */
typedef struct ChunkStore
{
	MemoryContext context;
	MemoryContext data_context; /* of the chunks' data */
	Chunk	   *chunks;
	int32		n_chunks;
	int32		max_chunks;
	int32		free_chunk;
	char	  **free_data;
	int32		n_free_data;
	int32		max_free_data;
	Size		memory_used;
	Size		memory_limit;
	File	   *files;			/* NULL until something spills */
	int			n_files;
	int			own;			/* the one of them that we write */
	int64		written;		/* bytes of it */
	char	   *tail;			/* what comes next, not yet written */
	int			tail_used;
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
	int16	   *owners;			/* the process whom each is for; NULL: all are ours */
	PartitionEnd *ends;
	PartitionList *lists;
} PartitionSet;

/* Where another process's part of a partition is: ChunkPlaces in that process's file. */
typedef struct PartitionPlace
{
	int64		at;
	int32		chunks;			/* 0: nothing, or not published */
	int32		file;
} PartitionPlace;

extern ChunkStore *ChunkStoreCreate(MemoryContext context, Size memory_limit);
extern void ChunkStoreClose(ChunkStore *store);

/*
 * For several processes with a file each: one process creates all of them,
 * which go when it closes its store, and the others open them. Each writes
 * only its own.
 */
extern void ChunkStoreCreateFiles(ChunkStore *store, int n);
extern void ChunkStoreOpenFiles(ChunkStore *store, int n, const char *paths, int own);

/* Add to our file; returns where. Others see it after a flush. */
extern int64 ChunkStoreAppend(ChunkStore *store, const void *data, Size size);
extern void ChunkStoreFlush(ChunkStore *store);
extern void ChunkStoreRead(ChunkStore *store, int file, int64 at, void *data, Size size);

extern PartitionSet *PartitionSetCreate(ChunkStore *store, int n);
extern void PartitionSetDrop(PartitionSet *set);
extern void PartitionGrow(PartitionSet *set, int p);
extern int64 PartitionBytes(const PartitionSet *set, int p);
extern void PartitionHalve(PartitionSet *set, Size row_size);

/*
 * Where several processes work: the owners of partitions, to be filled in; they
 * begin as the first process's. What another owns, or nobody, goes to the file
 * as soon as a chunk is full.
 */
#define NOBODY			(-1)
extern int16 *PartitionSetDeal(PartitionSet *set);

/* Move our part of a partition to the file, for another process; add another's part to ours. */
extern void PartitionPublish(PartitionSet *set, int p, PartitionPlace *place);
extern void PartitionAdopt(PartitionSet *set, int p, const PartitionPlace *place);

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

/* Add bytes that may straddle chunks. */
extern void PartitionPut(PartitionSet *set, int p, const void *data, Size size);

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
