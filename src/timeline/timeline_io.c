/*
 * timeline_io.c
 *		Text and binary form of a timeline.
 *
 * The text form lists the days, {day:orders:gross[:refunded][:p],...}, with p
 * for a day with a promotion. The binary form is the stored one with its
 * header in network byte order.
 */
#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "parser/scansup.h"
#include "utils/builtins.h"
#include "utils/datetime.h"

#include "common/compat.h"
#include "timeline/amount.h"
#include "timeline/timeline.h"

PG_FUNCTION_INFO_V1(custseg_timeline_in);
PG_FUNCTION_INFO_V1(custseg_timeline_out);
PG_FUNCTION_INFO_V1(custseg_timeline_recv);
PG_FUNCTION_INFO_V1(custseg_timeline_send);

#define SHOWN_INPUT 40			/* bytes of wrong input that a message repeats */
#define ENTRY_TEXT	96			/* no entry is longer */

/* Where the reading of the text is, and what is wrong with it. */
typedef struct Parser
{
	const char *p;
	const char *error;
} Parser;

static bool
Wrong(Parser *parser, const char *at, const char *error)
{
	parser->p = at;
	parser->error = error;
	return false;
}

static inline void
SkipSpace(Parser *parser)
{
	while (scanner_isspace(*parser->p))
		parser->p++;
}

/* Between min and max digits. */
static bool
ParseDigits(Parser *parser, int min, int max, uint64 *value)
{
	int			n = 0;

	for (*value = 0; *parser->p >= '0' && *parser->p <= '9' && n < max; n++)
		*value = *value * 10 + (*parser->p++ - '0');
	return n >= min && !(*parser->p >= '0' && *parser->p <= '9');
}

static bool
ParseDay(Parser *parser, DateADT *day)
{
	const char *start = parser->p;
	uint64		y;
	uint64		m;
	uint64		d;
	int			year;

	if (!ParseDigits(parser, 4, 7, &y) || *parser->p++ != '-' ||
		!ParseDigits(parser, 2, 2, &m) || *parser->p++ != '-' ||
		!ParseDigits(parser, 2, 2, &d))
		return Wrong(parser, start, "A day is written as year-month-day, such as 2024-01-31.");
	year = (int) y;
	if (strncmp(parser->p, " BC", 3) == 0)
	{
		parser->p += 3;
		year = 1 - year;
	}
	if (y == 0 || m < 1 || m > 12 || d < 1 ||
		d > day_tab[isleap(year)][m - 1] ||
		!IS_VALID_JULIAN(year, (int) m, (int) d))
		return Wrong(parser, start, "There is no such day.");
	*day = date2j(year, (int) m, (int) d) - POSTGRES_EPOCH_JDATE;
	if (!IS_VALID_DATE(*day))
		return Wrong(parser, start, "There is no such day.");
	return true;
}

static bool
ParseAmount(Parser *parser, int64 *amount)
{
	const char *start = parser->p;
	uint64		whole;
	uint64		value;
	int			decimals = 0;

	if (!ParseDigits(parser, 1, 15, &whole))
		return Wrong(parser, start, "An amount is written with up to 15 digits and up to 4 decimals, and no sign.");
	value = whole * AMOUNT_SCALE;
	if (*parser->p == '.')
	{
		uint64		unit = AMOUNT_SCALE / 10;

		for (parser->p++; *parser->p >= '0' && *parser->p <= '9'; decimals++, unit /= 10)
			value += (*parser->p++ - '0') * unit;
		if (decimals < 1 || decimals > 4)
			return Wrong(parser, start, "An amount has 1 to 4 digits behind the point.");
	}
	if (value > PG_INT64_MAX)
		return Wrong(parser, start, "An amount is at most 922337203685477.5807.");
	*amount = (int64) value;
	return true;
}

