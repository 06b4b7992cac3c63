/*
 * parallel.c
 *		From a source's rows to timelines, by several processes.
 *
 * Reading is shared block by block (source/share.c), and every process collects
 * the rows it reads into partitions of its own. After that the rows of one
 * customer, and the lines of one order, are in several processes, though in
 * each of them in the same partition. So each partition has an owner, to whom
 * the others hand over their part of it through their temporary files:
 *
 *	1. Scan. Each process reads rows into its partitions, within its share of
 *	   custseg.work_mem. What it owns it keeps in memory while that lasts, and
 *	   what others own goes to its file chunk by chunk. A process may have met
 *	   smaller ids than another, and then its partitions are narrower.
 *	2. Publish. All unite partitions until they are as wide as the widest
 *	   process's. Each writes the rest of what others own to its file, and into
 *	   shared memory where it is.
 *	3. Assemble. Each process makes timelines of its partitions, as a single
 *	   process would, and publishes those for the refreshing one in the same
 *	   way. Partitions that nobody owns, and those of a process that did not
 *	   come, are taken one after the other by whoever is free.
 *
 * Then the helpers are gone, and CollectorNext reads the timelines back in the
 * order of the partitions, over as many transactions as it takes. Where only
 * differences from what is stored are wanted, they were found in the first of
 * these, so nobody else may write there meanwhile.
 *
 * Blocks are taken one after the other, so that a slow process just reads less.
 * One that comes after the scan is sent home. The result is the same, byte for
 * byte, however many take part: customers come in the order of their ids, or of
 * partition and key, and the samples of rejected rows are those that lie first
 * in the table.
 *
 * Only the timelines are made together. Numbers of ours are looked up by the
 * refreshing process, the leader, while it hands customers out, as if it were
 * alone. It also creates all files, so that they go when it closes its
 * collector or exits. PostgreSQL's parallel infrastructure gives helpers the
 * leader's transaction, snapshot, user and settings, brings their errors to it,
 * and ends them when it fails; and where no worker is free, one process reads.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "optimizer/paths.h"
#include "pgstat.h"
#include "storage/barrier.h"
#include "storage/shm_toc.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"

#include "common/settings.h"
#include "profile/batch.h"
#include "profile/compare.h"
#include "profile/counts.h"
#include "profile/parallel.h"
#include "profile/split.h"
#include "profile/writer.h"
#include "source/read.h"

/* In the table of contents of the shared memory. */
#define SHARED_COLLECTION	UINT64CONST(0xC5E6000000000001)
#define SHARED_PLAN			UINT64CONST(0xC5E6000000000002)
#define SHARED_STATEMENT	UINT64CONST(0xC5E6000000000003)
#define SHARED_SCANS		UINT64CONST(0xC5E6000000000004)
#define SHARED_FILES		UINT64CONST(0xC5E6000000000005)
#define SHARED_ROWS			UINT64CONST(0xC5E6000000000006)
#define SHARED_TEXTS		UINT64CONST(0xC5E6000000000007)
#define SHARED_TIMELINES	UINT64CONST(0xC5E6000000000008)
#define SHARED_ACCEPTED		UINT64CONST(0xC5E6000000000009)
#define SHARED_EVENTS		UINT64CONST(0xC5E600000000000A)
#define SHARED_PRODUCTS		UINT64CONST(0xC5E600000000000B)

/* What a process tells the others. */
typedef struct Part
{
	bool		joined;
	int			shift;
	int32		min_day;
	int32		max_day;
	int64		counts_at;		/* in its file */
	int64		counts_size;
} Part;

typedef struct Collection
{
	/* As the leader has it. */
	Source		source;			/* but for what it points to: */
	char		schema_name[NAMEDATALEN];
	char		relation_name[NAMEDATALEN];
	bool		mapped[MAPPED_COLUMNS];
	char		time_zone[256];
	DayLimits	limits;
	Size		memory_limit;	/* of all processes together */
	uint64		seed;
	bool		compare;
	ProfileTarget target;
	char		target_table[NAMEDATALEN];
	int			n_parts;

	Barrier		barrier;
	pg_atomic_uint64 rows;		/* read so far, about */
	pg_atomic_uint32 next_partition;	/* of those without an owner */
	Part		parts[MAX_COLLECTING];	/* the leader's is the first */
} Collection;

