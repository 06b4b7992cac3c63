/*
 * follow.c
 *		A relation that took the name of a source's own.
 *
 * Many a load builds a table beside the one in use and swaps their names, or
 * drops the table and creates it anew. The OID that we keep is then that of a
 * table nobody writes to any more, or of none; and whoever may create a table of
 * that name could make us read what he likes. So such a source is left as it was
 * last read, unless it was told to follow: then its successor is adopted if it
 * belongs to the same role and its columns have the same types. Both are kept by
 * name, since the table they were of may be gone.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "common/guard.h"
#include "common/spi.h"
#include "source/follow.h"

PG_FUNCTION_INFO_V1(custseg_set_follow);

/* The relation that has the source's name, or none. */
static Oid
Successor(const Source *source)
{
	Oid			schema = get_namespace_oid(source->schema_name, true);

	return OidIsValid(schema) ? get_relname_relid(source->relation_name, schema) : InvalidOid;
}

bool
SourceIsReplaced(const Source *source)
{
	Oid			successor = Successor(source);

	return OidIsValid(successor) && successor != source->relation;
}

char *
FollowHint(const Source *source)
{
	return psprintf(source->follow ?
					"CALL custseg.refresh() reads what has its name now." :
					"For what has its name now to be read: SELECT custseg.set_follow(%d, true).",
					source->source_id);
}

static char *
OwnerName(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	char	   *name;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	name = GetUserNameFromId(((Form_pg_class) GETSTRUCT(tuple))->relowner, true);
	ReleaseSysCache(tuple);
	return name;
}

char *
ColumnTypeName(Oid relid, const char *column)
{
	AttrNumber	attno = get_attnum(relid, column);
	Oid			type = attno > 0 ? getBaseType(get_atttype(relid, attno)) : InvalidOid;

	if (attno <= 0)
		return NULL;
	return type < FirstNormalObjectId ? format_type_be(type) : format_type_be_qualified(type);
}

static bool
CanBeRead(Oid relid)
{
	char		kind = get_rel_relkind(relid);

	return kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE || kind == RELKIND_VIEW ||
		kind == RELKIND_MATVIEW || kind == RELKIND_FOREIGN_TABLE;
}

/* How to go on with a relation that cannot be followed. */
static char *
Anew(const Source *source)
{
	return psprintf("register it anew: SELECT custseg.drop_source(%d), then add it again", source->source_id);
}

/* Its column of a role is there and of the type that the one before had. */
static void
CheckSuccessorColumn(const Source *source, Oid successor, const char *role, const char *column, const char *before)
{
	char	   *now = ColumnTypeName(successor, column);

	if (now == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("relation %s of source %d was replaced by one without a column \"%s\"",
						SourceRelation(source), source->source_id, column),
				 errdetail("It is mapped as %s of the source.", role),
				 errhint("Give it that column, or %s.", Anew(source))));
	if (before == NULL || strcmp(now, before) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("relation %s of source %d was replaced by one whose column \"%s\" has type %s, and it had %s",
						SourceRelation(source), source->source_id, column, now, before ? before : "another"),
				 errdetail("It is mapped as %s of the source.", role),
				 errhint("Give the column its old type, or %s.", Anew(source))));
}

static void
CheckSuccessor(const Source *source, Oid successor)
{
	char	   *owner = OwnerName(successor);

	if (owner == NULL || !CanBeRead(successor))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("relation %s of source %d was replaced by something that is no table or view",
						SourceRelation(source), source->source_id),
				 errhint("Give the name back, or %s.", Anew(source))));
	if (source->owner_name == NULL || strcmp(owner, source->owner_name) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("relation %s of source %d was replaced by one of role \"%s\", and belonged to role \"%s\"",
						SourceRelation(source), source->source_id, owner, source->owner_name ? source->owner_name : ""),
				 errdetail("A source is read as the owner of its relation."),
				 errhint("ALTER TABLE %s OWNER TO %s, or %s.", SourceRelation(source),
						 quote_identifier(source->owner_name ? source->owner_name : owner), Anew(source))));
	for (int column = 0; column < MAPPED_COLUMNS; column++)
		if (source->column[column])
			CheckSuccessorColumn(source, successor, ColumnRole(column), source->column[column], source->column_type[column]);
	for (int i = 0; i < source->n_attributes; i++)
		CheckSuccessorColumn(source, successor, source->attributes[i].role, source->attributes[i].column, source->attributes[i].type_name);
}

bool
SourceFollow(Source *source)
{
	Oid			successor;

	if (!source->follow)
		return false;
	successor = Successor(source);
	if (!OidIsValid(successor) || successor == source->relation)
		return false;
	LockRelationOid(successor, AccessShareLock);
	CheckSuccessor(source, successor);
	source->relation = successor;
	return true;
}