/* day:orders:gross[:refunded][:p] */
static bool
ParseEntry(Parser *parser, TimelineEntry *entry)
{
	const char *start = parser->p;
	uint64		orders;

	memset(entry, 0, sizeof(TimelineEntry));
	if (!ParseDay(parser, &entry->day))
		return false;
	if (*parser->p++ != ':')
		return Wrong(parser, start, "A colon and the number of orders must follow the day.");
	if (!ParseDigits(parser, 1, 10, &orders) || orders > PG_UINT32_MAX)
		return Wrong(parser, start, "The number of orders of a day is between 0 and 4294967295.");
	entry->orders = (uint32) orders;
	if (*parser->p++ != ':')
		return Wrong(parser, start, "A colon and the amount must follow the number of orders.");
	if (!ParseAmount(parser, &entry->gross))
		return false;
	if (parser->p[0] == ':' && parser->p[1] != 'p')
	{
		parser->p++;
		if (!ParseAmount(parser, &entry->refunded))
			return false;
	}
	if (parser->p[0] == ':' && parser->p[1] == 'p')
	{
		parser->p += 2;
		entry->on_promotion = true;
	}
	if (entry->orders == 0 && entry->gross != 0)
		return Wrong(parser, start, "A day without orders has no gross amount.");
	if (entry->orders == 0 && entry->refunded == 0)
		return Wrong(parser, start, "A day has an order, a refund, or both.");
	return true;
}

/* All entries, in a new allocation. */
static bool
ParseTimeline(Parser *parser, TimelineEntry **entries, int *n)
{
	int			capacity = 8;

	*entries = palloc(capacity * sizeof(TimelineEntry));
	*n = 0;
	SkipSpace(parser);
	if (*parser->p != '{')
		return Wrong(parser, parser->p, "It must start with a left brace.");
	parser->p++;
	SkipSpace(parser);
	while (*parser->p != '}')
	{
		const char *start = parser->p;
		TimelineEntry *entry;

		CHECK_FOR_INTERRUPTS();
		if (*n == capacity)
		{
			if (capacity > TIMELINE_MAX_ENTRIES / 2)
				TimelineTooLongError();
			capacity *= 2;
			*entries = repalloc(*entries, capacity * sizeof(TimelineEntry));
		}
		entry = &(*entries)[*n];
		if (!ParseEntry(parser, entry))
			return false;
		if (*n > 0 && entry->day <= entry[-1].day)
			return Wrong(parser, start, "Each day must come once, and after the days before it.");
		(*n)++;

		SkipSpace(parser);
		if (*parser->p == ',')
		{
			parser->p++;
			SkipSpace(parser);
			if (*parser->p == '}')
				return Wrong(parser, parser->p, "A day must follow the comma.");
		}
		else if (*parser->p != '}')
			return Wrong(parser, parser->p, "A comma or a right brace must follow the entry of a day.");
	}
	parser->p++;
	SkipSpace(parser);
	if (*parser->p != '\0')
		return Wrong(parser, parser->p, "Nothing may follow the right brace.");
	return true;
}

Datum
custseg_timeline_in(PG_FUNCTION_ARGS)
{
	Parser		parser = {PG_GETARG_CSTRING(0), NULL};
	TimelineEntry *entries;
	int			n;
	char	   *out;

	if (!ParseTimeline(&parser, &entries, &n))
	{
		int			length = strlen(parser.p);
		int			shown = pg_mbcliplen(parser.p, length, SHOWN_INPUT);

		ereturn(fcinfo->context, (Datum) 0,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 length == 0 ?
				 errmsg("invalid input syntax for type %s at its end", "custseg.timeline") :
				 errmsg("invalid input syntax for type %s at \"%.*s%s\"",
						"custseg.timeline", shown, parser.p, shown < length ? "..." : ""),
				 errdetail("%s", parser.error),
				 errhint("A timeline is written as {day:orders:gross[:refunded][:p],...}, for example {2024-01-05:1:29.33,2024-02-01:2:10:5.5:p}.")));
	}

	out = palloc(TimelineBound(n));
	if (TimelineEncode(out, entries, n) == 0)
		ereturn(fcinfo->context, (Datum) 0,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input for type %s", "custseg.timeline"),
				 errdetail("A total of all days is out of range."),
				 errhint("A timeline holds at most 922337203685477.5807 of gross or refunded amount and 4294967295 orders.")));
	pfree(entries);
	PG_RETURN_POINTER(out);
}

/* As few decimals as are exact. */
static char *
PrintAmount(char *p, int64 amount)
{
	int			fraction = (int) (amount % AMOUNT_SCALE);

	p += pg_ulltoa_n((uint64) (amount / AMOUNT_SCALE), p);
	if (fraction != 0)
	{
		*p++ = '.';
		p = pg_ultostr_zeropad(p, fraction, 4);
		while (p[-1] == '0')
			p--;
	}
	return p;
}

