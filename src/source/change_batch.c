/*
 * change_batch.c
 *		The entries of the log of changes that name several customers, as claim()
 *		looks through them.
 *
 * An index on what arrays hold would cost the shop's writers too much, and to
 * read all arrays would cost a claim too much. So a session remembers of every
 * page of custseg.change_batch a Bloom filter of the customers on it, and reads
 * only pages where a customer it wants may be. What is on a page changes only
 * together with the page's LSN, so a filter holds as long as that is the same.
 * It covers all entries on the page, whoever sees them: which ones count is
 * asked of the entries themselves.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/array.h"
#include "utils/memutils.h"

#include "source/change_batch.h"
#include "source/change_log.h"

#define FILTER_BITS		16384	/* a page holds a thousand customers at most */
#define MOST_FILTERS	4096	/* 8 MB; pages after these are read each time */

typedef struct PageFilter
{
	XLogRecPtr	lsn;			/* of the page; invalid: not made yet */
	uint64		words[FILTER_BITS / 64];
} PageFilter;

/* Those of this session, for the file that the table had then. */
static struct
{
	MemoryContext context;
	Oid			relid;
	Oid			file;
	PageFilter *pages[MOST_FILTERS];
} filters;

/* Three bits of a filter stand for a customer. */
static inline uint64
FilterBits(int64 customer)
{
	uint64		h = (uint64) customer * UINT64CONST(0x9E3779B97F4A7C15);

	h = (h ^ h >> 32) * UINT64CONST(0xD6E8FEB86659FD93);
	return h ^ h >> 32;
}

#define FILTER_WORD(h, i)	(((h) >> ((i) * 20) & (FILTER_BITS - 1)) / 64)
#define FILTER_MASK(h, i)	(UINT64CONST(1) << ((h) >> ((i) * 20) & 63))

static inline bool
MayHold(const PageFilter *filter, uint64 h)
{
	return (filter->words[FILTER_WORD(h, 0)] & FILTER_MASK(h, 0)) != 0 &&
		(filter->words[FILTER_WORD(h, 1)] & FILTER_MASK(h, 1)) != 0 &&
		(filter->words[FILTER_WORD(h, 2)] & FILTER_MASK(h, 2)) != 0;
}

static PageFilter *
FilterOf(Relation batch, BlockNumber block)
{
	if (filters.context == NULL || filters.relid != RelationGetRelid(batch) || filters.file != batch->rd_rel->relfilenode)
	{
		if (filters.context)
			MemoryContextDelete(filters.context);
		memset(&filters, 0, sizeof(filters));
		filters.context = AllocSetContextCreate(TopMemoryContext, "custseg change filters", ALLOCSET_DEFAULT_SIZES);
		filters.relid = RelationGetRelid(batch);
		filters.file = batch->rd_rel->relfilenode;
	}
	if (block >= MOST_FILTERS || !RelationNeedsWAL(batch))
		return NULL;
	if (filters.pages[block] == NULL)
		filters.pages[block] = MemoryContextAllocZero(filters.context, sizeof(PageFilter));
	return filters.pages[block];
}

/* An entry's customers, ascending. */
static const int64 *
CustomersOf(HeapTuple entry, TupleDesc desc, int *n)
{
	bool		isnull;
	Datum		value = heap_getattr(entry, LOG_CUSTOMERS + 1, desc, &isnull);
	ArrayType  *array = isnull ? NULL : DatumGetArrayTypeP(value);

	*n = isnull || ARR_NDIM(array) != 1 ? 0 : ARR_DIMS(array)[0];
	return *n > 0 ? (const int64 *) ARR_DATA_PTR(array) : NULL;
}

static void
MarkAmong(const Wanted *wanted, int n, HeapTuple entry, TupleDesc desc, bool *pending)
{
	int			count;
	const int64 *ids = CustomersOf(entry, desc, &count);
	bool		isnull;
	int			source_id = DatumGetInt32(heap_getattr(entry, LOG_SOURCE_ID + 1, desc, &isnull));

	/* No search waits for another, and no branch depends on what is compared. */
	for (int i = 0; i < n && count > 0; i++)
	{
		int			at = 0;		/* of the last that is not above the one wanted */

		for (int left = count, half; left > 1; left -= half)
		{
			half = left / 2;
			at += half * (ids[at + half] <= wanted[i].customer);
		}
		if (ids[at] == wanted[i].customer && wanted[i].source_id == source_id)
			pending[wanted[i].position] = true;
	}
}

/* The page's next entry after that line, seen by the snapshot, or whoever sees it without one. */
static bool
NextEntry(Buffer buffer, OffsetNumber *line, Snapshot snapshot, HeapTuple entry)
{
	Page		page = BufferGetPage(buffer);

	while (++*line <= PageGetMaxOffsetNumber(page))
	{
		ItemId		item = PageGetItemId(page, *line);

		if (!ItemIdIsNormal(item))
			continue;
		entry->t_data = (HeapTupleHeader) PageGetItem(page, item);
		entry->t_len = ItemIdGetLength(item);
		ItemPointerSet(&entry->t_self, BufferGetBlockNumber(buffer), *line);
		if (snapshot == NULL || HeapTupleSatisfiesVisibility(entry, snapshot, buffer))
			return true;
	}
	return false;
}

static void
FillFilter(PageFilter *filter, Buffer buffer, HeapTuple entry, TupleDesc desc)
{
	OffsetNumber line = InvalidOffsetNumber;

	memset(filter->words, 0, sizeof(filter->words));
	while (NextEntry(buffer, &line, NULL, entry))
	{
		int			n;
		const int64 *ids = CustomersOf(entry, desc, &n);

		for (int i = 0; i < n; i++)
		{
			uint64		h = FilterBits(ids[i]);

			for (int bit = 0; bit < 3; bit++)
				filter->words[FILTER_WORD(h, bit)] |= FILTER_MASK(h, bit);
		}
	}
	filter->lsn = PageGetLSN(BufferGetPage(buffer));
}

void
ChangeBatchLook(Relation batch, Snapshot snapshot, const Wanted *wanted, int n, bool *pending)
{
	BlockNumber blocks = RelationGetNumberOfBlocks(batch);
	TupleDesc	desc = RelationGetDescr(batch);
	HeapTupleData entry = {.t_tableOid = RelationGetRelid(batch)};
	uint64	   *bits = palloc(Max(n, 1) * sizeof(uint64));

	for (int i = 0; i < n; i++)
		bits[i] = FilterBits(wanted[i].customer);
	for (BlockNumber block = 0; block < blocks; block++)
	{
		PageFilter *filter = FilterOf(batch, block);
		Buffer		buffer = ReadBuffer(batch, block);
		OffsetNumber line = InvalidOffsetNumber;
		bool		may = filter == NULL;

		CHECK_FOR_INTERRUPTS();
		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		if (filter && (XLogRecPtrIsInvalid(filter->lsn) || filter->lsn != PageGetLSN(BufferGetPage(buffer))))
			FillFilter(filter, buffer, &entry, desc);
		for (int i = 0; i < n && !may; i++)
			may = MayHold(filter, bits[i]);
		while (may && NextEntry(buffer, &line, snapshot, &entry))
			MarkAmong(wanted, n, &entry, desc, pending);
		UnlockReleaseBuffer(buffer);
	}
	pfree(bits);
}
