/*
 * fit_agg.c
 *		The state of an aggregate that fits a model: what it was fed, row by row.
 *
 * The last step sorts and unites the rows, so that the fit does not know in
 * which order they came or how they were divided among workers.  A worker
 * unites its share before it hands it on.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "model/fit_agg.h"

static MemoryContext
AggregateContext(FunctionCallInfo fcinfo)
{
	MemoryContext context;

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "aggregate function called in non-aggregate context");
	return context;
}

static FitState *
Create(MemoryContext context, int64 capacity, Size width)
{
	FitState   *state = MemoryContextAllocZero(context, sizeof(FitState));

	state->capacity = Max(capacity, 64);
	state->width = width;
	state->rows = MemoryContextAllocHuge(context, state->capacity * width);
	return state;
}

static void
MakeRoom(FitState *state, int64 n)
{
	if (state->n + n > state->capacity)
	{
		state->capacity = Max(state->capacity + state->capacity / 2, state->n + n);
		state->rows = repalloc_huge(state->rows, state->capacity * state->width);
	}
}

static void
CheckSamePrior(const PriorArgument *left, const PriorArgument *right)
{
	if (memcmp(left, right, sizeof(PriorArgument)) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the prior of a fit must be the same in all rows"),
				 errhint("Pass constants, or fit each prior in a group of its own.")));
}

FitState *
FitStateAdd(FunctionCallInfo fcinfo, int prior_argno, Size width)
{
	MemoryContext context = AggregateContext(fcinfo);
	FitState   *state = FitStateOf(fcinfo);
	PriorArgument prior;

	if (state == NULL)
	{
		state = Create(context, 0, width);
		ReadPrior(fcinfo, prior_argno, &state->prior);
	}
	else if (PG_NARGS() > prior_argno)
	{
		ReadPrior(fcinfo, prior_argno, &prior);
		CheckSamePrior(&prior, &state->prior);
	}
	MakeRoom(state, 1);
	state->n++;
	return state;
}

Datum
FitStateKeep(FunctionCallInfo fcinfo)
{
	FitState   *state = FitStateOf(fcinfo);

	if (state == NULL)
		PG_RETURN_NULL();
	PG_RETURN_POINTER(state);
}

Datum
FitStateCombine(FunctionCallInfo fcinfo)
{
	MemoryContext context = AggregateContext(fcinfo);
	FitState   *state = FitStateOf(fcinfo);
	FitState   *other = PG_ARGISNULL(1) ? NULL : (FitState *) PG_GETARG_POINTER(1);

	if (other == NULL)
		return FitStateKeep(fcinfo);
	if (state == NULL)
	{
		state = Create(context, other->n, other->width);
		state->prior = other->prior;
	}
	CheckSamePrior(&state->prior, &other->prior);
	MakeRoom(state, other->n);
	memcpy((char *) state->rows + state->n * state->width, other->rows, other->n * other->width);
	state->n += other->n;
	PG_RETURN_POINTER(state);
}

Datum
FitStateSerialize(FunctionCallInfo fcinfo, const FitState *state)
{
	Size		size = VARHDRSZ + sizeof(PriorArgument) + state->n * state->width;
	bytea	   *result;

	(void) AggregateContext(fcinfo);
	if (!AllocSizeIsValid(size))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the rows of a fit are too many for a parallel worker to hand on"),
				 errhint("SET max_parallel_workers_per_gather = 0.")));
	result = palloc(size);
	SET_VARSIZE(result, size);
	memcpy(VARDATA(result), &state->prior, sizeof(PriorArgument));
	memcpy(VARDATA(result) + sizeof(PriorArgument), state->rows, state->n * state->width);
	PG_RETURN_BYTEA_P(result);
}

Datum
FitStateDeserialize(FunctionCallInfo fcinfo, Size width)
{
	bytea	   *bytes = PG_GETARG_BYTEA_PP(0);
	Size		size = VARSIZE_ANY_EXHDR(bytes);
	FitState   *state;

	(void) AggregateContext(fcinfo);
	if (size < sizeof(PriorArgument) || (size - sizeof(PriorArgument)) % width != 0)
		elog(ERROR, "invalid state of a fit");
	size -= sizeof(PriorArgument);
	state = Create(CurrentMemoryContext, size / width, width);
	state->n = size / width;
	memcpy(&state->prior, VARDATA_ANY(bytes), sizeof(PriorArgument));
	memcpy(state->rows, VARDATA_ANY(bytes) + sizeof(PriorArgument), size);
	PG_RETURN_POINTER(state);
}

FitState *
FitStateOf(FunctionCallInfo fcinfo)
{
	(void) AggregateContext(fcinfo);
	return PG_ARGISNULL(0) ? NULL : (FitState *) PG_GETARG_POINTER(0);
}

const Prior *
FitStatePrior(const FitState *state)
{
	return state && state->prior.n > 0 ? &state->prior.prior : NULL;
}

void
CheckPrior(const char *fault)
{
	if (fault)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid prior: %s", fault),
				 errhint("Pass a median for each parameter, in the order in which the fit returns them.")));
}