static char *
PrintEntry(char *p, const TimelineEntry *entry)
{
	int			year;
	int			month;
	int			day;

	j2date(entry->day + POSTGRES_EPOCH_JDATE, &year, &month, &day);
	p = pg_ultostr_zeropad(p, year > 0 ? year : 1 - year, 4);
	*p++ = '-';
	p = pg_ultostr_zeropad(p, month, 2);
	*p++ = '-';
	p = pg_ultostr_zeropad(p, day, 2);
	if (year <= 0)
	{
		memcpy(p, " BC", 3);
		p += 3;
	}
	*p++ = ':';
	p += pg_ultoa_n(entry->orders, p);
	*p++ = ':';
	p = PrintAmount(p, entry->gross);
	if (entry->refunded > 0)
	{
		*p++ = ':';
		p = PrintAmount(p, entry->refunded);
	}
	if (entry->on_promotion)
	{
		*p++ = ':';
		*p++ = 'p';
	}
	return p;
}

Datum
custseg_timeline_out(PG_FUNCTION_ARGS)
{
	struct varlena *t = PG_GETARG_VARLENA_PP(0);
	TimelineIter iter;
	TimelineEntry entry;
	StringInfoData out;
	bool		first = true;

	if (!TimelineIterInit(&iter, t))
		TimelineVersionError();
	initStringInfo(&out);
	appendStringInfoChar(&out, '{');
	while (TimelineIterNext(&iter, &entry))
	{
		CHECK_FOR_INTERRUPTS();
		enlargeStringInfo(&out, ENTRY_TEXT);
		if (!first)
			out.data[out.len++] = ',';
		first = false;
		out.len = PrintEntry(out.data + out.len, &entry) - out.data;
	}
	appendStringInfoChar(&out, '}');
	PG_FREE_IF_COPY(t, 0);
	PG_RETURN_CSTRING(out.data);
}

Datum
custseg_timeline_recv(PG_FUNCTION_ARGS)
{
	StringInfo	message = (StringInfo) PG_GETARG_POINTER(0);
	int			version = pq_getmsgbyte(message);
	TimelineHead head;
	uint8		flags;
	const char *body;
	int			length;
	const char *error;
	char	   *out;

	if (version != TIMELINE_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("timeline version %d is not supported", version),
				 errhint("Use a custseg that is as new as the one that wrote it.")));

	flags = pq_getmsgbyte(message);
	head.entries = pq_getmsgint(message, 4);
	head.orders = pq_getmsgint(message, 4);
	head.first_day = (int32) pq_getmsgint(message, 4);
	head.last_day = (int32) pq_getmsgint(message, 4);
	head.gross = pq_getmsgint64(message);
	head.refunded = pq_getmsgint64(message);
	length = message->len - message->cursor;
	body = pq_getmsgbytes(message, length);

	error = TimelineCheck(&head, flags, (const uint8 *) body, length);
	if (error != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid binary timeline"),
				 errdetail("In it, %s.", error),
				 errhint("Send what custseg.timeline_send gave, unchanged.")));

	out = palloc(VARHDRSZ + TIMELINE_HEAD_SIZE + (Size) length);
	SET_VARSIZE(out, VARHDRSZ + TIMELINE_HEAD_SIZE + (Size) length);
	TimelineWriteHead(out + VARHDRSZ, flags, &head);
	memcpy(out + VARHDRSZ + TIMELINE_HEAD_SIZE, body, length);
	PG_RETURN_POINTER(out);
}

Datum
custseg_timeline_send(PG_FUNCTION_ARGS)
{
	struct varlena *t = PG_GETARG_VARLENA_PP(0);
	const char *payload = VARDATA_ANY(t);
	TimelineHead head;
	StringInfoData out;

	if (!TimelineReadHead(t, &head))
		TimelineVersionError();
	pq_begintypsend(&out);
	pq_sendbyte(&out, (uint8) payload[0]);
	pq_sendbyte(&out, (uint8) payload[1]);
	pq_sendint32(&out, head.entries);
	pq_sendint32(&out, head.orders);
	pq_sendint32(&out, (uint32) head.first_day);
	pq_sendint32(&out, (uint32) head.last_day);
	pq_sendint64(&out, (uint64) head.gross);
	pq_sendint64(&out, (uint64) head.refunded);
	pq_sendbytes(&out, payload + TIMELINE_HEAD_SIZE,
				 VARSIZE_ANY_EXHDR(t) - TIMELINE_HEAD_SIZE);
	PG_FREE_IF_COPY(t, 0);
	PG_RETURN_BYTEA_P(pq_endtypsend(&out));
}