/* What the leader keeps: where the parts of the others are. */
struct Gathered
{
	int			n_parts;
	PartitionPlace *timelines;
	PartitionPlace *texts;
};

/* What one process works with. The leader is the first. */
typedef struct Work
{
	Collector  *collector;
	Collection *shared;
	int			self;
	PartitionPlace *rows;		/* n_parts times n_partitions */
	PartitionPlace *texts;
	PartitionPlace *timelines;	/* n_partitions */
} Work;

extern PGDLLEXPORT void CustsegCollectMain(dsm_segment *segment, shm_toc *toc);

/* -------------------------------------------------- what everybody does */

/*
 * Rows are for whoever owns their partition, or for whoever is free: of four
 * rounds of partitions one is nobody's, so that a slow process need not hold up
 * the others. What comes of them is for the leader.
 */
static void
DealPartitions(Collector *c, int n_parts)
{
	int16	   *owners = PartitionSetDeal(c->rows);

	for (int p = 0; p < c->n_partitions; p++)
		owners[p] = p / n_parts % 4 == 3 ? NOBODY : p % n_parts;
	if (c->texts)
		PartitionSetDeal(c->texts);
	c->timelines = PartitionSetCreate(c->store, c->n_partitions);
	PartitionSetDeal(c->timelines);
}

static void
MeetOthers(Work *work)
{
	Collector  *c = work->collector;
	Part	   *part = &work->shared->parts[work->self];

	part->shift = c->shift;
	part->min_day = c->min_day;
	part->max_day = c->max_day;
	part->joined = true;
}

/* The same ranges of ids and days for all. */
static void
AgreeOnRanges(Work *work)
{
	Collector  *c = work->collector;

	for (int i = 0; i < work->shared->n_parts; i++)
	{
		const Part *part = &work->shared->parts[i];

		if (!part->joined)
			continue;
		for (; c->shift < part->shift; c->shift++)
			PartitionHalve(c->rows, c->row_size);
		c->min_day = Min(c->min_day, part->min_day);
		c->max_day = Max(c->max_day, part->max_day);
	}
}

static void
PublishRows(Work *work)
{
	Collector  *c = work->collector;
	int			first = work->self * c->n_partitions;

	for (int p = 0; p < c->n_partitions; p++)
	{
		if (c->rows->owners[p] != work->self)
			PartitionPublish(c->rows, p, &work->rows[first + p]);
		if (c->texts && work->self != 0)
			PartitionPublish(c->texts, p, &work->texts[first + p]);
	}
	ChunkStoreFlush(c->store);
}

static void
AssembleTogether(Work *work, int p)
{
	Collector  *c = work->collector;
	MemoryContext old;
	LocalKeys  *locals = NULL;

	CHECK_FOR_INTERRUPTS();
	old = BeginBatch(c, 0);
	for (int i = 0; i < work->shared->n_parts; i++)
		PartitionAdopt(c->rows, p, &work->rows[i * c->n_partitions + p]);
	if (c->key_kind != KEY_NATIVE)
		locals = LocalKeysCreate();
	AssemblePartition(c, p, locals);
	PackBatch(c, c->timelines, p, locals);
	if (work->self != 0)
		PartitionPublish(c->timelines, p, &work->timelines[p]);
	MemoryContextSwitchTo(old);
}

static void
AssembleShare(Work *work)
{
	Collector  *c = work->collector;
	const int16 *owners = c->rows->owners;

	for (int p = 0; p < c->n_partitions; p++)
		if (owners[p] == work->self)
			AssembleTogether(work, p);
	for (;;)
	{
		uint32		p = pg_atomic_fetch_add_u32(&work->shared->next_partition, 1);

		if (p >= c->n_partitions)
			break;
		if (owners[p] == NOBODY || !work->shared->parts[owners[p]].joined)
			AssembleTogether(work, p);
	}
	ChunkStoreFlush(c->store);
}

