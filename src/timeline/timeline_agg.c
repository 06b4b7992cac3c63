/*
 * timeline_agg.c
 *		Aggregates that build and unite timelines.
 *
 * The state is an array of entries that starts with room for one, since there
 * may be millions of groups and most customers order once. Rows are appended;
 * when the array is full it is folded (sorted and united by day), and only if
 * that does not free half of it does it grow. The result is encoded from the
 * folded entries and so does not depend on how the rows were ordered or
 * divided among workers.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "common/zone.h"
#include "timeline/amount.h"
#include "timeline/day.h"
#include "timeline/timeline.h"

PG_FUNCTION_INFO_V1(custseg_timeline_trans_timestamptz);
PG_FUNCTION_INFO_V1(custseg_timeline_trans_timestamp);
PG_FUNCTION_INFO_V1(custseg_timeline_trans_date);
PG_FUNCTION_INFO_V1(custseg_timeline_merge_trans);
PG_FUNCTION_INFO_V1(custseg_timeline_combine);
PG_FUNCTION_INFO_V1(custseg_timeline_serialize);
PG_FUNCTION_INFO_V1(custseg_timeline_deserialize);
PG_FUNCTION_INFO_V1(custseg_timeline_final);
PG_FUNCTION_INFO_V1(custseg_timeline_add);

typedef struct State
{
	int			n;
	int			capacity;
	TimelineEntry entries[FLEXIBLE_ARRAY_MEMBER];
} State;

/* Sizes that fill the powers of two that palloc gives. */
#define STATE_SIZE(capacity) (offsetof(State, entries) + (Size) (capacity) * sizeof(TimelineEntry))

static State *
StateCreate(MemoryContext context, int capacity)
{
	State	   *state = MemoryContextAlloc(context, STATE_SIZE(capacity));

	state->n = 0;
	state->capacity = capacity;
	return state;
}

static void
StateFold(State *state)
{
	state->n = TimelineFold(state->entries, state->n);
	if (state->n < 0)
		TimelineOverflowError();
}

/* The state may move. */
static State *
StateMakeRoom(State *state)
{
	StateFold(state);
	if (state->n > state->capacity / 2)
	{
		int			capacity = state->capacity * 2 + 1;

		if (capacity >= TIMELINE_MAX_ENTRIES)
			TimelineTooLongError();
		state = repalloc(state, STATE_SIZE(capacity));
		state->capacity = capacity;
	}
	return state;
}

static inline State *
StateAppend(State *state, const TimelineEntry *entry)
{
	if (state->n == state->capacity)
		state = StateMakeRoom(state);
	state->entries[state->n++] = *entry;
	return state;
}

/* Append a timeline's entries; its days are distinct already. */
static State *
StateAppendTimeline(State *state, MemoryContext context, const struct varlena *t)
{
	TimelineIter iter;
	TimelineEntry entry;

	if (!TimelineIterInit(&iter, t))
		TimelineVersionError();
	if (state == NULL)
		state = StateCreate(context, 1);
	while (TimelineIterNext(&iter, &entry))
	{
		CHECK_FOR_INTERRUPTS();
		state = StateAppend(state, &entry);
	}
	return state;
}

static MemoryContext
AggregateContext(FunctionCallInfo fcinfo)
{
	MemoryContext context;

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "aggregate function called in non-aggregate context");
	return context;
}

/* The zone of the rows so far. */
typedef struct ZoneCache
{
	DayMapper  *mapper;			/* NULL when only the name is checked */
	int			length;
	char		name[TZ_STRLEN_MAX + 1];
} ZoneCache;

static DayMapper *
CachedZone(FunctionCallInfo fcinfo, int argno, bool want_mapper)
{
	ZoneCache  *cache = fcinfo->flinfo->fn_extra;
	text	   *zone;
	int			length;
	MemoryContext old;

	if (PG_ARGISNULL(argno))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("time zone must not be null"),
				 errhint("Pass the shop's time zone, for example 'Europe/London'.")));
	zone = PG_GETARG_TEXT_PP(argno);
	length = VARSIZE_ANY_EXHDR(zone);
	if (likely(cache != NULL && cache->length == length &&
			   memcmp(cache->name, VARDATA_ANY(zone), length) == 0))
		return cache->mapper;

	if (cache == NULL)
	{
		cache = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(ZoneCache));
		cache->length = -1;
		fcinfo->flinfo->fn_extra = cache;
	}
	cache->length = -1;
	if (cache->mapper != NULL)
		pfree(cache->mapper);
	cache->mapper = NULL;

	if (want_mapper)
	{
		old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
		cache->mapper = DayMapperCreate(text_to_cstring(zone));
		MemoryContextSwitchTo(old);
	}
	else
		(void) TimeZoneByName(text_to_cstring(zone), false);

	/* A zone that exists has a name that fits. */
	memcpy(cache->name, VARDATA_ANY(zone), length);
	cache->length = length;
	return cache->mapper;
}

static void
DayError(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
			 errmsg("the time of an order must be a finite time"),
			 errhint("Leave such rows out, for example with FILTER (WHERE isfinite(...)).")));
}

typedef enum TimeKind
{
	MOMENT,
	LOCAL_TIME,
	LOCAL_DATE
} TimeKind;

