/*
 * input.c
 *		Arguments of the functions that people and senders call.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "common/input.h"

static void
RequireArgument(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", name)));
}

char *
ArgText(FunctionCallInfo fcinfo, int n, const char *name)
{
	char	   *value;

	RequireArgument(fcinfo, n, name);
	value = text_to_cstring(PG_GETARG_TEXT_PP(n));
	if (value[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not be empty", name)));
	if (strlen(value) > 10000)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s is too long", name),
				 errhint("It may have 10000 bytes.")));
	return value;
}

int64
ArgInt64(FunctionCallInfo fcinfo, int n, const char *name)
{
	RequireArgument(fcinfo, n, name);
	return PG_GETARG_INT64(n);
}

pg_uuid_t *
ArgUuid(FunctionCallInfo fcinfo, int n, const char *name)
{
	RequireArgument(fcinfo, n, name);
	return PG_GETARG_UUID_P(n);
}

TimestampTz
ArgAsOf(FunctionCallInfo fcinfo, int n)
{
	TimestampTz as_of;

	RequireArgument(fcinfo, n, "as_of");
	as_of = PG_GETARG_TIMESTAMPTZ(n);
	if (TIMESTAMP_NOT_FINITE(as_of))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("as_of must be a finite time"),
				 errhint("Leave it out for now().")));
	return as_of;
}

static Datum
IntervalOf(const char *text)
{
	return DirectFunctionCall3(interval_in, CStringGetDatum(text),
							   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
}

Interval *
ArgSpan(FunctionCallInfo fcinfo, int n, const char *name, const char *low, const char *high)
{
	Datum		span;

	if (PG_ARGISNULL(n))
		return NULL;
	span = PG_GETARG_DATUM(n);
	if (DatumGetBool(DirectFunctionCall2(interval_lt, span, IntervalOf(low))) ||
		DatumGetBool(DirectFunctionCall2(interval_gt, span, IntervalOf(high))))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be between %s and %s", name, low, high)));
	return DatumGetIntervalP(span);
}
