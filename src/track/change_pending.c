/*
 * change_pending.c
 *		Which customers have a change that no refresh has read yet.
 *
 * An index on the log would cost the shop's writers too much, and to read all of
 * it would cost a claim too much. So a session remembers of every page of
 * custseg.change_log a Bloom filter of the customers on it, and reads only pages
 * where a customer it wants may be. What is on a page changes only together with
 * the page's LSN, so a filter holds as long as that is the same. It covers all
 * entries on the page, whoever sees them: which ones count is asked of the
 * entries themselves.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tupmacs.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/array.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "common/bulk.h"
#include "common/compat.h"
#include "person/identity.h"
#include "source/keys.h"
#include "track/change_log.h"
#include "track/change_pending.h"

#define FILTER_BITS		16384	/* a page holds a thousand customers at most */
#define MOST_FILTERS	4096	/* 8 MB; pages after these are read each time */
#define EVERYBODY		0		/* in a filter, for entries that mean all of a source */
#define LONG_PAGES		8		/* some thousand entries */

typedef struct PageFilter
{
	XLogRecPtr	lsn;			/* of the page; invalid: not made yet */
	Buffer		buffer;			/* where it was last */
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

/* What a look has been asked already. */
typedef struct Answer
{
	int64		id;
	bool		pending;
} Answer;

struct ChangeLook
{
	List	   *sources;
	HTAB	   *answers;
	bool		all;			/* of a source changed, as far as that was asked */
	Oid			file;			/* of the log, when it went through; invalid: not yet */
	BlockNumber blocks;			/* that had so many pages */
};

/* A customer as one source's entries name it. */
typedef struct Wanted
{
	int64		customer;
	int			source_id;
	int			position;
} Wanted;

/* What is looked for: ascending, with the bits of each in a filter. */
typedef struct Search
{
	Wanted	   *wanted;
	uint64	   *bits;
	int			n;
	Snapshot	snapshot;		/* that sees the entries that count */
	bool	   *pending;		/* by position */
	bool		all;			/* an entry means all of a source */
} Search;

/* How a row of the log begins; the first two are always there. */
typedef struct RowStart
{
	int32		source_id;
	int64		xact;
	int64		customer;
} RowStart;

/* An entry of the log. */
typedef struct Entry
{
	HeapTuple	tuple;
	Buffer		buffer;			/* with its page, locked */
	int			source_id;
	const int64 *customers;		/* ascending; as long as the page is locked */
	int			n;				/* 0: all of the source */
	ArrayType  *array;			/* to be freed */
} Entry;

/* ------------------------------------------------------------ the entries */

/* A session's first claim reads the whole log: this goes without the descriptor, as for a catalog. */
static void
ReadEntry(HeapTuple tuple, TupleDesc desc, Buffer buffer, Entry *entry)
{
	const RowStart *start = (const RowStart *) GETSTRUCT(tuple);
	bool		isnull;
	Datum		value;
	ArrayType  *array;

	entry->tuple = tuple;
	entry->buffer = buffer;
	entry->source_id = start->source_id;
	entry->array = NULL;
	entry->n = 0;
	if (!HeapTupleHasNulls(tuple) || !att_isnull(LOG_CUSTOMER, tuple->t_data->t_bits))
	{
		entry->customers = &start->customer;
		entry->n = 1;
		return;
	}
	value = heap_getattr(tuple, LOG_CUSTOMERS + 1, desc, &isnull);
	if (isnull)
		return;
	array = DatumGetArrayTypeP(value);
	entry->customers = (const int64 *) ARR_DATA_PTR(array);
	entry->n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	if ((Pointer) array != DatumGetPointer(value))
		entry->array = array;
}

static void
DoneWithEntry(Entry *entry)
{
	if (entry->array)
		pfree(entry->array);
}

/* The page's next row after that line, whoever sees it. */
static bool
NextRow(Buffer buffer, OffsetNumber *line, HeapTuple tuple)
{
	Page		page = BufferGetPage(buffer);

	while (++*line <= PageGetMaxOffsetNumber(page))
	{
		ItemId		item = PageGetItemId(page, *line);

		if (!ItemIdIsNormal(item))
			continue;
		tuple->t_data = (HeapTupleHeader) PageGetItem(page, item);
		tuple->t_len = ItemIdGetLength(item);
		ItemPointerSet(&tuple->t_self, BufferGetBlockNumber(buffer), *line);
		return true;
	}
	return false;
}

/* ------------------------------------------------------------ the filters */

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

static void
SetBits(PageFilter *filter, uint64 h)
{
	for (int i = 0; i < 3; i++)
		filter->words[FILTER_WORD(h, i)] |= FILTER_MASK(h, i);
}

static PageFilter *
FilterOf(Relation log, BlockNumber block)
{
	if (filters.context == NULL || filters.relid != RelationGetRelid(log) || filters.file != log->rd_rel->relfilenode)
	{
		if (filters.context)
			MemoryContextDelete(filters.context);
		memset(&filters, 0, sizeof(filters));
		filters.context = AllocSetContextCreate(TopMemoryContext, "custseg change filters", ALLOCSET_DEFAULT_SIZES);
		filters.relid = RelationGetRelid(log);
		filters.file = log->rd_rel->relfilenode;
	}
	if (block >= MOST_FILTERS || !RelationNeedsWAL(log))
		return NULL;
	if (filters.pages[block] == NULL)
		filters.pages[block] = MemoryContextAllocZero(filters.context, sizeof(PageFilter));
	return filters.pages[block];
}

/* There are many pages, and to look up where each of them is would take longer than to look at it. */
static Buffer
ReadPage(Relation log, BlockNumber block, PageFilter *filter)
{
	Buffer		buffer;

	if (filter == NULL)
		return ReadBuffer(log, block);
	if (BufferIsValid(filter->buffer) &&
		ReadRecentBuffer(RelationLocator(log), MAIN_FORKNUM, block, filter->buffer))
		return filter->buffer;
	buffer = ReadBuffer(log, block);
	filter->buffer = buffer;
	return buffer;
}

static void
FillFilter(PageFilter *filter, Buffer buffer, HeapTuple tuple, TupleDesc desc)
{
	OffsetNumber line = InvalidOffsetNumber;

	memset(filter->words, 0, sizeof(filter->words));
	while (NextRow(buffer, &line, tuple))
	{
		Entry		entry;

		ReadEntry(tuple, desc, buffer, &entry);
		if (entry.n == 0)
			SetBits(filter, FilterBits(EVERYBODY));
		for (int i = 0; i < entry.n; i++)
			SetBits(filter, FilterBits(entry.customers[i]));
		DoneWithEntry(&entry);
	}
	filter->lsn = PageGetLSN(BufferGetPage(buffer));
}

/* ------------------------------------------------------------ the search */

static int
CompareWanted(const void *a, const void *b)
{
	const Wanted *x = a;
	const Wanted *y = b;

	return x->customer != y->customer ? (x->customer > y->customer) - (x->customer < y->customer) :
		x->source_id - y->source_id;
}

/* Hardly an entry is of somebody wanted: that comes first. */
static inline void
MarkPending(Search *search, const Wanted *wanted, const Entry *entry)
{
	if (wanted->source_id == entry->source_id && !search->pending[wanted->position] &&
		HeapTupleSatisfiesVisibility(entry->tuple, search->snapshot, entry->buffer))
		search->pending[wanted->position] = true;
}

/* Mark all that is wanted of a source. */
static void
MarkSource(Search *search, int source_id)
{
	for (int i = 0; i < search->n; i++)
		if (search->wanted[i].source_id == source_id)
			search->all = search->pending[search->wanted[i].position] = true;
}

/* Mark those wanted that an entry names, by looking for each of its customers ... */
static void
MarkNamed(Search *search, const Entry *entry)
{
	for (int i = 0; i < entry->n; i++)
	{
		int			low = 0;
		int			high = search->n;

		while (low < high)
		{
			int			middle = (low + high) / 2;

			if (search->wanted[middle].customer < entry->customers[i])
				low = middle + 1;
			else
				high = middle;
		}
		for (; low < search->n && search->wanted[low].customer == entry->customers[i]; low++)
			MarkPending(search, &search->wanted[low], entry);
	}
}

/* ... or for each one wanted: no search waits for another, and no branch depends on what is compared. */
static void
MarkAmong(Search *search, const Entry *entry)
{
	for (int i = 0; i < search->n; i++)
	{
		int			at = 0;		/* of the last that is not above the one wanted */

		for (int left = entry->n, half; left > 1; left -= half)
		{
			half = left / 2;
			at += half * (entry->customers[at + half] <= search->wanted[i].customer);
		}
		if (entry->customers[at] == search->wanted[i].customer)
			MarkPending(search, &search->wanted[i], entry);
	}
}

/* Whether a page may have an entry of those wanted. */
static bool
MayMatter(const PageFilter *filter, const Search *search)
{
	bool		may = filter == NULL || MayHold(filter, FilterBits(EVERYBODY));

	for (int i = 0; i < search->n && !may; i++)
		may = MayHold(filter, search->bits[i]);
	return may;
}

/*
 * Mark those wanted that an entry of the log names. A desk waits for this: it
 * goes without a plan, and a look that has been through all pages goes by their
 * filters from then on.
 */
static void
SearchLog(ChangeLook *look, Relation log, Search *search)
{
	bool		seen = look->file == log->rd_rel->relfilenode;
	BlockNumber blocks = RelationGetNumberOfBlocks(log);
	TupleDesc	desc = RelationGetDescr(log);
	HeapTupleData tuple = {.t_tableOid = RelationGetRelid(log)};

	look->blocks = seen ? Min(look->blocks, blocks) : blocks;
	look->file = log->rd_rel->relfilenode;
	for (BlockNumber block = 0; block < look->blocks; block++)
	{
		PageFilter *filter = FilterOf(log, block);
		OffsetNumber line = InvalidOffsetNumber;
		Buffer		buffer;
		bool		may;

		CHECK_FOR_INTERRUPTS();
		if (seen && !MayMatter(filter, search))
			continue;
		buffer = ReadPage(log, block, filter);
		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		if (filter && (XLogRecPtrIsInvalid(filter->lsn) || filter->lsn != PageGetLSN(BufferGetPage(buffer))))
			FillFilter(filter, buffer, &tuple, desc);
		may = MayMatter(filter, search);
		while (may && NextRow(buffer, &line, &tuple))
		{
			Entry		entry;

			ReadEntry(&tuple, desc, buffer, &entry);
			if (entry.n == 0)
			{
				if (HeapTupleSatisfiesVisibility(&tuple, search->snapshot, buffer))
					MarkSource(search, entry.source_id);
			}
			else if (entry.n < search->n)
				MarkNamed(search, &entry);
			else
				MarkAmong(search, &entry);
			DoneWithEntry(&entry);
		}
		UnlockReleaseBuffer(buffer);
	}
}

/* Mark those wanted of sources of which a change could not be noted: there are hardly ever any. */
static void
SearchGaps(Relation gaps, Search *search)
{
	TableScanDesc scan = BeginScan(gaps, search->snapshot);
	HeapTuple	tuple;
	bool		isnull;

	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
		MarkSource(search, DatumGetInt32(heap_getattr(tuple, LOG_SOURCE_ID + 1, RelationGetDescr(gaps), &isnull)));
	table_endscan(scan);
}

static void
AddWanted(Search *search, int source_id, int position, int64 customer)
{
	search->wanted[search->n].customer = customer;
	search->wanted[search->n].source_id = source_id;
	search->wanted[search->n++].position = position;
}

static void
FindPending(ChangeLook *look, int n, const int64 *ids, bool *pending)
{
	Relation	log = table_open(OwnRelation("change_log"), AccessShareLock);
	Relation	gaps = table_open(OwnRelation("change_gap"), AccessShareLock);
	Search		search = {.snapshot = RegisterSnapshot(GetTransactionSnapshot()),.pending = pending};
	ListCell   *cell;

	search.wanted = palloc(2 * n * list_length(look->sources) * sizeof(Wanted));
	foreach(cell, look->sources)
	{
		Source		source = *(Source *) lfirst(cell);
		char	  **keys = NULL;
		int64		number;

		/* It need not be open: all that matters is whether it has keys. */
		if (!source.native)
		{
			source.key_kind = KEY_TEXT;
			keys = IdentityKeys(&source, n, ids);
		}

		for (int i = 0; i < n; i++)
		{
			if (keys ? keys[i] == NULL : ids[i] <= 0)
				continue;
			if (!source.read_here)
			{
				search.all = pending[i] = true;
				continue;
			}
			AddWanted(&search, source.source_id, i, keys ? ChangeHash(keys[i], strlen(keys[i])) : ids[i]);
			/* The trigger notes what the column holds. */
			if (keys && !NumbersAreNative(&source) && KeyIsNumber(keys[i], strlen(keys[i]), &number))
				AddWanted(&search, source.source_id, i, number);
		}
	}
	qsort(search.wanted, search.n, sizeof(Wanted), CompareWanted);
	search.bits = palloc(search.n * sizeof(uint64));
	for (int i = 0; i < search.n; i++)
		search.bits[i] = FilterBits(search.wanted[i].customer);

	SearchLog(look, log, &search);
	SearchGaps(gaps, &search);

	pfree(search.bits);
	pfree(search.wanted);
	UnregisterSnapshot(search.snapshot);
	table_close(gaps, AccessShareLock);
	table_close(log, AccessShareLock);
	look->all |= search.all;
}

/* ------------------------------------------------------------ a look */

ChangeLook *
ChangeLogLook(List *sources)
{
	ChangeLook *look = palloc0(sizeof(ChangeLook));
	HASHCTL		control = {.keysize = sizeof(int64), .entrysize = sizeof(Answer), .hcxt = CurrentMemoryContext};

	look->sources = sources;
	look->answers = hash_create("custseg changes", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	return look;
}

void
ChangeLogPending(ChangeLook *look, int n, const int64 *ids, bool *pending)
{
	int64	   *asked = palloc(n * sizeof(int64));
	bool	   *found = palloc0(n * sizeof(bool));
	int			n_asked = 0;

	for (int i = 0; i < n; i++)
		if (hash_search(look->answers, &ids[i], HASH_FIND, NULL) == NULL)
			asked[n_asked++] = ids[i];
	if (n_asked > 0)
		FindPending(look, n_asked, asked, found);
	for (int i = 0; i < n_asked; i++)
		((Answer *) hash_search(look->answers, &asked[i], HASH_ENTER, NULL))->pending = found[i];
	for (int i = 0; i < n; i++)
		pending[i] = ((Answer *) hash_search(look->answers, &ids[i], HASH_FIND, NULL))->pending;
	pfree(found);
	pfree(asked);
}

bool
ChangeLogAll(const ChangeLook *look)
{
	return look->all;
}

bool
ChangeLogIsLong(void)
{
	Relation	log = table_open(OwnRelation("change_log"), AccessShareLock);
	bool		is_long = RelationGetNumberOfBlocks(log) > LONG_PAGES;

	table_close(log, AccessShareLock);
	return is_long;
}
