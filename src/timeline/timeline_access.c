/*
 * timeline_access.c
 *		What a timeline says as of a day.
 *
 * Every accessor looks at the entries up to and including a day. Summarize
 * does that for all of them, and decodes nothing when the header already has
 * what is asked for, which is so for most customers when the day is not
 * before their last entry. The header of a value that is stored out of line
 * is read without fetching the rest.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"

#include "timeline/amount.h"
#include "timeline/timeline.h"

PG_FUNCTION_INFO_V1(custseg_order_count);
PG_FUNCTION_INFO_V1(custseg_order_count_between);
PG_FUNCTION_INFO_V1(custseg_order_days);
PG_FUNCTION_INFO_V1(custseg_first_order_day);
PG_FUNCTION_INFO_V1(custseg_last_order_day);
PG_FUNCTION_INFO_V1(custseg_last_bought_day);
PG_FUNCTION_INFO_V1(custseg_recency);
PG_FUNCTION_INFO_V1(custseg_spend);
PG_FUNCTION_INFO_V1(custseg_spend_between);
PG_FUNCTION_INFO_V1(custseg_gross);
PG_FUNCTION_INFO_V1(custseg_refunded);
PG_FUNCTION_INFO_V1(custseg_repeat_summary);
PG_FUNCTION_INFO_V1(custseg_gaps);
PG_FUNCTION_INFO_V1(custseg_mean_gap);
PG_FUNCTION_INFO_V1(custseg_quantile_gap);
PG_FUNCTION_INFO_V1(custseg_entries);

#define ST_SORT SortDays
#define ST_ELEMENT_TYPE int32
#define ST_COMPARE(a, b) (*(a) < *(b) ? -1 : *(a) > *(b))
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"
#include "utils/tuplestore.h"

/* What the header may lack; the sums it always has. */
#define NEED_SUMS			0
#define NEED_FIRST_ORDER	1
#define NEED_LAST_ORDER		2
#define NEED_ORDER_DAYS		4

typedef struct Summary
{
	int64		orders;
	int64		gross;
	int64		refunded;
	uint32		order_days;		/* the rest is valid only if asked for */
	DateADT		first_order;
	DateADT		last_order;
} Summary;

static void
StartIter(TimelineIter *iter, const struct varlena *t)
{
	if (!TimelineIterInit(iter, t))
		TimelineVersionError();
}

/* Can the header alone answer for all days? */
static bool
HeadSuffices(const TimelineHead *head, int needs)
{
	if (head->has_void)
		return false;
	if (head->all_are_orders || head->orders == 0)
		return true;
	if (needs & NEED_ORDER_DAYS)
		return false;
	return ((needs & NEED_FIRST_ORDER) == 0 || head->first_is_order) &&
		((needs & NEED_LAST_ORDER) == 0 || head->last_is_order);
}

/* The timeline argument from one day up to another, both included. */
static void
SummarizeBetween(FunctionCallInfo fcinfo, DateADT from, DateADT until, int needs, Summary *summary)
{
	TimelineHead head;
	TimelineIter iter;
	TimelineEntry entry;
	struct varlena *t;

	memset(summary, 0, sizeof(Summary));
	TimelineDatumHead(PG_GETARG_DATUM(0), &head);
	if (head.entries == 0 || until < head.first_day || from > head.last_day)
		return;
	if (from <= head.first_day && until >= head.last_day && HeadSuffices(&head, needs))
	{
		summary->orders = head.orders;
		summary->gross = head.gross;
		summary->refunded = head.refunded;
		summary->order_days = head.orders > 0 ? head.entries : 0;
		summary->first_order = head.first_day;
		summary->last_order = head.last_day;
		return;
	}

	t = PG_GETARG_VARLENA_PP(0);
	StartIter(&iter, t);
	while (TimelineIterNextCounted(&iter, &entry) && entry.day <= until)
	{
		CHECK_FOR_INTERRUPTS();
		if (entry.day < from)
			continue;
		summary->orders += entry.orders;
		summary->gross += entry.gross;
		summary->refunded += entry.refunded;
		if (entry.orders > 0)
		{
			if (summary->order_days++ == 0)
				summary->first_order = entry.day;
			summary->last_order = entry.day;
		}
	}
	PG_FREE_IF_COPY(t, 0);
}

static inline void
Summarize(FunctionCallInfo fcinfo, DateADT as_of, int needs, Summary *summary)
{
	SummarizeBetween(fcinfo, DATEVAL_NOBEGIN, as_of, needs, summary);
}

/* A day to measure a distance to. */
static DateADT
FiniteDay(FunctionCallInfo fcinfo, int argno)
{
	DateADT		day = PG_GETARG_DATEADT(argno);

	if (DATE_NOT_FINITE(day))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("as_of must be a finite day"),
				 errhint("Pass a day such as custseg.shop_day(now()).")));
	return day;
}

