/*
 * handle_read.c
 *		The handles of a source, read and hashed.
 *
 * What comes from the shop is hashed as it comes and never stands anywhere: all
 * that is kept of a read are keys and hashes, on disk where memory is short.
 * Keys get their numbers after that, since no statement of ours runs while the
 * shop's do; who has none is nobody yet.
 */
#include "postgres.h"

#include "access/tupdesc.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#include "common/compat.h"
#include "common/settings.h"
#include "common/spi.h"
#include "common/stream.h"
#include "person/handle.h"
#include "person/handle_read.h"
#include "person/handle_row.h"
#include "person/identity.h"
#include "source/keys.h"
#include "source/read.h"

/* A row as it is read: key, kind, hash; and as it is sorted, with the number in place of the key. */
#define COLUMNS 3

struct HandlesRead
{
	const LinkRules *rules;
	bool		native;			/* keys are the numbers of customers */
	bool		numbers;		/* they are numbers, at least */
	char	   *namespace;
	HandleSalt	salt;
	MappedColumn columns[MAPPED_COLUMNS];	/* that are read beside the customer */
	int			n_columns;
	int			column_of[MAPPED_COLUMNS];	/* their places in a row; -1: not read */
	MemoryContext row;
	Tuplestorestate *rows;
	TupleDesc	desc;
	int64		n_rows;			/* of the source, that had a handle */
	char	   *key;			/* of the row at hand */
	bool		any;
};

/* ----------------------------------------------------------------- reading */

static bool
IsRead(const HandleKind *kind, const Source *source)
{
	/* Keys matter where somebody points at them. */
	return source->column[kind->column == COLUMN_CUSTOMER ? COLUMN_MERGED_INTO : kind->column] != NULL;
}

bool
HasHandles(const LinkRules *rules, const Source *source)
{
	for (int i = 0; i < rules->n_kinds; i++)
		if (IsRead(&rules->kinds[i], source))
			return true;
	return false;
}

Datum
HandleKindsOf(const LinkRules *rules, const Source *source)
{
	Datum	   *names = palloc(Max(rules->n_kinds, 1) * sizeof(Datum));
	int			n = 0;

	for (int i = 0; i < rules->n_kinds; i++)
		if (IsRead(&rules->kinds[i], source))
			names[n++] = CStringGetTextDatum(rules->kinds[i].name);
	return PointerGetDatum(construct_array(names, n, TEXTOID, -1, false, TYPALIGN_INT));
}

HandlesRead *
HandlesBegin(const LinkRules *rules, const Source *source)
{
	HandlesRead *read = palloc0(sizeof(HandlesRead));

	read->rules = rules;
	read->namespace = source->namespace;
	read->salt = ReadHandleSalt();
	memset(read->column_of, -1, sizeof(read->column_of));
	read->column_of[COLUMN_CUSTOMER] = 0;
	for (int i = 0; i < rules->n_kinds; i++)
	{
		const HandleKind *kind = &rules->kinds[i];

		if (!IsRead(kind, source) || read->column_of[kind->column] >= 0)
			continue;
		read->columns[read->n_columns++] = kind->column;
		read->column_of[kind->column] = read->n_columns;
	}
	read->row = AllocSetContextCreate(CurrentMemoryContext, "custseg handles row", ALLOCSET_DEFAULT_SIZES);
	read->desc = CreateTemplateTupleDesc(COLUMNS);
	TupleDescInitEntry(read->desc, 1, "key", TEXTOID, -1, 0);
	TupleDescInitEntry(read->desc, 2, "kind", INT4OID, -1, 0);
	TupleDescInitEntry(read->desc, 3, "hash", UUIDOID, -1, 0);
	TupleDescFinalize(read->desc);
	read->rows = tuplestore_begin_heap(false, false, custseg_work_mem);
	return read;
}

/* A key that somebody can have. */
static bool
IsKey(const HandlesRead *read, const char *key)
{
	int64		number;
	size_t		len = strlen(key);

	return read->numbers ? KeyIsNumber(key, len, &number) : len > 0 && len <= KEY_MAX_LENGTH;
}

static void
PutHandle(HandlesRead *read, int kind, const Handle *hash)
{
	Datum		values[COLUMNS] = {CStringGetTextDatum(read->key), Int32GetDatum(kind), UUIDPGetDatum(hash)};
	bool		nulls[COLUMNS] = {false};

	tuplestore_putvalues(read->rows, read->desc, values, nulls);
	read->any |= read->rules->kinds[kind].column != COLUMN_CUSTOMER;
}

