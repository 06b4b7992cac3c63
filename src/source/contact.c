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

#include "common/guard.h"
#include "common/spi.h"
#include "source/contact.h"
#include "source/identity.h"
#include "source/read.h"

bool
ContactsMapped(void)
{
	return ListSources(false) != NIL;
}

/* A text that says something. */
static char *
Filled(uint64 row, int column)
{
	char	   *text = SpiText(row, column);

	return text && text[strspn(text, " \t\r\n")] != '\0' ? text : NULL;
}

void
ReadContacts(int n, const int64 *ids, Contact *out)
{
	List	   *sources = ListSources(false);
	Source	   *source;
	StringInfoData sql;
	char	  **keys;
	KeyIndex   *index;
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
	index = KeyIndexCreate(n, keys);
	values[0] = IdentityKeyArray(source, n, keys, &types[0]);

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT %s::pg_catalog.text", SourceColumn(source, COLUMN_CUSTOMER));
	for (int column = COLUMN_NAME; column <= COLUMN_EMAIL; column++)
		appendStringInfo(&sql, ", %s::pg_catalog.text", source->column[column] ? SourceColumn(source, column) : "NULL");
	appendStringInfo(&sql, ", %s::pg_catalog.bool FROM %s WHERE %s OPERATOR(pg_catalog.=) ANY ($1)",
					 source->column[COLUMN_DO_NOT_CONTACT] ? SourceColumn(source, COLUMN_DO_NOT_CONTACT) : "false",
					 SourceRelation(source), SourceColumn(source, COLUMN_CUSTOMER));
	SourceQuery(source, sql.data, 1, types, values, NULL);

	for (uint64 row = 0; row < SPI_processed; row++)
	{
		int			at;

		/* The same customer may be asked for twice, with two tasks. */
		for (int i = KeyIndexFirst(index, SpiText(row, 1), &at); i >= 0; i = KeyIndexNext(index, &at))
		{
			out[i].found = true;
			out[i].name = Filled(row, 2);
			out[i].phone = Filled(row, 3);
			out[i].email = Filled(row, 4);
			/* One row that says no is enough, should a customer have several. */
			out[i].do_not_contact |= SpiInt64(row, 5, 0) != 0;
		}
	}
	SPI_freetuptable(SPI_tuptable);
}