Datum
custseg_order_count(PG_FUNCTION_ARGS)
{
	Summary		summary;

	Summarize(fcinfo, PG_GETARG_DATEADT(1), NEED_SUMS, &summary);
	PG_RETURN_INT64(summary.orders);
}

Datum
custseg_order_count_between(PG_FUNCTION_ARGS)
{
	Summary		summary;

	SummarizeBetween(fcinfo, PG_GETARG_DATEADT(1), PG_GETARG_DATEADT(2), NEED_SUMS, &summary);
	PG_RETURN_INT64(summary.orders);
}

Datum
custseg_order_days(PG_FUNCTION_ARGS)
{
	Summary		summary;

	Summarize(fcinfo, PG_GETARG_DATEADT(1), NEED_ORDER_DAYS, &summary);
	PG_RETURN_INT32((int32) summary.order_days);
}

Datum
custseg_first_order_day(PG_FUNCTION_ARGS)
{
	Summary		summary;

	Summarize(fcinfo, PG_GETARG_DATEADT(1), NEED_FIRST_ORDER, &summary);
	if (summary.orders == 0)
		PG_RETURN_NULL();
	PG_RETURN_DATEADT(summary.first_order);
}

Datum
custseg_last_order_day(PG_FUNCTION_ARGS)
{
	Summary		summary;

	Summarize(fcinfo, PG_GETARG_DATEADT(1), NEED_LAST_ORDER, &summary);
	if (summary.orders == 0)
		PG_RETURN_NULL();
	PG_RETURN_DATEADT(summary.last_order);
}

/* Also of a day that is void, which whoever looks into the shop's table sees as an order. */
Datum
custseg_last_bought_day(PG_FUNCTION_ARGS)
{
	TimelineHead head;
	TimelineIter iter;
	TimelineEntry entry;
	DateADT		day = 0;

	TimelineDatumHead(PG_GETARG_DATUM(0), &head);
	if (head.orders == 0)
		PG_RETURN_NULL();
	if (head.last_is_order)
		PG_RETURN_DATEADT(head.last_day);
	StartIter(&iter, PG_GETARG_VARLENA_PP(0));
	while (TimelineIterNext(&iter, &entry))
	{
		CHECK_FOR_INTERRUPTS();
		if (entry.orders > 0)
			day = entry.day;
	}
	PG_RETURN_DATEADT(day);
}

Datum
custseg_recency(PG_FUNCTION_ARGS)
{
	DateADT		as_of = FiniteDay(fcinfo, 1);
	Summary		summary;

	Summarize(fcinfo, as_of, NEED_LAST_ORDER, &summary);
	if (summary.orders == 0)
		PG_RETURN_NULL();
	PG_RETURN_INT32(as_of - summary.last_order);
}

Datum
custseg_spend(PG_FUNCTION_ARGS)
{
	Summary		summary;

	Summarize(fcinfo, PG_GETARG_DATEADT(1), NEED_SUMS, &summary);
	PG_RETURN_NUMERIC(AmountToNumeric(summary.gross - summary.refunded));
}

Datum
custseg_spend_between(PG_FUNCTION_ARGS)
{
	Summary		summary;

	SummarizeBetween(fcinfo, PG_GETARG_DATEADT(1), PG_GETARG_DATEADT(2), NEED_SUMS, &summary);
	PG_RETURN_NUMERIC(AmountToNumeric(summary.gross - summary.refunded));
}

Datum
custseg_gross(PG_FUNCTION_ARGS)
{
	Summary		summary;

	Summarize(fcinfo, PG_GETARG_DATEADT(1), NEED_SUMS, &summary);
	PG_RETURN_NUMERIC(AmountToNumeric(summary.gross));
}

Datum
custseg_refunded(PG_FUNCTION_ARGS)
{
	Summary		summary;

	Summarize(fcinfo, PG_GETARG_DATEADT(1), NEED_SUMS, &summary);
	PG_RETURN_NUMERIC(AmountToNumeric(summary.refunded));
}

/* The result's row type, looked up once a query. */
static TupleDesc
ResultRow(FunctionCallInfo fcinfo)
{
	if (fcinfo->flinfo->fn_extra == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
		TupleDesc	row;

		if (get_call_result_type(fcinfo, NULL, &row) != TYPEFUNC_COMPOSITE)
			elog(ERROR, "return type must be a row type");
		fcinfo->flinfo->fn_extra = BlessTupleDesc(row);
		MemoryContextSwitchTo(old);
	}
	return fcinfo->flinfo->fn_extra;
}

