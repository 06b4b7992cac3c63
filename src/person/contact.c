/*
 * contact.c
 *		Names, handles and opt-outs, from the shop's own customer table.
 *
 * Nothing of it is stored: it is read, as the owner of the table, at the
 * moment a task is planned or handed out.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "common/spi.h"
#include "common/stream.h"
#include "person/contact.h"
#include "person/identity.h"
#include "source/follow.h"
#include "source/keys.h"
#include "source/read.h"

bool
ContactsMapped(void)
{
	return ListSources(SOURCE_CONTACT) != NIL;
}

typedef struct ContactRead
{
	const KeyIndex *index;
	Contact    *out;
} ContactRead;

/* A text that says something. */
static char *
FilledText(const TupleTableSlot *slot, int column)
{
	char	   *value;

	if (slot->tts_isnull[column])
		return NULL;
	value = TextDatumGetCString(slot->tts_values[column]);
	return value[strspn(value, " \t\r\n")] != '\0' ? value : NULL;
}

static void
ContactRow(TupleTableSlot *slot, void *arg)
{
	const ContactRead *read = arg;
	int			at;

	if (slot->tts_isnull[0])
		return;
	/* The same customer may be asked for twice, with two tasks. */
	for (int i = KeyIndexFirst(read->index, TextDatumGetCString(slot->tts_values[0]), &at); i >= 0;
		 i = KeyIndexNext(read->index, &at))
	{
		Contact    *contact = &read->out[i];

		contact->found = true;
		contact->name = FilledText(slot, 1);
		contact->phone = FilledText(slot, 2);
		contact->email = FilledText(slot, 3);
		/* One row that says no is enough, should a customer have several. */
		contact->do_not_contact |= !slot->tts_isnull[4] && DatumGetBool(slot->tts_values[4]);
	}
}

/* The customer table, open to be read; NULL when none is mapped. */
static Source *
OpenContacts(void)
{
	List	   *sources = ListSources(SOURCE_CONTACT);
	Source	   *source;
	ErrorContextCallback callback;

	if (sources == NIL)
		return NULL;
	source = linitial(sources);
	callback.callback = SourceContext;
	callback.arg = SourceRelation(source);
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	(void) SourceFollow(source);
	SourceOpen(source);
	error_context_stack = callback.previous;
	return source;
}

void
ReadContacts(int n, const int64 *ids, Contact *out)
{
	Source	   *source;
	StringInfoData sql;
	ContactRead read = {.out = out};
	char	  **keys;
	Oid			types[1];
	Datum		values[1];

	memset(out, 0, n * sizeof(Contact));
	for (int i = 0; i < n; i++)
		out[i].customer_id = ids[i];
	if (n == 0 || (source = OpenContacts()) == NULL)
		return;

	keys = IdentityKeys(source, n, ids);
	read.index = KeyIndexCreate(n, keys);
	values[0] = KeyArray(source, n, keys, &types[0]);

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT %s::pg_catalog.text", SourceColumn(source, COLUMN_CUSTOMER));
	for (int column = COLUMN_NAME; column <= COLUMN_EMAIL; column++)
		appendStringInfo(&sql, ", %s::pg_catalog.text", source->column[column] ? SourceColumn(source, column) : "NULL");
	appendStringInfo(&sql, ", %s::pg_catalog.bool FROM %s WHERE %s OPERATOR(pg_catalog.=) ANY ($1)",
					 source->column[COLUMN_DO_NOT_CONTACT] ? SourceColumn(source, COLUMN_DO_NOT_CONTACT) : "false",
					 SourceRelation(source), SourceColumn(source, COLUMN_CUSTOMER));
	SourceQuery(source, sql.data, 1, types, values, StreamTo(ContactRow, &read));
}

typedef struct OptOutRead
{
	void		(*found) (const Contact *contact, void *arg);
	void	   *arg;
	MemoryContext row;
} OptOutRead;

static void
OptOutRow(TupleTableSlot *slot, void *arg)
{
	const OptOutRead *read = arg;
	Contact		contact = {.found = true,.do_not_contact = true};
	MemoryContext old;

	/* What the row shows counts, whatever it said to the condition. */
	if (slot->tts_isnull[2] || !DatumGetBool(slot->tts_values[2]))
		return;
	old = MemoryContextSwitchTo(read->row);
	contact.phone = FilledText(slot, 0);
	contact.email = FilledText(slot, 1);
	MemoryContextSwitchTo(old);
	read->found(&contact, read->arg);
	MemoryContextReset(read->row);
}

void
ReadOptOuts(void (*found) (const Contact *contact, void *arg), void *arg)
{
	Source	   *source = OpenContacts();
	OptOutRead	read = {found, arg};
	StringInfoData sql;

	if (source == NULL || source->column[COLUMN_DO_NOT_CONTACT] == NULL ||
		(source->column[COLUMN_PHONE] == NULL && source->column[COLUMN_EMAIL] == NULL))
		return;
	read.row = AllocSetContextCreate(CurrentMemoryContext, "custseg opt-out", ALLOCSET_SMALL_SIZES);
	initStringInfo(&sql);
	for (int column = COLUMN_PHONE; column <= COLUMN_EMAIL; column++)
		appendStringInfo(&sql, "%s%s::pg_catalog.text", column == COLUMN_PHONE ? "SELECT " : ", ",
						 source->column[column] ? SourceColumn(source, column) : "NULL");
	appendStringInfo(&sql, ", %s::pg_catalog.bool FROM %s WHERE %s::pg_catalog.bool",
					 SourceColumn(source, COLUMN_DO_NOT_CONTACT), SourceRelation(source), SourceColumn(source, COLUMN_DO_NOT_CONTACT));
	SourceQuery(source, sql.data, 0, NULL, NULL, StreamTo(OptOutRow, &read));
	MemoryContextDelete(read.row);
}
