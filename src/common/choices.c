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
 * The statements are made once in a session and their plans are kept: a refresh
 * that finds nothing to do must not spend its time here.
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

#define N_MOVES lengthof(moves_names)

/* The columns with a comment that names the parameter $n. */
#define COLUMNS_THAT_MOVE(n) \
	" string_agg('c.' || quote_ident(a.attname), ', ' ORDER BY a.attname COLLATE \"C\")" \
	" FILTER (WHERE $" n " = ANY (string_to_array(d.description, ', ')))"

/* All statements, because looking into the catalog is the most of it. */
static void
DigestStatements(char **statements)
{
	StringInfoData made[N_MOVES];
	Oid			types[N_MOVES];
	Datum		values[N_MOVES];

	for (int moves = 0; moves < N_MOVES; moves++)
	{
		types[moves] = TEXTOID;
		values[moves] = CStringGetTextDatum(moves_names[moves]);
		initStringInfo(&made[moves]);
		appendStringInfoString(&made[moves], "SELECT md5(concat(''");
	}
	SpiRun("SELECT quote_ident(left(t.relname, -length('_choice'))),"
		   COLUMNS_THAT_MOVE("1") "," COLUMNS_THAT_MOVE("2")
		   " FROM pg_class t JOIN pg_attribute a ON a.attrelid = t.oid AND NOT a.attisdropped"
		   " JOIN pg_description d ON d.objoid = t.oid AND d.classoid = 'pg_class'::regclass AND d.objsubid = a.attnum"
		   " WHERE t.relnamespace = 'custseg'::regnamespace AND t.relkind = 'r' AND t.relname ~ '_choice$' AND a.attnum > 0"
		   " GROUP BY t.relname ORDER BY t.relname COLLATE \"C\"", N_MOVES, types, values, NULL);
	for (uint64 row = 0; row < SPI_processed; row++)
		for (int moves = 0; moves < N_MOVES; moves++)
		{
			char	   *view = SpiText(row, 1);
			char	   *columns = SpiText(row, 2 + moves);

			if (columns == NULL)
				continue;
			appendStringInfo(&made[moves],
							 ", '%s ', (SELECT string_agg(row(%s)::text, ' ' ORDER BY row(%s)::text COLLATE \"C\") FROM custseg.%s c)",
							 view, columns, columns, view);
		}
	for (int moves = 0; moves < N_MOVES; moves++)
	{
		appendStringInfoString(&made[moves], "))");
		statements[moves] = made[moves].data;
	}
}

char *
ChoicesDigest(Moves moves)
{
	static SPIPlanPtr kept[N_MOVES] = {NULL};

	if (!SpiIsKept(&kept[moves]))
	{
		char	   *statements[N_MOVES];

		DigestStatements(statements);
		for (int i = 0; i < N_MOVES; i++)
			SpiKeep(&kept[i], statements[i], 0, NULL);
	}
	SpiRunPlan(kept[moves], NULL, NULL);
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
	for (int moves = 0; moves < N_MOVES; moves++)
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
