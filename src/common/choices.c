/*
 * choices.c
 *		What moves with the shop's settings.
 *
 * Where a setting changed, something has to be done anew. What that is says the
 * comment of the column of the table that keeps the shop's choice (overlay.c), so
 * that who adds a setting says it there, and nothing here lists settings. The
 * digest is of what the views show: a default that an upgrade changes counts, and
 * a choice that is the default does not.
 *
 * The statements are made once in a session and their plans are kept: a refresh
 * that finds nothing to do must not spend its time here.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/comment.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "common/choices.h"
#include "common/spi.h"

PG_FUNCTION_INFO_V1(custseg_choices_digest);

static const char *const moves_names[] = {"calibration", "queue"};

#define N_MOVES lengthof(moves_names)

/* The views of what is shipped and what the shop chose; the table of a view's choices is called VIEW_choice. */
static const char *const views[] = {"channel", "playbook", "settings", "template", "tier_policy"};

static bool
Names(const char *comment, const char *what)
{
	int			len = strlen(what);

	for (const char *at = comment; (at = strstr(at, what)) != NULL; at++)
		if ((at == comment || at[-1] == ' ') && (at[len] == '\0' || at[len] == ','))
			return true;
	return false;
}

static int
CompareNames(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

/* The columns of a table with a comment that names what moves, as "c.a, c.b"; NULL without any. */
static char *
ColumnsThatMove(Oid relid, const char *what)
{
	Relation	rel = relation_open(relid, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(rel);
	List	   *names = NIL;
	ListCell   *cell;
	StringInfoData columns;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		char	   *comment = att->attisdropped ? NULL : GetComment(relid, RelationRelationId, att->attnum);

		if (comment != NULL && Names(comment, what))
			names = lappend(names, pstrdup(NameStr(att->attname)));
	}
	relation_close(rel, NoLock);
	if (names == NIL)
		return NULL;
	list_sort(names, CompareNames);
	initStringInfo(&columns);
	foreach(cell, names)
		appendStringInfo(&columns, "%sc.%s", columns.len > 0 ? ", " : "", quote_identifier(lfirst(cell)));
	return columns.data;
}

static char *
DigestStatement(Moves moves)
{
	StringInfoData statement;
	Oid			schema = get_namespace_oid("custseg", false);

	initStringInfo(&statement);
	appendStringInfoString(&statement, "SELECT md5(concat(''");
	for (int i = 0; i < lengthof(views); i++)
	{
		Oid			relid = get_relname_relid(psprintf("%s_choice", views[i]), schema);
		char	   *columns = OidIsValid(relid) ? ColumnsThatMove(relid, moves_names[moves]) : NULL;

		if (columns)
			appendStringInfo(&statement,
							 ", '%s ', (SELECT string_agg(row(%s)::text, ' ' ORDER BY row(%s)::text COLLATE \"C\") FROM custseg.%s c)",
							 views[i], columns, columns, views[i]);
	}
	appendStringInfoString(&statement, "))");
	return statement.data;
}

char *
ChoicesDigest(Moves moves)
{
	static SPIPlanPtr kept[N_MOVES] = {NULL};

	if (!SpiIsKept(&kept[moves]))
		SpiKeep(&kept[moves], DigestStatement(moves), 0, NULL);
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
