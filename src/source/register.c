/*
 * register.c
 *		What is said of a source when it is added, and kept.
 *
 * Whatever can be wrong with a mapping is said here, when somebody is there
 * to read it, and not at night in a worker's log.
 */
#include "postgres.h"

#include "catalog/catalog.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "common/compat.h"
#include "common/guard.h"
#include "common/spi.h"
#include "source/follow.h"
#include "source/mapping.h"
#include "source/parse_text.h"
#include "source/read.h"
#include "source/register.h"

/* The relation can be a source at all, and the caller may say so. */
static void
CheckRelation(Source *source)
{
	char		kind = get_rel_relkind(source->relation);
	Oid			namespace = get_rel_namespace(source->relation);

	source->schema_name = get_namespace_name(namespace);
	source->relation_name = get_rel_name(source->relation);
	if (source->schema_name == NULL || source->relation_name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", source->relation)));

	if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE && kind != RELKIND_VIEW &&
		kind != RELKIND_MATVIEW && kind != RELKIND_FOREIGN_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s cannot be a source", SourceRelation(source)),
				 errhint("A source is a table, partitioned table, view, materialized view or foreign table.")));
	if (get_rel_persistence(source->relation) == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s is temporary and cannot be a source", quote_identifier(source->relation_name)),
				 errhint("A refresh in another session could not see it.")));
	if (strcmp(source->schema_name, "custseg") == 0 || IsCatalogNamespace(namespace))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s is not a table of the shop", SourceRelation(source)),
				 errhint("Name the shop's own order or customer table.")));
}

static void
CheckMember(const Source *source)
{
	if (!has_privs_of_role(GetUserId(), source->owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be a member of role \"%s\" to register %s",
						GetUserNameFromId(source->owner, false), SourceRelation(source)),
				 errdetail("A source is read as the owner of its relation."),
				 errhint("Ask a member of that role, or GRANT %s TO %s.",
						 quote_identifier(GetUserNameFromId(source->owner, false)),
						 quote_identifier(GetUserNameFromId(GetUserId(), false)))));
}

static void
CheckNamespace(const char *namespace)
{
	if (namespace == NULL || namespace[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("namespace must not be empty"),
				 errhint("Leave it out, or name the set of keys that the customer column belongs to.")));
	if (strlen(namespace) >= NAMEDATALEN)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("namespace must not be longer than %d bytes", NAMEDATALEN - 1),
				 errhint("A short name of the system that the customer numbers come from will do, such as 'pos'.")));
}

static void
StoreColumn(const Source *source, int id, const char *role, const char *name, const char *column)
{
	Oid			types[] = {INT4OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID};
	Datum		values[] = {Int32GetDatum(id), CStringGetTextDatum(role), CStringGetTextDatum(name), CStringGetTextDatum(column),
	CStringGetTextDatum(ColumnTypeName(source->relation, column))};

	SpiRun("INSERT INTO custseg.source_column (source_id, role, name, column_name, type) VALUES ($1, $2, $3, $4::name, $5)",
		   lengthof(types), types, values, NULL);
}

static void
StoreColumns(const Source *source, int id)
{
	for (int column = 0; column < MAPPED_COLUMNS; column++)
		if (source->column[column])
			StoreColumn(source, id, ColumnRole(column), "", source->column[column]);
	for (int i = 0; i < source->n_attributes; i++)
		StoreColumn(source, id, source->attributes[i].role, source->attributes[i].name, source->attributes[i].column);
}

/* Store the mapping; the new source's number. */
static int
StoreMapping(const Source *source)
{
	const char *kind = SourceKindName(source->kind);
	Oid			types[] = {TEXTOID, REGCLASSOID, TEXTOID, TEXTOID, TEXTOID, TEXTARRAYOID, BOOLOID, BOOLOID, TEXTOID, TEXTOID, INT4OID};
	Datum		values[lengthof(types)] = {CStringGetTextDatum(kind), ObjectIdGetDatum(source->relation),
		CStringGetTextDatum(source->schema_name), CStringGetTextDatum(source->relation_name),
	CStringGetTextDatum(source->namespace), (Datum) 0, BoolGetDatum(source->key_kind == KEY_NATIVE)};
	char		nulls[lengthof(types) + 1] = "           ";
	Guard		guard;
	int			id;

	if (source->column[COLUMN_STATUS])
		values[5] = source->accepted;
	else
		nulls[5] = 'n';
	values[7] = BoolGetDatum(source->follow);
	values[8] = CStringGetTextDatum(GetUserNameFromId(source->owner, false));
	if (source->parse != PARSE_NONE)
		values[9] = CStringGetTextDatum(ParseOrderName(source->parse));
	else
		nulls[9] = 'n';
	values[10] = Int32GetDatum(source->orders_source);
	nulls[10] = source->orders_source ? ' ' : 'n';

	GuardEnter(&guard, ExtensionOwner());
	SpiRun("SELECT FROM custseg.source_mapping WHERE kind = $1 AND relation = $2",
		   2, types, values, NULL);
	if (SPI_processed > 0 && source->kind != SOURCE_EVENTS)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("%s is already a source of %s", SourceRelation(source), kind),
				 errhint("See custseg.source; drop_source(source_id) forgets it.")));
	if (source->kind == SOURCE_CONTACT)
	{
		SpiRun("SELECT relation::text FROM custseg.source_mapping WHERE kind = $1 AND namespace = $5",
			   5, types, values, NULL);
		if (SPI_processed > 0)
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_OBJECT),
					 errmsg("%s is already the source of customers of namespace \"%s\"", SpiText(0, 1), source->namespace),
					 errhint("Forget it first with custseg.drop_source, or make a view over both tables.")));
	}
	SpiRun("INSERT INTO custseg.source_mapping (kind, relation, schema_name, relation_name, namespace, accepted, native, follow, owner_name, parse, orders_source)"
		   " VALUES ($1, $2, $3::name, $4::name, $5, $6, $7, $8, $9::name, $10, $11) RETURNING source_id",
		   lengthof(types), types, values, nulls);
	id = SpiInt64(0, 1, 0);
	StoreColumns(source, id);
	GuardLeave(&guard);
	return id;
}

/* An enum can get the value later, so this is no error. */
static void
WarnOfStatuses(const Source *source)
{
	Datum	   *accepted;
	int			n;

	if (!source->column[COLUMN_STATUS])
		return;
	deconstruct_array(DatumGetArrayTypeP(source->accepted), TEXTOID, -1, false, TYPALIGN_INT, &accepted, NULL, &n);
	for (int i = 0; i < n; i++)
		if (!StatusCanBe(source, TextDatumGetCString(accepted[i])))
			ereport(WARNING,
					(errcode(ERRCODE_WARNING),
					 errmsg("type %s of column %s does not have the accepted status \"%s\"",
							format_type_be(source->type[COLUMN_STATUS]), SourceColumn(source, COLUMN_STATUS),
							TextDatumGetCString(accepted[i]))));
}

int
RegisterSource(Source *source)
{
	int			id;

	SPI_connect();
	CheckRelation(source);
	CheckNamespace(source->namespace);
	SourceOpen(source);
	CheckMember(source);
	SourceTry(source);
	WarnOfStatuses(source);
	id = StoreMapping(source);
	SPI_finish();
	return id;
}