static void
RememberColumn(const Source *source, const char *role, const char *name, const char *column, const char *before)
{
	char	   *now = ColumnTypeName(source->relation, column);
	Oid			types[] = {INT4OID, TEXTOID, TEXTOID, TEXTOID};
	Datum		values[] = {Int32GetDatum(source->source_id), CStringGetTextDatum(role), CStringGetTextDatum(name), (Datum) 0};

	if (now == NULL || (before != NULL && strcmp(now, before) == 0))
		return;
	values[3] = CStringGetTextDatum(now);
	SpiRun("UPDATE custseg.source_column SET type = $4 WHERE source_id = $1 AND role = $2 AND name = $3",
		   lengthof(types), types, values, NULL);
}

/* What its successor is to be like. */
static void
Remember(const Source *source)
{
	char	   *owner = OwnerName(source->relation);
	Oid			types[2] = {INT4OID, TEXTOID};
	Datum		values[2] = {Int32GetDatum(source->source_id)};

	if (owner != NULL && (source->owner_name == NULL || strcmp(owner, source->owner_name) != 0))
	{
		values[1] = CStringGetTextDatum(owner);
		SpiRun("UPDATE custseg.source_mapping SET owner_name = $2::name WHERE source_id = $1", 2, types, values, NULL);
	}
	for (int column = 0; column < MAPPED_COLUMNS; column++)
		if (source->column[column])
			RememberColumn(source, ColumnRole(column), "", source->column[column], source->column_type[column]);
	for (int i = 0; i < source->n_attributes; i++)
		RememberColumn(source, source->attributes[i].role, source->attributes[i].name, source->attributes[i].column,
					   source->attributes[i].type_name);
}

/* Two sources cannot be one relation. */
static void
CheckOnce(const Source *source, Oid successor)
{
	Oid			types[3] = {INT4OID, OIDOID, TEXTOID};
	Datum		values[3] = {Int32GetDatum(source->source_id), ObjectIdGetDatum(successor),
	CStringGetTextDatum(SourceKindName(source->kind))};

	/* A table can be several sources of events, by different columns. */
	if (source->kind == SOURCE_EVENTS)
		return;
	SpiRun("SELECT source_id FROM custseg.source_mapping WHERE kind = $3 AND relation = $2 AND source_id <> $1",
		   3, types, values, NULL);
	if (SPI_processed > 0)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("relation %s of source %d was replaced by that of source " INT64_FORMAT,
						SourceRelation(source), source->source_id, SpiInt64(0, 1, 0)),
				 errhint("Forget one of them: SELECT custseg.drop_source(" INT64_FORMAT ").", SpiInt64(0, 1, 0))));
}

bool
SourceAdopt(Source *source)
{
	Oid			types[2] = {INT4OID, OIDOID};
	Datum		values[2] = {Int32GetDatum(source->source_id)};

	if (!source->follow)
		return false;
	if (!SourceIsReplaced(source))
	{
		if (SourceIsNamed(source))
			Remember(source);
		return false;
	}
	CheckOnce(source, Successor(source));
	if (!SourceFollow(source))
		return false;

	/* Until it was read nothing of it is in the profiles, so it must not rest. */
	values[1] = ObjectIdGetDatum(source->relation);
	SpiRun("UPDATE custseg.source_mapping SET relation = $2::regclass,"
		   " problem = 'another relation has its name now, and was not read yet' WHERE source_id = $1",
		   2, types, values, NULL);
	source->troubled = true;
	source->resting = false;
	return true;
}

/* ------------------------------------------------------- whether to follow */

static Source *
FindSource(int id)
{
	for (SourceKind kind = SOURCE_ORDERS; kind < SOURCE_KINDS; kind++)
	{
		ListCell   *cell;

		foreach(cell, ListSources(kind))
			if (((Source *) lfirst(cell))->source_id == id)
				return lfirst(cell);
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("source %d does not exist", id),
			 errhint("See custseg.source for the sources there are.")));
}

/* Whose relation is it, or was it, if that is gone? */
static void
CheckOwner(const Source *source, Oid caller)
{
	char	   *name = OwnerName(source->relation);
	Oid			owner;

	if (name == NULL)
		name = source->owner_name;
	owner = name ? get_role_oid(name, true) : InvalidOid;
	if (OidIsValid(owner) ? !has_privs_of_role(caller, owner) : !superuser_arg(caller))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be a member of role \"%s\" to say what follows %s", name ? name : "", SourceRelation(source)),
				 errhint("Ask a member of that role.")));
}

void
SetFollow(int source_id, bool follow, Oid caller)
{
	Oid			types[2] = {INT4OID, BOOLOID};
	Datum		values[2] = {Int32GetDatum(source_id), BoolGetDatum(follow)};
	Source	   *source = FindSource(source_id);

	CheckOwner(source, caller);
	source->follow = follow;
	if (follow && SourceIsNamed(source))
		Remember(source);
	else
		(void) SourceFollow(source);	/* what is wrong is said now */
	SpiRun("UPDATE custseg.source_mapping SET follow = $2 WHERE source_id = $1", 2, types, values, NULL);
}

Datum
custseg_set_follow(PG_FUNCTION_ARGS)
{
	Oid			caller = GetUserId();
	Guard		guard;

	OwnerBegin(&guard);
	SetFollow(PG_GETARG_INT32(0), PG_GETARG_BOOL(1), caller);
	OwnerEnd(&guard);
	PG_RETURN_VOID();
}
