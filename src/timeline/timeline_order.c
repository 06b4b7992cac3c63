/*
 * timeline_order.c
 *		Equality, order and hash of timelines.
 *
 * There is one way to write a history, so equal timelines are equal bytes.
 * The order is by the first day on which two histories differ; it is for
 * indexes, DISTINCT and merge joins, and has no meaning for a shop.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "miscadmin.h"

#include "timeline/timeline.h"

PG_FUNCTION_INFO_V1(custseg_timeline_eq);
PG_FUNCTION_INFO_V1(custseg_timeline_ne);
PG_FUNCTION_INFO_V1(custseg_timeline_lt);
PG_FUNCTION_INFO_V1(custseg_timeline_le);
PG_FUNCTION_INFO_V1(custseg_timeline_gt);
PG_FUNCTION_INFO_V1(custseg_timeline_ge);
PG_FUNCTION_INFO_V1(custseg_timeline_cmp);
PG_FUNCTION_INFO_V1(custseg_timeline_hash);
PG_FUNCTION_INFO_V1(custseg_timeline_hash_extended);

static bool
SameBytes(const struct varlena *a, const struct varlena *b)
{
	return VARSIZE_ANY_EXHDR(a) == VARSIZE_ANY_EXHDR(b) &&
		memcmp(VARDATA_ANY(a), VARDATA_ANY(b), VARSIZE_ANY_EXHDR(a)) == 0;
}

static bool
Equal(FunctionCallInfo fcinfo)
{
	struct varlena *a;
	struct varlena *b;
	bool		result;

	/* The sizes are known without detoasting. */
	if (toast_raw_datum_size(PG_GETARG_DATUM(0)) != toast_raw_datum_size(PG_GETARG_DATUM(1)))
		return false;
	a = PG_GETARG_VARLENA_PP(0);
	b = PG_GETARG_VARLENA_PP(1);
	result = SameBytes(a, b);
	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return result;
}

#define THREE_WAY(x, y) ((x) < (y) ? -1 : (x) > (y))

static int
CompareEntries(const TimelineEntry *a, const TimelineEntry *b)
{
	int			result = THREE_WAY(a->day, b->day);

	if (result == 0)
		result = THREE_WAY(a->orders, b->orders);
	if (result == 0)
		result = THREE_WAY(a->gross, b->gross);
	if (result == 0)
		result = THREE_WAY(a->refunded, b->refunded);
	if (result == 0)
		result = THREE_WAY(a->on_promotion, b->on_promotion);
	return result;
}

static int
Compare(FunctionCallInfo fcinfo)
{
	struct varlena *a = PG_GETARG_VARLENA_PP(0);
	struct varlena *b = PG_GETARG_VARLENA_PP(1);
	int			result = 0;

	if (!SameBytes(a, b))
	{
		TimelineIter iter_a;
		TimelineIter iter_b;

		if (!TimelineIterInit(&iter_a, a) || !TimelineIterInit(&iter_b, b))
			TimelineVersionError();
		while (result == 0)
		{
			TimelineEntry entry_a = {0};
			TimelineEntry entry_b = {0};
			bool		more_a = TimelineIterNext(&iter_a, &entry_a);
			bool		more_b = TimelineIterNext(&iter_b, &entry_b);

			CHECK_FOR_INTERRUPTS();
			if (!more_a || !more_b)
			{
				result = THREE_WAY(more_a, more_b);
				break;
			}
			result = CompareEntries(&entry_a, &entry_b);
		}
	}
	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return result;
}

Datum
custseg_timeline_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(Equal(fcinfo));
}

Datum
custseg_timeline_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!Equal(fcinfo));
}

Datum
custseg_timeline_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(Compare(fcinfo) < 0);
}

Datum
custseg_timeline_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(Compare(fcinfo) <= 0);
}

Datum
custseg_timeline_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(Compare(fcinfo) > 0);
}

Datum
custseg_timeline_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(Compare(fcinfo) >= 0);
}

Datum
custseg_timeline_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(Compare(fcinfo));
}

Datum
custseg_timeline_hash(PG_FUNCTION_ARGS)
{
	struct varlena *t = PG_GETARG_VARLENA_PP(0);
	Datum		result = hash_any((unsigned char *) VARDATA_ANY(t), VARSIZE_ANY_EXHDR(t));

	PG_FREE_IF_COPY(t, 0);
	return result;
}

Datum
custseg_timeline_hash_extended(PG_FUNCTION_ARGS)
{
	struct varlena *t = PG_GETARG_VARLENA_PP(0);
	Datum		result = hash_any_extended((unsigned char *) VARDATA_ANY(t),
										   VARSIZE_ANY_EXHDR(t), PG_GETARG_INT64(1));

	PG_FREE_IF_COPY(t, 0);
	return result;
}