static void
PublishCounts(Work *work)
{
	Part	   *part = &work->shared->parts[work->self];
	StringInfoData data;

	initStringInfo(&data);
	CountsPack(&data, &work->collector->counts);
	part->counts_size = data.len;
	part->counts_at = ChunkStoreAppend(work->collector->store, data.data, data.len);
	ChunkStoreFlush(work->collector->store);
	pfree(data.data);
}

/* The whole of it, for one process, which has entered the barrier. */
static void
CollectTogether(Work *work)
{
	Collector  *c = work->collector;

	c->rows_of_all = &work->shared->rows;
	SharedReadRun(c->read);
	SharedReadEnd(c->read);
	c->read = NULL;
	c->rows_of_all = NULL;

	MeetOthers(work);
	BarrierArriveAndWait(&work->shared->barrier, PG_WAIT_EXTENSION);
	AgreeOnRanges(work);
	PublishRows(work);
	BarrierArriveAndWait(&work->shared->barrier, PG_WAIT_EXTENSION);
	AssembleShare(work);
}

void
CustsegCollectMain(dsm_segment *segment, shm_toc *toc)
{
	Collection *shared = shm_toc_lookup(toc, SHARED_COLLECTION, false);
	const char *statement = shm_toc_lookup(toc, SHARED_STATEMENT, false);
	Source		source = shared->source;
	Work		work = {.shared = shared,.self = 1 + ParallelWorkerNumber};
	ProfileTarget target = shared->target;
	TargetTable table = {.name = shared->target_table};
	Collector  *c;

	debug_query_string = statement;
	if (BarrierAttach(&shared->barrier) != 0)
	{
		BarrierDetach(&shared->barrier);
		return;
	}
	pgstat_report_activity(STATE_RUNNING, statement);

	source.schema_name = shared->schema_name;
	source.relation_name = shared->relation_name;
	for (int column = 0; column < MAPPED_COLUMNS; column++)
		source.column[column] = shared->mapped[column] ? "" : NULL;
	source.accepted = PointerGetDatum(shm_toc_lookup(toc, SHARED_ACCEPTED, true));
	source.events = source.n_events > 0 ? shm_toc_lookup(toc, SHARED_EVENTS, false) : NULL;
	source.products = source.kind == SOURCE_LINES ? shm_toc_lookup(toc, SHARED_PRODUCTS, false) : NULL;
	work.collector = c = CollectorCreate(CurrentMemoryContext, &source, shared->time_zone, &shared->limits, shared->memory_limit);
	CollectorShare(c, shared->n_parts);
	c->seed = shared->seed;
	target.table = &table;
	target.events = source.events;
	if (shared->compare)
		CollectorCompare(c, &target);
	work.rows = shm_toc_lookup(toc, SHARED_ROWS, false);
	work.texts = c->texts ? shm_toc_lookup(toc, SHARED_TEXTS, false) : NULL;
	work.timelines = shm_toc_lookup(toc, SHARED_TIMELINES, false);
	DealPartitions(c, shared->n_parts);
	ChunkStoreOpenFiles(c->store, shared->n_parts, shm_toc_lookup(toc, SHARED_FILES, false), work.self);
	c->read = SharedReadJoin(shm_toc_lookup(toc, SHARED_PLAN, false), statement,
							 shm_toc_lookup(toc, SHARED_SCANS, false), CollectorReceiver(c));

	CollectTogether(&work);
	PublishCounts(&work);
	CollectorClose(c);
	BarrierDetach(&shared->barrier);
}

/* ---------------------------------------------------------- the leader */

/*
 * As PostgreSQL does, one for the smallest table that pays, and one more for
 * every three times its size. But to exchange rows costs more than to start a
 * process, so ours must be four times as large.
 */
static int
HelpersWanted(const Collector *c, int64 blocks)
{
	Size		least = 2 * (Size) c->n_partitions * CHUNK_SIZE;	/* memory of a process */
	int			most = Min(custseg_max_parallel_workers, c->memory_limit / least) - 1;
	int			helpers = 0;

	for (int64 enough = Max(4 * (int64) min_parallel_table_scan_size, 1); helpers < most && blocks >= enough; enough *= 3)
		helpers++;
	return helpers;
}