static void
TakeHandle(HandlesRead *read, int k, const char *text)
{
	const HandleKind *kind = &read->rules->kinds[k];
	Handle		hash;

	if (kind->normalise != NULL)
		hash = HandleHash(&read->salt, kind->normalise, text);
	else if (!IsKey(read, text) || (kind->column == COLUMN_MERGED_INTO && strcmp(text, read->key) == 0))
		return;
	else
		hash = KeyHash(&read->salt, read->namespace, text);
	if (IsHandle(&hash))
		PutHandle(read, k, &hash);
}

static void
ReceiveRow(TupleTableSlot *slot, void *arg)
{
	HandlesRead *read = arg;
	MemoryContext old = MemoryContextSwitchTo(read->row);

	read->any = false;
	if (!slot->tts_isnull[0] && IsKey(read, read->key = TextDatumGetCString(slot->tts_values[0])))
		for (int k = 0; k < read->rules->n_kinds; k++)
		{
			int			column = read->column_of[read->rules->kinds[k].column];

			/* An own key is read only where others point at some. */
			if (column < 0 || slot->tts_isnull[column] ||
				(column == 0 && read->column_of[COLUMN_MERGED_INTO] < 0))
				continue;
			TakeHandle(read, k, column == 0 ? read->key : TextDatumGetCString(slot->tts_values[column]));
		}
	read->n_rows += read->any;
	MemoryContextSwitchTo(old);
	MemoryContextReset(read->row);
}

static void
NoteKeys(HandlesRead *read, const Source *source)
{
	read->native = source->key_kind == KEY_NATIVE;
	read->numbers = read->native || source->key_kind == KEY_NUMBER;
}

void
HandlesReadAll(HandlesRead *read, Source *source)
{
	NoteKeys(read, source);
	SourceQuery(source, SourceHandleStatement(source, read->columns, read->n_columns), 0, NULL, NULL,
				StreamTo(ReceiveRow, read));
}

void
HandlesReadSome(HandlesRead *read, Source *source, int n, char **keys)
{
	Oid			types[1];
	Datum		values[1] = {KeyArray(source, n, keys, &types[0])};
	int			level = PlanBySortedIndexBegin();

	NoteKeys(read, source);
	SourceQuery(source, psprintf("%s WHERE %s", SourceHandleStatement(source, read->columns, read->n_columns),
								 SourceCustomerIsAny(source, 1)), 1, types, values, StreamTo(ReceiveRow, read));
	PlanByIndexEnd(level);
}

int64
HandlesRows(const HandlesRead *read)
{
	return read->n_rows;
}

/* ------------------------------------------------------- numbers, and sorting */

static void
NumberPortion(const HandlesRead *read, char **keys, HandleRow *rows, int n, TakeHandleRow take, void *arg)
{
	int64	   *ids = NULL;

	if (n == 0)
		return;
	if (!read->native)
		ids = IdentityNumbers(read->namespace, n, keys);
	for (int i = 0; i < n; i++)
	{
		if (!read->native)
			rows[i].customer_id = ids[i];
		else
			(void) KeyIsNumber(keys[i], strlen(keys[i]), &rows[i].customer_id);
		if (rows[i].customer_id != 0)
			take(arg, &rows[i]);
	}
}

const LinkRules *
HandlesRules(const HandlesRead *read)
{
	return read->rules;
}

void
HandlesEach(HandlesRead *read, TakeHandleRow take, void *arg)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(read->desc, &TTSOpsMinimalTuple);
	MemoryContext portion = AllocSetContextCreate(CurrentMemoryContext, "custseg handles", ALLOCSET_DEFAULT_SIZES);
	char	  **keys = palloc(HANDLE_PORTION * sizeof(char *));
	HandleRow  *rows = palloc(HANDLE_PORTION * sizeof(HandleRow));
	MemoryContext old = MemoryContextSwitchTo(portion);
	int			n = 0;

	while (tuplestore_gettupleslot(read->rows, true, false, slot))
	{
		CHECK_FOR_INTERRUPTS();
		slot_getallattrs(slot);
		keys[n] = TextDatumGetCString(slot->tts_values[0]);
		rows[n].kind = DatumGetInt32(slot->tts_values[1]);
		rows[n].hash = *DatumGetUUIDP(slot->tts_values[2]);
		if (++n < HANDLE_PORTION)
			continue;
		NumberPortion(read, keys, rows, n, take, arg);
		MemoryContextReset(portion);
		n = 0;
	}
	NumberPortion(read, keys, rows, n, take, arg);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(portion);
	ExecDropSingleTupleTableSlot(slot);
	tuplestore_end(read->rows);
	read->rows = NULL;
}
