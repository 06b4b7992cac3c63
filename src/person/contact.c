/*
 * contact.c
 *		Names, handles and opt-outs, from the shop's own customer tables.
 *
 * Nothing of it is stored: it is read, as the owner of the table, at the
 * moment a task is planned or handed out. There is a table a namespace, and a
 * customer is looked up in that of the own one.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "common/spi.h"
#include "common/stream.h"
#include "person/contact.h"
#include "person/identity.h"
#include "person/person.h"
#include "source/follow.h"
#include "source/keys.h"
#include "source/read.h"

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

static int	contacts_reading = 0;

bool
ContactsMapped(void)
{
	contacts_reading = 0;
	return ListSources(SOURCE_CONTACT) != NIL;
}

int
ContactsReading(void)
{
	return contacts_reading;
}

/* Open a customer table to be read. */
static void
OpenContacts(Source *source)
{
	ErrorContextCallback callback;

	contacts_reading = source->source_id;
	callback.callback = SourceContext;
	callback.arg = SourceRelation(source);
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	(void) SourceFollow(source);
	SourceOpen(source);
	error_context_stack = callback.previous;
}

/* Look up those of the customers who are of a table's namespace. */
static void
ReadContactsOf(Source *source, int n, const int64 *ids, Contact *out)
{
	StringInfoData sql;
	ContactRead read = {.out = out};
	char	  **keys;
	Oid			types[1];
	Datum		values[1];
	bool		any = false;

	OpenContacts(source);
	keys = IdentityKeys(source, n, ids);
	for (int i = 0; i < n && !any; i++)
		any = keys[i] != NULL;
	if (!any)
		return;
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

void
ReadAccountContacts(int n, const int64 *ids, Contact *out)
{
	ListCell   *cell;

	memset(out, 0, n * sizeof(Contact));
	for (int i = 0; i < n; i++)
		out[i].customer_id = ids[i];
	contacts_reading = 0;
	if (n == 0)
		return;
	foreach(cell, ListSources(SOURCE_CONTACT))
		ReadContactsOf(lfirst(cell), n, ids, out);
	contacts_reading = 0;
}

/* What another account of the same person has. */
static void
AddAccount(Contact *contact, const Contact *account)
{
	contact->found |= account->found;
	contact->do_not_contact |= account->do_not_contact;
	if (contact->name == NULL)
		contact->name = account->name;
	if (contact->phone == NULL)
		contact->phone = account->phone;
	if (contact->email == NULL)
		contact->email = account->email;
}

void
ReadContacts(int n, const int64 *ids, Contact *out)
{
	int			n_all;
	int		   *owners;
	int64	   *all;
	Contact    *accounts;

	if (!PersonsLinked())
	{
		ReadAccountContacts(n, ids, out);
		return;
	}
	all = MembersOf(ids, n, &n_all, &owners);
	accounts = palloc(Max(n_all, 1) * sizeof(Contact));
	ReadAccountContacts(n_all, all, accounts);
	memcpy(out, accounts, n * sizeof(Contact));
	for (int i = n; i < n_all; i++)
		AddAccount(&out[owners[i - n]], &accounts[i]);
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

static void
ReadOptOutsOf(Source *source, OptOutRead *read)
{
	StringInfoData sql;

	OpenContacts(source);
	if (source->column[COLUMN_DO_NOT_CONTACT] == NULL ||
		(source->column[COLUMN_PHONE] == NULL && source->column[COLUMN_EMAIL] == NULL))
		return;
	initStringInfo(&sql);
	for (int column = COLUMN_PHONE; column <= COLUMN_EMAIL; column++)
		appendStringInfo(&sql, "%s%s::pg_catalog.text", column == COLUMN_PHONE ? "SELECT " : ", ",
						 source->column[column] ? SourceColumn(source, column) : "NULL");
	appendStringInfo(&sql, ", %s::pg_catalog.bool FROM %s WHERE %s::pg_catalog.bool",
					 SourceColumn(source, COLUMN_DO_NOT_CONTACT), SourceRelation(source), SourceColumn(source, COLUMN_DO_NOT_CONTACT));
	SourceQuery(source, sql.data, 0, NULL, NULL, StreamTo(OptOutRow, read));
}

void
ReadOptOuts(void (*found) (const Contact *contact, void *arg), void *arg)
{
	OptOutRead	read = {found, arg};
	ListCell   *cell;

	contacts_reading = 0;
	read.row = AllocSetContextCreate(CurrentMemoryContext, "custseg opt-out", ALLOCSET_SMALL_SIZES);
	foreach(cell, ListSources(SOURCE_CONTACT))
		ReadOptOutsOf(lfirst(cell), &read);
	MemoryContextDelete(read.row);
	contacts_reading = 0;
}
