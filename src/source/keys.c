/*
 * keys.c
 *		Customers' keys as a source writes them.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/uuid.h"

#include "source/keys.h"

struct KeyIndex
{
	int			n;
	struct KeyPosition
	{
		const char *key;
		int			position;
	}		   *sorted;
};

bool
KeyIsUuid(const char *key, int len, pg_uuid_t *uuid)
{
	int			digits = 0;

	if (len != 36)
		return false;
	for (int i = 0; i < len; i++)
	{
		char		c = key[i];
		int			digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;

		if (i == 8 || i == 13 || i == 18 || i == 23)
		{
			if (c != '-')
				return false;
			continue;
		}
		if (digit < 0)
			return false;
		if (digits % 2 == 0)
			uuid->data[digits / 2] = digit << 4;
		else
			uuid->data[digits / 2] |= digit;
		digits++;
	}
	return true;
}

bool
KeyIsNumber(const char *key, int len, int64 *number)
{
	uint64		value = 0;

	if (len < 1 || len > 19 || key[0] == '0')
		return false;
	for (int i = 0; i < len; i++)
	{
		if (key[i] < '0' || key[i] > '9')
			return false;
		value = value * 10 + (key[i] - '0');
	}
	*number = (int64) value;
	return value <= PG_INT64_MAX;
}

int64
LargestKey(Oid type)
{
	return type == INT2OID ? PG_INT16_MAX : type == INT4OID ? PG_INT32_MAX : PG_INT64_MAX;
}

/* Can a customer column of this type show the key? */
static bool
KeyFits(Oid type, const char *key)
{
	KeyKind		kind;
	pg_uuid_t	uuid;
	int64		number;

	(void) KeyKindOf(type, &kind);
	switch (kind)
	{
		case KEY_UUID:
			return KeyIsUuid(key, strlen(key), &uuid);
		case KEY_TEXT:
			return true;
		default:
			return KeyIsNumber(key, strlen(key), &number) && number <= LargestKey(type);
	}
}

Datum
KeyArray(const Source *source, int n, char **keys, Oid *type)
{
	Datum	   *values = palloc(Max(n, 1) * sizeof(Datum));
	Oid			element = source->type[COLUMN_CUSTOMER] == VARCHAROID ? TEXTOID : source->type[COLUMN_CUSTOMER];
	Oid			input;
	Oid			ioparam;
	int16		length;
	bool		byval;
	char		align;
	int			count = 0;

	getTypeInputInfo(element, &input, &ioparam);
	get_typlenbyvalalign(element, &length, &byval, &align);
	for (int i = 0; i < n; i++)
	{
		if (keys[i] == NULL || !KeyFits(element, keys[i]))
			continue;
		values[count++] = OidInputFunctionCall(input, keys[i], ioparam, -1);
	}
	*type = get_array_type(element);
	return PointerGetDatum(construct_array(values, count, element, length, byval, align));
}

static int
ComparePositions(const void *a, const void *b)
{
	return strcmp(((const struct KeyPosition *) a)->key, ((const struct KeyPosition *) b)->key);
}

KeyIndex *
KeyIndexCreate(int n, char **keys)
{
	KeyIndex   *index = palloc0(sizeof(KeyIndex));

	index->sorted = palloc(Max(n, 1) * sizeof(struct KeyPosition));
	for (int i = 0; i < n; i++)
		if (keys[i])
		{
			index->sorted[index->n].key = keys[i];
			index->sorted[index->n++].position = i;
		}
	qsort(index->sorted, index->n, sizeof(struct KeyPosition), ComparePositions);
	return index;
}

int
KeyIndexFirst(const KeyIndex *index, const char *key, int *at)
{
	struct KeyPosition wanted = {.key = key};
	struct KeyPosition *found = bsearch(&wanted, index->sorted, index->n, sizeof(wanted), ComparePositions);

	if (found == NULL)
		return -1;
	while (found > index->sorted && strcmp(found[-1].key, key) == 0)
		found--;
	*at = found - index->sorted;
	return found->position;
}

int
KeyIndexNext(const KeyIndex *index, int *at)
{
	if (*at + 1 >= index->n || strcmp(index->sorted[*at].key, index->sorted[*at + 1].key) != 0)
		return -1;
	return index->sorted[++*at].position;
}