Datum
custseg_repeat_summary(PG_FUNCTION_ARGS)
{
	DateADT		as_of = FiniteDay(fcinfo, 1);
	Summary		summary;
	Datum		values[3] = {0};
	bool		nulls[3] = {true, true, true};

	Summarize(fcinfo, as_of, NEED_ORDER_DAYS, &summary);
	if (summary.orders > 0)
	{
		values[0] = Int32GetDatum((int32) summary.order_days - 1);
		values[1] = Int32GetDatum(summary.last_order - summary.first_order);
		values[2] = Int32GetDatum(as_of - summary.first_order);
		memset(nulls, false, sizeof(nulls));
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(ResultRow(fcinfo), values, nulls)));
}

/* Write the days between order days to "gaps" if there is one to write to; how many there are. */
static int
ReadGaps(const struct varlena *t, DateADT as_of, int32 *gaps)
{
	TimelineIter iter;
	TimelineEntry entry;
	DateADT		last = DATEVAL_NOBEGIN;
	int			n = 0;

	StartIter(&iter, t);
	while (TimelineIterNextCounted(&iter, &entry) && entry.day <= as_of)
	{
		CHECK_FOR_INTERRUPTS();
		if (entry.orders == 0)
			continue;
		if (last != DATEVAL_NOBEGIN)
		{
			if (gaps != NULL)
				gaps[n] = entry.day - last;
			n++;
		}
		last = entry.day;
	}
	return n;
}

Datum
custseg_gaps(PG_FUNCTION_ARGS)
{
	struct varlena *t = PG_GETARG_VARLENA_PP(0);
	DateADT		as_of = PG_GETARG_DATEADT(1);
	int			n = ReadGaps(t, as_of, NULL);
	Size		size = ARR_OVERHEAD_NONULLS(1) + n * sizeof(int32);
	ArrayType  *array;

	if (n == 0)
		PG_RETURN_ARRAYTYPE_P(construct_empty_array(INT4OID));
	array = palloc0(size);
	SET_VARSIZE(array, size);
	array->ndim = 1;
	array->elemtype = INT4OID;
	ARR_DIMS(array)[0] = n;
	ARR_LBOUND(array)[0] = 1;
	(void) ReadGaps(t, as_of, (int32 *) ARR_DATA_PTR(array));
	PG_FREE_IF_COPY(t, 0);
	PG_RETURN_ARRAYTYPE_P(array);
}

Datum
custseg_mean_gap(PG_FUNCTION_ARGS)
{
	Summary		summary;

	Summarize(fcinfo, PG_GETARG_DATEADT(1), NEED_ORDER_DAYS, &summary);
	if (summary.order_days < 2)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8((double) (summary.last_order - summary.first_order) /
					 (summary.order_days - 1));
}

Datum
custseg_quantile_gap(PG_FUNCTION_ARGS)
{
	struct varlena *t = PG_GETARG_VARLENA_PP(0);
	double		p = PG_GETARG_FLOAT8(1);
	DateADT		as_of = PG_GETARG_DATEADT(2);
	int			n;
	int32	   *gaps;
	double		position;
	int			below;
	double		result;

	if (!(p >= 0 && p <= 1))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("quantile %g is not between 0 and 1", p),
				 errhint("The median is 0.5.")));

	n = ReadGaps(t, as_of, NULL);
	if (n == 0)
		PG_RETURN_NULL();
	gaps = palloc(n * sizeof(int32));
	(void) ReadGaps(t, as_of, gaps);
	SortDays(gaps, n);

	/* As percentile_cont does it. */
	position = p * (n - 1);
	below = (int) floor(position);
	result = gaps[below];
	if (below < n - 1)
		result += (position - below) * (gaps[below + 1] - result);
	pfree(gaps);
	PG_FREE_IF_COPY(t, 0);
	PG_RETURN_FLOAT8(result);
}

Datum
custseg_entries(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	DateADT		as_of = PG_GETARG_DATEADT(1);
	TimelineIter iter;
	TimelineEntry entry;
	bool		nulls[5] = {0};

	InitMaterializedSRF(fcinfo, 0);
	StartIter(&iter, PG_GETARG_VARLENA_PP(0));
	while (TimelineIterNextCounted(&iter, &entry) && entry.day <= as_of)
	{
		Datum		values[5];
		Numeric		net = AmountToNumeric(entry.gross - entry.refunded);
		Numeric		refunded = AmountToNumeric(entry.refunded);

		CHECK_FOR_INTERRUPTS();
		if (entry.orders > PG_INT32_MAX)
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("number of orders of a day is out of range for type integer"),
					 errhint("Use custseg.order_count_between, which gives a bigint.")));
		values[0] = DateADTGetDatum(entry.day);
		values[1] = Int32GetDatum((int32) entry.orders);
		values[2] = NumericGetDatum(net);
		values[3] = NumericGetDatum(refunded);
		values[4] = BoolGetDatum(entry.on_promotion);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
		pfree(net);
		pfree(refunded);
	}
	return (Datum) 0;
}
