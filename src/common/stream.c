/*
 * stream.c
 *		The rows of a statement one by one, without keeping them.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "nodes/params.h"
#include "tcop/dest.h"
#include "utils/guc.h"

#include "common/stream.h"

typedef struct Stream
{
	DestReceiver receiver;
	MemoryContext context;
	StreamRow	row;
	void	   *arg;
	uint64		rows;
} Stream;

static bool
StreamReceive(TupleTableSlot *slot, DestReceiver *self)
{
	Stream	   *stream = (Stream *) self;
	MemoryContext old;

	slot_getallattrs(slot);
	old = MemoryContextSwitchTo(stream->context);
	stream->row(slot, stream->arg);
	MemoryContextSwitchTo(old);
	stream->rows++;
	return true;
}

static void
StreamStartup(DestReceiver *self, int operation, TupleDesc desc)
{
}

static void
StreamNothing(DestReceiver *self)
{
}

DestReceiver *
StreamTo(StreamRow row, void *arg)
{
	Stream	   *stream = palloc0(sizeof(Stream));

	stream->receiver.receiveSlot = StreamReceive;
	stream->receiver.rStartup = StreamStartup;
	stream->receiver.rShutdown = StreamNothing;
	stream->receiver.rDestroy = StreamNothing;
	stream->receiver.mydest = DestNone;
	stream->context = CurrentMemoryContext;
	stream->row = row;
	stream->arg = arg;
	return &stream->receiver;
}

uint64
SpiStream(SPIPlanPtr plan, int nargs, const Oid *types, const Datum *values,
		  StreamRow row, void *arg)
{
	SPIExecuteOptions options = {0};
	DestReceiver *receiver = StreamTo(row, arg);
	uint64		rows;
	int			code;

	if (nargs > 0)
	{
		options.params = makeParamList(nargs);
		for (int i = 0; i < nargs; i++)
		{
			options.params->params[i].value = values[i];
			options.params->params[i].isnull = false;
			options.params->params[i].pflags = PARAM_FLAG_CONST;
			options.params->params[i].ptype = types[i];
		}
	}
	options.dest = receiver;
	code = SPI_execute_plan_extended(plan, &options);
	if (code < 0)
		elog(ERROR, "SPI failed on a stream: %s", SPI_result_code_string(code));
	rows = ((Stream *) receiver)->rows;
	pfree(receiver);
	return rows;
}

static void
SetForPlanning(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

/*
 * Hash joins and sorts stay allowed. What is forbidden and cannot be avoided,
 * such as the full join of a small view, costs so much that the planner sees
 * no difference between the ways to do the rest.
 */
int
PlanByIndexBegin(void)
{
	int			level = NewGUCNestLevel();

	SetForPlanning("enable_seqscan", "off");
	SetForPlanning("enable_bitmapscan", "off");
	SetForPlanning("random_page_cost", "1");
	SetForPlanning("jit", "off");
	SetForPlanning("plan_cache_mode", "force_generic_plan");
	return level;
}

int
PlanInOrderBegin(void)
{
	int			level = PlanByIndexBegin();

	SetForPlanning("enable_sort", "off");
	return level;
}

int
PlanBySortedIndexBegin(void)
{
	int			level = PlanByIndexBegin();

	SetForPlanning("enable_bitmapscan", "on");
	SetForPlanning("random_page_cost", "4");
	return level;
}

int
PlanWholeBegin(void)
{
	int			level = NewGUCNestLevel();

	SetForPlanning("enable_nestloop", "off");
	SetForPlanning("jit", "off");
	return level;
}

void
PlanByIndexEnd(int level)
{
	AtEOXact_GUC(false, level);
}
