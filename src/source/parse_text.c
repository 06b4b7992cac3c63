/*
 * parse_text.c
 *		Reading days and amounts from texts in the database's encoding.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "source/parse_text.h"
#include "timeline/amount.h"

PG_FUNCTION_INFO_V1(custseg_parse_amount);
PG_FUNCTION_INFO_V1(custseg_parse_time);

#define LONGEST_TEXT	4096	/* bytes */

static const char *const order_names[] = {
	[PARSE_YMD] = "YMD",
	[PARSE_DMY] = "DMY",
	[PARSE_MDY] = "MDY",
};

static const char *const time_reasons[] = {
	[PARSE_UNREADABLE] = TIME_UNREADABLE,
	[PARSE_SHORT_YEAR] = TIME_SHORT_YEAR,
	[PARSE_OTHER_ORDER] = TIME_OTHER_ORDER,
	[PARSE_IMPOSSIBLE] = TIME_IMPOSSIBLE,
	[PARSE_OUT_OF_RANGE] = "time is infinite or out of range",
};

static const char *const amount_reasons[] = {
	[PARSE_UNREADABLE] = AMOUNT_UNREADABLE,
	[PARSE_AMBIGUOUS] = AMOUNT_AMBIGUOUS,
	[PARSE_TOO_PRECISE] = "amount has more than 4 decimals",
	[PARSE_OUT_OF_RANGE] = "amount is out of range",
};

ParseOrder
ParseOrderOf(const char *name)
{
	if (name == NULL)
		return PARSE_NONE;
	for (ParseOrder order = PARSE_YMD; order < lengthof(order_names); order++)
		if (pg_strcasecmp(name, order_names[order]) == 0)
			return order;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("parse must be YMD, DMY or MDY"),
			 errhint("It says in which order day, month and year stand in texts like 03/04/2026.")));
}

const char *
ParseOrderName(ParseOrder order)
{
	return order == PARSE_NONE ? NULL : order_names[order];
}

static bool
IsAscii(const char *bytes, int len)
{
	for (int i = 0; i < len; i++)
		if (IS_HIGHBIT_SET(bytes[i]))
			return false;
	return true;
}

/* In UTF-8, which the caller frees where it is not "bytes"; NULL where a letter is none there. */
static const char *
InUtf8(const char *bytes, int *len)
{
	int			encoding = GetDatabaseEncoding();
	Oid			conversion;
	int			room;
	char	   *converted;

	if (encoding == PG_UTF8 || encoding == PG_SQL_ASCII || IsAscii(bytes, *len))
		return bytes;
	conversion = FindDefaultConversionProc(encoding, PG_UTF8);
	if (!OidIsValid(conversion))
		return NULL;
	/* No day and no amount is as long as that. */
	if (*len > LONGEST_TEXT)
		return NULL;
	room = *len * MAX_CONVERSION_GROWTH + 1;
	converted = palloc(room);
	if (pg_do_encoding_conversion_buf(conversion, encoding, PG_UTF8, (unsigned char *) unconstify(char *, bytes), *len,
									  (unsigned char *) converted, room, true) != *len)
	{
		pfree(converted);
		return NULL;
	}
	*len = strlen(converted);
	return converted;
}

/* A text in UTF-8, while it is read. */
typedef struct Opened
{
	struct varlena *text;
	const char *bytes;			/* NULL: it cannot be read */
	int			len;
} Opened;

static Opened
OpenText(Datum text)
{
	Opened		opened = {PG_DETOAST_DATUM_PACKED(text)};

	opened.len = VARSIZE_ANY_EXHDR(opened.text);
	opened.bytes = InUtf8(VARDATA_ANY(opened.text), &opened.len);
	return opened;
}

static void
CloseText(const Opened *opened, Datum text)
{
	if (opened->bytes != NULL && opened->bytes != VARDATA_ANY(opened->text))
		pfree(unconstify(char *, opened->bytes));
	if ((Pointer) opened->text != DatumGetPointer(text))
		pfree(opened->text);
}

ParseStatus
ParseDayText(Datum text, ParseOrder order, DayMapper *days, DateADT *day)
{
	Opened		opened = OpenText(text);
	ParsedTime	time;
	ParseStatus status = opened.bytes ? ParseTime(opened.bytes, opened.len, order, &time) : PARSE_UNREADABLE;
	bool		ok;

	CloseText(&opened, text);
	if (status != PARSE_OK)
		return status;
	if (time.zoned)
		ok = DayMapperDay(days, time.local - time.east * USECS_PER_SEC, day);
	else
		ok = DayOfTimestamp(time.local, day);
	return ok ? PARSE_OK : PARSE_OUT_OF_RANGE;
}

ParseStatus
ParseAmountText(Datum text, int64 *scaled)
{
	Opened		opened = OpenText(text);
	ParseStatus status = opened.bytes ? ParseAmount(opened.bytes, opened.len, scaled) : PARSE_UNREADABLE;

	CloseText(&opened, text);
	return status;
}

/* ------------------------------------------------------------ their faces in SQL */

/* A value, or why there is none. */
static Datum
ValueOrReason(FunctionCallInfo fcinfo, Datum value, const char *reason)
{
	Datum		values[2] = {value, reason ? CStringGetTextDatum(reason) : (Datum) 0};
	bool		nulls[2] = {reason != NULL, reason == NULL};
	TupleDesc	desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

Datum
custseg_parse_amount(PG_FUNCTION_ARGS)
{
	int64		scaled = 0;
	ParseStatus status = ParseAmountText(PG_GETARG_DATUM(0), &scaled);

	return ValueOrReason(fcinfo, NumericGetDatum(AmountToNumeric(scaled)), amount_reasons[status]);
}

Datum
custseg_parse_time(PG_FUNCTION_ARGS)
{
	ParseOrder	order = ParseOrderOf(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	DayMapper  *days = DayMapperCreate(text_to_cstring(PG_GETARG_TEXT_PP(2)));
	DateADT		day = 0;
	ParseStatus status = ParseDayText(PG_GETARG_DATUM(0), order, days, &day);

	return ValueOrReason(fcinfo, DateADTGetDatum(day), time_reasons[status]);
}