static void *
AllocateShared(shm_toc *toc, uint64 key, Size size)
{
	void	   *space = shm_toc_allocate(toc, size);

	memset(space, 0, size);
	shm_toc_insert(toc, key, space);
	return space;
}

static void
EstimateShared(ParallelContext *context, Size size)
{
	shm_toc_estimate_chunk(&context->estimator, size);
	shm_toc_estimate_keys(&context->estimator, 1);
}

static void
MergeCounts(Collector *c, const Part *part, int file)
{
	char	   *data = palloc(part->counts_size);

	ChunkStoreRead(c->store, file, part->counts_at, data, part->counts_size);
	CountsMerge(c->context, &c->counts, data);
	pfree(data);
}

/* Keep what CollectorNext needs when the shared memory is gone. */
static void
KeepForNext(const Work *work)
{
	Collector  *c = work->collector;
	MemoryContext old = MemoryContextSwitchTo(c->context);
	struct Gathered *gathered = palloc0(sizeof(struct Gathered));
	Size		timelines = c->n_partitions * sizeof(PartitionPlace);
	Size		texts = work->shared->n_parts * timelines;

	gathered->n_parts = work->shared->n_parts;
	gathered->timelines = memcpy(palloc(timelines), work->timelines, timelines);
	if (c->texts)
		gathered->texts = memcpy(palloc(texts), work->texts, texts);
	c->gathered = gathered;
	MemoryContextSwitchTo(old);
}

/* Read and assemble with helpers. False, with no row read, if there are none to be had. */
static bool
CollectWith(Collector *c, const Source *source, int helpers)
{
	int			n_parts = helpers + 1;
	const char *plan = SharedReadPlan(c->read);
	const char *statement = SharedReadStatement(c->read);
	Size		places = n_parts * c->n_partitions * sizeof(PartitionPlace);
	Size		events = (source->n_events + 1) * sizeof(SourceEvent);
	ParallelContext *context;
	Collection *shared;
	Work		work = {.collector = c};
	char	   *files;
	bool		helped = false;

	EnterParallelMode();
	context = CreateParallelContext("custseg", "CustsegCollectMain", helpers);
	EstimateShared(context, sizeof(Collection));
	EstimateShared(context, strlen(plan) + 1);
	EstimateShared(context, strlen(statement) + 1);
	EstimateShared(context, SharedReadSize(c->read));
	EstimateShared(context, n_parts * MAXPGPATH);
	EstimateShared(context, places);
	if (c->texts)
		EstimateShared(context, places);
	EstimateShared(context, c->n_partitions * sizeof(PartitionPlace));
	if (c->at.status >= 0)
		EstimateShared(context, VARSIZE(DatumGetPointer(source->accepted)));
	EstimateShared(context, events);
	if (source->products)
		EstimateShared(context, source->products->size);
	InitializeParallelDSM(context);

	work.shared = shared = AllocateShared(context->toc, SHARED_COLLECTION, sizeof(Collection));
	shared->source = *source;
	if (source->events)
		memcpy(AllocateShared(context->toc, SHARED_EVENTS, events), source->events, source->n_events * sizeof(SourceEvent));
	if (source->products)
		memcpy(AllocateShared(context->toc, SHARED_PRODUCTS, source->products->size), source->products, source->products->size);
	strlcpy(shared->schema_name, source->schema_name, NAMEDATALEN);
	strlcpy(shared->relation_name, source->relation_name, NAMEDATALEN);
	for (int column = 0; column < MAPPED_COLUMNS; column++)
		shared->mapped[column] = source->column[column] != NULL;
	strlcpy(shared->time_zone, c->time_zone, sizeof(shared->time_zone));
	shared->limits = c->limits;
	shared->memory_limit = c->memory_limit;
	shared->seed = c->seed;
	shared->compare = c->compare;
	shared->target = c->target;
	if (c->compare)
		strlcpy(shared->target_table, c->target.table->name, NAMEDATALEN);
	shared->n_parts = n_parts;
	BarrierInit(&shared->barrier, 0);
	pg_atomic_init_u64(&shared->rows, 0);
	pg_atomic_init_u32(&shared->next_partition, 0);
	strcpy(AllocateShared(context->toc, SHARED_PLAN, strlen(plan) + 1), plan);
	strcpy(AllocateShared(context->toc, SHARED_STATEMENT, strlen(statement) + 1), statement);
	SharedReadInit(c->read, AllocateShared(context->toc, SHARED_SCANS, SharedReadSize(c->read)));
	if (c->at.status >= 0)
		memcpy(AllocateShared(context->toc, SHARED_ACCEPTED, VARSIZE(DatumGetPointer(source->accepted))), DatumGetPointer(source->accepted),
			   VARSIZE(DatumGetPointer(source->accepted)));
	files = AllocateShared(context->toc, SHARED_FILES, n_parts * MAXPGPATH);
	ChunkStoreCreateFiles(c->store, n_parts);
	for (int i = 0; i < n_parts; i++)
		strlcpy(files + i * MAXPGPATH, FilePathName(c->store->files[i]), MAXPGPATH);
	work.rows = AllocateShared(context->toc, SHARED_ROWS, places);
	work.texts = c->texts ? AllocateShared(context->toc, SHARED_TEXTS, places) : NULL;
	work.timelines = AllocateShared(context->toc, SHARED_TIMELINES, c->n_partitions * sizeof(PartitionPlace));

	BarrierAttach(&shared->barrier);
	LaunchParallelWorkers(context);
	if (context->nworkers_launched > 0)
	{
		Size		memory_limit = c->memory_limit;

		CollectorShare(c, n_parts);
		DealPartitions(c, n_parts);
		CollectTogether(&work);
		WaitForParallelWorkersToFinish(context);
		for (int i = 1; i < n_parts; i++)
			if (shared->parts[i].joined)
				MergeCounts(c, &shared->parts[i], i);
		c->counts.processes += context->nworkers_launched;
		KeepForNext(&work);
		c->memory_limit = memory_limit;
		CollectorShare(c, 1);
		helped = true;
	}
	BarrierDetach(&shared->barrier);
	DestroyParallelContext(context);
	ExitParallelMode();
	return helped;
}

