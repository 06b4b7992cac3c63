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

#include "common/spi.h"
#include "common/stream.h"
#include "source/contact.h"
#include "source/identity.h"
#include "source/read.h"

bool
ContactsMapped(void)
{
	return ListSources(false) != NIL;
}

typedef struct ContactRead
{
	const KeyIndex *index;
	Contact    *out;
} ContactRead;

/* A text that says something. */
static char *
Filled(const TupleTableSlot *slot, int column)
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
		contact->name = Filled(slot, 1);
		contact->phone = Filled(slot, 2);
		contact->email = Filled(slot, 3);
		/* One row that says no is enough, should a customer have several. */
		contact->do_not_contact |= !slot->tts_isnull[4] && DatumGetBool(slot->tts_values[4]);
	}
}

void
ReadContacts(int n, const int64 *ids, Contact *out)
{
	List	   *sources = ListSources(false);
	Source	   *source;
	StringInfoData sql;
	ContactRead read = {.out = out};
	char	  **keys;
	Oid			types[1];
	Datum		values[1];
	ErrorContextCallback callback;

	memset(out, 0, n * sizeof(Contact));
	for (int i = 0; i < n; i++)
		out[i].customer_id = ids[i];
	if (sources == NIL || n == 0)
		return;

	source = linitial(sources);
	callback.callback = SourceContext;
	callback.arg = SourceRelation(source);
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	SourceOpen(source);
	error_context_stack = callback.previous;
	keys = IdentityKeys(source, n, ids);
	read.index = KeyIndexCreate(n, keys);
	values[0] = IdentityKeyArray(source, n, keys, &types[0]);

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT %s::pg_catalog.text", SourceColumn(source, COLUMN_CUSTOMER));
	for (int column = COLUMN_NAME; column <= COLUMN_EMAIL; column++)
		appendStringInfo(&sql, ", %s::pg_catalog.text", source->column[column] ? SourceColumn(source, column) : "NULL");
	appendStringInfo(&sql, ", %s::pg_catalog.bool FROM %s WHERE %s OPERATOR(pg_catalog.=) ANY ($1)",
					 source->column[COLUMN_DO_NOT_CONTACT] ? SourceColumn(source, COLUMN_DO_NOT_CONTACT) : "false",
					 SourceRelation(source), SourceColumn(source, COLUMN_CUSTOMER));
	SourceQuery(source, sql.data, 1, types, values, StreamTo(ContactRow, &read));
}
