/*
 * keys.c
 *		Customers of one partition whose keys are not numbers.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/uuid.h"

#include "profile/keys.h"

#define UUID_TEXT_SIZE	37
#define NUMBER_TEXT_SIZE	21

int
LocalKey(LocalKeys *locals, WideKey key, bool insert)
{
	uint32		slot = WideKeyHash(key) & locals->mask;

	while (locals->table[slot] != 0)
	{
		WideKey    *other = &locals->keys[locals->table[slot] - 1];

		if (other->hi == key.hi && other->lo == key.lo)
			return locals->table[slot] - 1;
		slot = (slot + 1) & locals->mask;
	}
	if (!insert)
		return -1;

	if (locals->n == locals->max)
	{
		locals->max *= 2;
		locals->keys = repalloc_huge(locals->keys, locals->max * sizeof(WideKey));
		pfree(locals->table);
		locals->mask = locals->max * 4 - 1;
		locals->table = MemoryContextAllocExtended(CurrentMemoryContext,
												   ((Size) locals->mask + 1) * sizeof(int32),
												   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
		for (int i = 0; i < locals->n; i++)
		{
			slot = WideKeyHash(locals->keys[i]) & locals->mask;
			while (locals->table[slot] != 0)
				slot = (slot + 1) & locals->mask;
			locals->table[slot] = i + 1;
		}
		return LocalKey(locals, key, true);
	}
	locals->keys[locals->n] = key;
	locals->table[slot] = ++locals->n;
	return locals->n - 1;
}

LocalKeys *
LocalKeysCreate(void)
{
	LocalKeys  *locals = palloc0(sizeof(LocalKeys));

	locals->max = 1024;
	locals->keys = palloc(locals->max * sizeof(WideKey));
	locals->mask = locals->max * 4 - 1;
	locals->table = palloc0((locals->mask + 1) * sizeof(int32));
	return locals;
}

/* As uuid_out writes it, without a buffer of a kilobyte for each. */
static void
UuidText(const WideKey *key, char *text)
{
	static const char digits[] = "0123456789abcdef";
	const uint8 *bytes = (const uint8 *) key;

	for (int i = 0; i < UUID_LEN; i++)
	{
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*text++ = '-';
		*text++ = digits[bytes[i] >> 4];
		*text++ = digits[bytes[i] & 15];
	}
	*text = '\0';
}

void
ResolveKeys(Collector *c, int p, LocalKeys *locals, int first_result)
{
	int64	   *ids = MemoryContextAllocExtended(CurrentMemoryContext, Max(locals->n, 1) * sizeof(int64),
												 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	char	  **texts = MemoryContextAllocExtended(CurrentMemoryContext, Max(locals->n, 1) * sizeof(char *),
												   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	PartitionIter iter;
	char	   *chunk;
	int			used;

	PartitionIterInit(&iter, c->known, p, true);
	while ((chunk = PartitionIterNext(&iter, &used)) != NULL)
		for (int at = 0; at < used; at += sizeof(KnownKey))
		{
			KnownKey	known;
			int			local;

			memcpy(&known, chunk + at, sizeof(known));
			local = LocalKey(locals, known.key, false);
			if (local >= 0)
				ids[local] = known.customer_id;
		}

	if (c->texts)
	{
		PartitionIterInit(&iter, c->texts, p, true);
		while ((chunk = PartitionIterNext(&iter, &used)) != NULL)
			for (int at = 0; at < used;)
			{
				KeptText   *kept = (KeptText *) (chunk + at);
				int			local = LocalKey(locals, kept->key, false);

				at += kept->size;
				if (local < 0)
					continue;
				if (texts[local] == NULL)
					texts[local] = MemoryContextStrdup(c->batch_context, kept->text);
				else if (strcmp(texts[local], kept->text) != 0)
					ereport(ERROR,
							(errcode(ERRCODE_INTERNAL_ERROR),
							 errmsg("customer keys \"%s\" and \"%s\" collide by chance", texts[local], kept->text),
							 errhint("Run the refresh again; it will use another seed.")));
			}
	}

	for (int i = first_result; i < c->n_results; i++)
	{
		Collected  *result = &c->results[i];
		int			local = result->customer_id;

		result->customer_id = ids[local];
		if (c->texts)
			result->key = texts[local];
		else if (c->key_kind == KEY_NUMBER)
		{
			result->key = MemoryContextAlloc(c->batch_context, NUMBER_TEXT_SIZE);
			(void) pg_lltoa((int64) locals->keys[local].hi, result->key);
		}
		else
		{
			result->key = MemoryContextAlloc(c->batch_context, UUID_TEXT_SIZE);
			UuidText(&locals->keys[local], result->key);
		}
	}
}