/* What a reading that may be shared works on. */
typedef struct Shareable
{
	Collector  *collector;
	Source	   *source;
	bool		done;
} Shareable;

static void
ReadShared(void *arg)
{
	Shareable  *read = arg;
	Collector  *c = read->collector;
	int			helpers = 0;

	PushActiveSnapshot(GetTransactionSnapshot());
	c->read = SharedReadBegin(read->source, CollectorReceiver(c));
	if (c->read)
		helpers = HelpersWanted(c, SharedReadBlocks(c->read));
	if (helpers > 0)
		read->done = CollectWith(c, read->source, helpers);
	if (c->read)
		SharedReadEnd(c->read);
	c->read = NULL;
	PopActiveSnapshot();
}

void
CollectorRead(Collector *c, Source *source)
{
	Shareable	read = {c, source};

	c->counts.processes = 1;
	if (custseg_max_parallel_workers > 1)
	{
		if (c->compare)
			CompareLock(&c->target);
		SourceForeign(source, ReadShared, &read);
	}
	if (!read.done)
		SourceRead(source, CollectorReceiver(c));
}

void
GatheredPartition(Collector *c, int p, LocalKeys *locals)
{
	const struct Gathered *gathered = c->gathered;
	PartitionIter iter;
	char	   *chunk;
	int			used;
	Size		size;
	char	   *results;

	if (c->texts)
		for (int i = 0; i < gathered->n_parts; i++)
			PartitionAdopt(c->texts, p, &gathered->texts[i * c->n_partitions + p]);

	PartitionAdopt(c->timelines, p, &gathered->timelines[p]);
	size = PartitionBytes(c->timelines, p);
	if (size == 0)
		return;
	MakeRoom(c, size);
	results = c->out;
	PartitionIterInit(&iter, c->timelines, p, true);
	while ((chunk = PartitionIterNext(&iter, &used)) != NULL)
	{
		memcpy(c->out, chunk, used);
		c->out += used;
	}
	c->out_left -= size;
	c->out_used += size;
	UnpackBatch(c, results, c->out, locals);
}