/* (state, at, amount [, zone [, on_promotion]]) */
static pg_attribute_always_inline Datum
Accumulate(FunctionCallInfo fcinfo, const TimeKind kind)
{
	MemoryContext context = AggregateContext(fcinfo);
	State	   *state = PG_ARGISNULL(0) ? NULL : (State *) PG_GETARG_POINTER(0);
	DayMapper  *mapper = NULL;
	TimelineEntry entry;
	AmountStatus status;
	DateADT		day;
	int64		amount;
	bool		ok;

	if (PG_NARGS() > 3)
		mapper = CachedZone(fcinfo, 3, kind == MOMENT);

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
	{
		if (state == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(state);
	}

	if (kind == MOMENT)
		ok = DayMapperDay(mapper, PG_GETARG_TIMESTAMPTZ(1), &day);
	else if (kind == LOCAL_TIME)
		ok = DayOfTimestamp(PG_GETARG_TIMESTAMP(1), &day);
	else
		ok = DayOfDate(PG_GETARG_DATEADT(1), &day);
	if (unlikely(!ok))
		DayError();

	status = AmountFromNumeric(PG_GETARG_DATUM(2), &amount);
	if (unlikely(status != AMOUNT_OK))
		AmountError(status, PG_GETARG_DATUM(2));

	TimelineEntryFromRow(&entry, day, amount,
						 PG_NARGS() > 4 && !PG_ARGISNULL(4) && PG_GETARG_BOOL(4));

	if (state == NULL)
		state = StateCreate(context, 1);
	PG_RETURN_POINTER(StateAppend(state, &entry));
}

Datum
custseg_timeline_trans_timestamptz(PG_FUNCTION_ARGS)
{
	return Accumulate(fcinfo, MOMENT);
}

Datum
custseg_timeline_trans_timestamp(PG_FUNCTION_ARGS)
{
	return Accumulate(fcinfo, LOCAL_TIME);
}

Datum
custseg_timeline_trans_date(PG_FUNCTION_ARGS)
{
	return Accumulate(fcinfo, LOCAL_DATE);
}

Datum
custseg_timeline_merge_trans(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo);
	State	   *state = PG_ARGISNULL(0) ? NULL : (State *) PG_GETARG_POINTER(0);

	if (!PG_ARGISNULL(1))
	{
		struct varlena *t = PG_GETARG_VARLENA_PP(1);

		state = StateAppendTimeline(state, context, t);
		PG_FREE_IF_COPY(t, 1);
	}
	if (state == NULL)
		PG_RETURN_NULL();
	PG_RETURN_POINTER(state);
}

Datum
custseg_timeline_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo);
	State	   *state = PG_ARGISNULL(0) ? NULL : (State *) PG_GETARG_POINTER(0);
	const State *other = PG_ARGISNULL(1) ? NULL : (State *) PG_GETARG_POINTER(1);

	if (other != NULL)
	{
		if (state == NULL)
			state = StateCreate(context, Max(other->n, 1));
		for (int i = 0; i < other->n; i++)
		{
			CHECK_FOR_INTERRUPTS();
			state = StateAppend(state, &other->entries[i]);
		}
	}
	if (state == NULL)
		PG_RETURN_NULL();
	PG_RETURN_POINTER(state);
}

/* A partial state travels as the timeline it would give. */
Datum
custseg_timeline_serialize(PG_FUNCTION_ARGS)
{
	State	   *state = (State *) PG_GETARG_POINTER(0);

	(void) AggregateContext(fcinfo);
	StateFold(state);
	PG_RETURN_POINTER(TimelineBuild(state->entries, state->n));
}

Datum
custseg_timeline_deserialize(PG_FUNCTION_ARGS)
{
	struct varlena *t = PG_GETARG_VARLENA_PP(0);

	(void) AggregateContext(fcinfo);
	PG_RETURN_POINTER(StateAppendTimeline(NULL, CurrentMemoryContext, t));
}

Datum
custseg_timeline_final(PG_FUNCTION_ARGS)
{
	State	   *state;

	(void) AggregateContext(fcinfo);
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();

	/* Folding changes how the state is written down, not what it says. */
	state = (State *) PG_GETARG_POINTER(0);
	StateFold(state);
	PG_RETURN_POINTER(TimelineBuild(state->entries, state->n));
}

Datum
custseg_timeline_add(PG_FUNCTION_ARGS)
{
	struct varlena *a = PG_GETARG_VARLENA_PP(0);
	struct varlena *b = PG_GETARG_VARLENA_PP(1);
	TimelineIter iter_a;
	TimelineIter iter_b;
	TimelineEntry *entries;
	TimelineEntry entry_b;
	bool		more_b;
	int			n = 0;

	if (!TimelineIterInit(&iter_a, a) || !TimelineIterInit(&iter_b, b))
		TimelineVersionError();
	if (iter_b.head.entries == 0)
		PG_RETURN_POINTER(a);
	if (iter_a.head.entries == 0)
		PG_RETURN_POINTER(b);
	if ((uint64) iter_a.head.entries + iter_b.head.entries > TIMELINE_MAX_ENTRIES)
		TimelineTooLongError();

	/* Interleaved, so that equal days are neighbours and nothing is sorted. */
	entries = palloc(sizeof(TimelineEntry) * (iter_a.head.entries + iter_b.head.entries));
	more_b = TimelineIterNext(&iter_b, &entry_b);
	while (TimelineIterNext(&iter_a, &entries[n]))
	{
		TimelineEntry entry_a = entries[n];

		CHECK_FOR_INTERRUPTS();
		for (; more_b && entry_b.day < entry_a.day; more_b = TimelineIterNext(&iter_b, &entry_b))
			entries[n++] = entry_b;
		entries[n++] = entry_a;
	}
	for (; more_b; more_b = TimelineIterNext(&iter_b, &entry_b))
		entries[n++] = entry_b;
	n = TimelineFold(entries, n);
	if (n < 0)
		TimelineOverflowError();
	PG_RETURN_POINTER(TimelineBuild(entries, n));
}
