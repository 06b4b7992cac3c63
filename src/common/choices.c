/*
 * choices.c
 *		What moves with the shop's settings.
 *
 * Where a setting changed, something has to be done anew. What that is says the
 * comment of the column of the table that keeps the shop's choice (overlay.c), so
 * that whoever adds a setting says it there, and nothing here lists settings. The
 * digest is of what the views show: a default that an upgrade changes counts, and
 * a choice that is the default does not.
 *
 * The statement is made once in a session and its plan is kept: a refresh that
 * finds nothing to do must not spend its time here.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"

#include "common/choices.h"
#include "common/spi.h"

PG_FUNCTION_INFO_V1(custseg_choices_digest);

static const char *const moves_names[] = {"calibration", "queue"};

static char *
DigestStatement(const char *moves)
{
	StringInfoData statement;
	Oid			types[] = {TEXTOID};
	Datum		values[] = {CStringGetTextDatum(moves)};

	SpiRun("SELECT quote_ident(left(t.relname, -length('_choice'))),"
		   " string_agg('c.' || quote_ident(a.attname), ', ' ORDER BY a.attname COLLATE \"C\")"
		   " FROM pg_class t JOIN pg_attribute a ON a.attrelid = t.oid AND NOT a.attisdropped"
		   " JOIN pg_description d ON d.objoid = t.oid AND d.classoid = 'pg_class'::regclass AND d.objsubid = a.attnum"
		   " WHERE t.relnamespace = 'custseg'::regnamespace AND t.relkind = 'r' AND t.relname ~ '_choice$'"
		   " AND a.attnum > 0 AND $1 = ANY (string_to_array(d.description, ', '))"
		   " GROUP BY t.relname ORDER BY t.relname COLLATE \"C\"", 1, types, values, NULL);
	if (SPI_processed == 0)
		elog(ERROR, "no setting moves the %s", moves);
	initStringInfo(&statement);
	appendStringInfoString(&statement, "SELECT md5(concat(");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		char	   *view = SpiText(i, 1);
		char	   *columns = SpiText(i, 2);

		appendStringInfo(&statement,
						 "%s'%s ', (SELECT string_agg(row(%s)::text, ' ' ORDER BY row(%s)::text COLLATE \"C\") FROM custseg.%s c)",
						 i > 0 ? ", " : "", view, columns, columns, view);
	}
	appendStringInfoString(&statement, "))");
	return statement.data;
}

char *
ChoicesDigest(Moves moves)
{
	static SPIPlanPtr kept[lengthof(moves_names)] = {NULL};

	SpiRunPlan(SpiKeep(&kept[moves], SpiIsKept(&kept[moves]) ? NULL : DigestStatement(moves_names[moves]), 0, NULL),
			   NULL, NULL);
	return SpiText(0, 1);
}

Datum
custseg_choices_digest(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	MemoryContext caller = CurrentMemoryContext;
	text	   *digest = NULL;
	Guard		guard;

	OwnerBegin(&guard);
	for (int moves = 0; moves < lengthof(moves_names); moves++)
		if (strcmp(name, moves_names[moves]) == 0)
		{
			char	   *found = ChoicesDigest((Moves) moves);

			MemoryContextSwitchTo(caller);
			digest = cstring_to_text(found);
		}
	OwnerEnd(&guard);
	if (digest == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(digest);
}
