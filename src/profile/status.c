/*
 * status.c
 *		Rows of a read by the status they have.
 *
 * Only rows with an accepted status count. A whole read sees the others too,
 * so that somebody can see which they are: a status that is called something
 * else since yesterday is then in plain view. Statuses are the same when their
 * bytes are, whatever the collation of their column says.
 *
 * A shop has a handful of them, and a row mostly has that of the row before.
 * Should the column be free text, only so many values are counted one by one:
 * the first in the order of their bytes. One that is among them in the end was
 * never pushed out, because those before it only get more; so its count is
 * exact, whatever the order of the rows and the number of processes.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/memutils.h"

#include "profile/status.h"

static int
CompareValue(const StatusTotal *total, const char *value, int len)
{
	int			order = memcmp(total->value, value, Min(total->len, len));

	return order != 0 ? order : total->len - len;
}

/* Where the value is among sorted ones, or would be. */
static bool
FindValue(StatusTotal *const *totals, int n, const char *value, int len, int *at)
{
	int			low = 0;
	int			high = n;

	while (low < high)
	{
		int			middle = (low + high) / 2;
		int			order = CompareValue(totals[middle], value, len);

		if (order == 0)
		{
			*at = middle;
			return true;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*at = low;
	return false;
}

static StatusTotal *
NewTotal(MemoryContext context, const char *value, int len, bool accepted)
{
	StatusTotal *total = MemoryContextAllocZero(context, offsetof(StatusTotal, value) + len + 1);

	memcpy(total->value, value, len);
	total->len = len;
	total->accepted = accepted;
	return total;
}

StatusCounts *
StatusCountsCreate(MemoryContext context, ArrayType *accepted)
{
	StatusCounts *counts = MemoryContextAllocZero(context, sizeof(StatusCounts));
	Datum	   *values;
	int			n;

	deconstruct_array(accepted, TEXTOID, -1, false, TYPALIGN_INT, &values, NULL, &n);
	counts->context = context;
	counts->accepted = MemoryContextAlloc(context, Max(n, 1) * sizeof(StatusTotal *));
	for (int i = 0; i < n; i++)
	{
		const char *value = VARDATA_ANY(DatumGetPointer(values[i]));
		int			len = VARSIZE_ANY_EXHDR(DatumGetPointer(values[i]));
		int			at;

		if (FindValue(counts->accepted, counts->n_accepted, value, len, &at))
			continue;
		memmove(&counts->accepted[at + 1], &counts->accepted[at], (counts->n_accepted - at) * sizeof(StatusTotal *));
		counts->accepted[at] = NewTotal(context, value, len, true);
		counts->n_accepted++;
	}
	return counts;
}

/* Make room for one before those that are there: the last is counted with the rest. */
static void
PushOut(StatusCounts *counts)
{
	StatusTotal *total = counts->others[--counts->n_others];

	counts->more += total->rows;
	if (counts->last == total)
		counts->last = NULL;
	for (int i = 0; i < STATUS_CACHE; i++)
		if (counts->cache[i] == total)
			counts->cache[i] = NULL;
	pfree(total);
}

/* The total of a value; NULL if it is one of those that are counted together. */
static StatusTotal *
TotalOf(StatusCounts *counts, const char *value, int len)
{
	int			at;

	if (FindValue(counts->accepted, counts->n_accepted, value, len, &at))
		return counts->accepted[at];
	if (len > STATUS_MAX_LENGTH)
		return NULL;
	if (FindValue(counts->others, counts->n_others, value, len, &at))
		return counts->others[at];
	if (at == STATUS_VALUES)
		return NULL;
	if (counts->n_others == STATUS_VALUES)
		PushOut(counts);
	memmove(&counts->others[at + 1], &counts->others[at], (counts->n_others - at) * sizeof(StatusTotal *));
	counts->n_others++;
	return counts->others[at] = NewTotal(counts->context, value, len, false);
}

static inline bool
HasValue(const StatusTotal *total, const char *value, int len)
{
	return total != NULL && total->len == len && memcmp(total->value, value, len) == 0;
}

static pg_noinline StatusTotal *
LookUp(StatusCounts *counts, const char *value, int len)
{
	uint32		slot = len == 0 ? 0 : ((uint32) len * 7 + (uint8) value[0] * 31 + (uint8) value[len - 1]) % STATUS_CACHE;

	if (!HasValue(counts->cache[slot], value, len))
	{
		StatusTotal *total = TotalOf(counts, value, len);

		if (total == NULL)
			return NULL;
		counts->cache[slot] = total;
	}
	return counts->last = counts->cache[slot];
}

bool
StatusCount(StatusCounts *counts, bool isnull, Datum status)
{
	struct varlena *text;
	const char *value;
	int			len;
	StatusTotal *total = counts->last;

	if (isnull)
	{
		counts->nulls++;
		return false;
	}
	text = PG_DETOAST_DATUM_PACKED(status);
	value = VARDATA_ANY(text);
	len = VARSIZE_ANY_EXHDR(text);
	if (!HasValue(total, value, len))
		total = LookUp(counts, value, len);
	if ((Pointer) text != DatumGetPointer(status))
		pfree(text);
	if (total == NULL)
	{
		counts->more++;
		return false;
	}
	total->rows++;
	return total->accepted;
}

int64
StatusLeftOut(const StatusCounts *counts)
{
	int64		rows = counts->nulls + counts->more;

	for (int i = 0; i < counts->n_others; i++)
		rows += counts->others[i]->rows;
	return rows;
}

static void
PackTotal(StringInfo data, const StatusTotal *total)
{
	appendBinaryStringInfo(data, (const char *) &total->rows, sizeof(total->rows));
	appendBinaryStringInfo(data, (const char *) &total->len, sizeof(total->len));
	appendBinaryStringInfo(data, total->value, total->len);
}

void
StatusPack(StringInfo data, const StatusCounts *counts)
{
	int			n = counts->n_accepted + counts->n_others;

	appendBinaryStringInfo(data, (const char *) &counts->nulls, sizeof(counts->nulls));
	appendBinaryStringInfo(data, (const char *) &counts->more, sizeof(counts->more));
	appendBinaryStringInfo(data, (const char *) &n, sizeof(n));
	for (int i = 0; i < counts->n_accepted; i++)
		PackTotal(data, counts->accepted[i]);
	for (int i = 0; i < counts->n_others; i++)
		PackTotal(data, counts->others[i]);
}

static void
Unpack(void *value, const char **data, int size)
{
	memcpy(value, *data, size);
	*data += size;
}

void
StatusMerge(StatusCounts *counts, const char *data)
{
	int64		nulls;
	int64		more;
	int			n;

	Unpack(&nulls, &data, sizeof(nulls));
	Unpack(&more, &data, sizeof(more));
	Unpack(&n, &data, sizeof(n));
	counts->nulls += nulls;
	counts->more += more;
	for (; n > 0; n--)
	{
		StatusTotal *total;
		int64		rows;
		int			len;

		Unpack(&rows, &data, sizeof(rows));
		Unpack(&len, &data, sizeof(len));
		total = TotalOf(counts, data, len);
		if (total != NULL)
			total->rows += rows;
		else
			counts->more += rows;
		data += len;
	}
}
