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
		pg_uuid_t	uuid;

		if (keys[i] == NULL ||
			(element == UUIDOID && !KeyIsUuid(keys[i], strlen(keys[i]), &uuid)))
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
