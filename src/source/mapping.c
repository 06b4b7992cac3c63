/*
 * mapping.c
 *		A registered source: its relation, its columns and what they are.
 *
 * A mapping is a relation and column names, never SQL text. The relation is
 * stored as an OID and as a name, and both must agree when it is read: an OID
 * alone may have been given to something else after a restore, a name alone
 * to something somebody else put there.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "common/spi.h"
#include "source/follow.h"
#include "source/lines.h"
#include "source/mapping.h"
#include "source/parse_text.h"

/* Columns of custseg.source_mapping. */
enum
{
	MAPPING_SOURCE_ID = 1,
	MAPPING_RELATION = 3
};

typedef struct ColumnRule
{
	const char *role;			/* the argument's name */
	const char *wanted;			/* in words, for the hint */
	const Oid  *types;			/* accepted base types, InvalidOid last; NULL
								 * for any */
} ColumnRule;

static const Oid key_types[] = {INT2OID, INT4OID, INT8OID, UUIDOID, TEXTOID, VARCHAROID, InvalidOid};
static const Oid time_types[] = {TIMESTAMPTZOID, TIMESTAMPOID, DATEOID, InvalidOid};
static const Oid number_types[] = {NUMERICOID, INT2OID, INT4OID, INT8OID, FLOAT4OID, FLOAT8OID, InvalidOid};
static const Oid promotion_types[] = {BOOLOID, NUMERICOID, INT2OID, INT4OID, INT8OID, FLOAT4OID, FLOAT8OID, InvalidOid};
static const Oid closed_types[] = {BOOLOID, TIMESTAMPTZOID, TIMESTAMPOID, DATEOID, InvalidOid};
static const Oid flag_types[] = {BOOLOID, InvalidOid};
static const Oid attribute_types[] = {TEXTOID, VARCHAROID, BPCHAROID, BOOLOID, INT2OID, INT4OID, INT8OID, NUMERICOID,
FLOAT4OID, FLOAT8OID, DATEOID, TIMESTAMPOID, TIMESTAMPTZOID, UUIDOID, InvalidOid};

static const ColumnRule column_rules[MAPPED_COLUMNS] = {
	[COLUMN_CUSTOMER] = {"customer", "smallint, integer, bigint, uuid, text or varchar", key_types},
	[COLUMN_AT] = {"at", "timestamptz, timestamp or date", time_types},
	[COLUMN_AMOUNT] = {"amount", "numeric, an integer or a floating-point number", number_types},
	[COLUMN_ORDER_ID] = {"order_id", "smallint, integer, bigint, uuid, text or varchar", key_types},
	[COLUMN_STATUS] = {"status", NULL, NULL},
	[COLUMN_PROMOTION] = {"promotion", "boolean or a number", promotion_types},
	[COLUMN_REGISTERED_AT] = {"registered_at", "timestamptz, timestamp or date", time_types},
	[COLUMN_NAME] = {"name", NULL, NULL},
	[COLUMN_PHONE] = {"phone", NULL, NULL},
	[COLUMN_EMAIL] = {"email", NULL, NULL},
	[COLUMN_DO_NOT_CONTACT] = {"do_not_contact", "boolean", flag_types},
	[COLUMN_CHANNEL] = {"channel", NULL, NULL},
	[COLUMN_EVENT] = {"event", NULL, NULL},
	[COLUMN_VALUE] = {"value", "numeric, an integer or a floating-point number", number_types},
	[COLUMN_REF] = {"ref", NULL, NULL},
	[COLUMN_CLOSED] = {"closed", "boolean, timestamptz, timestamp or date", closed_types},
	[COLUMN_COUPON] = {"coupon", NULL, NULL},
	[COLUMN_MERGED_INTO] = {"merged_into", "smallint, integer, bigint, uuid, text or varchar", key_types},
	[COLUMN_PRODUCT] = {"product", NULL, NULL},
	[COLUMN_QUANTITY] = {"quantity", "numeric, an integer or a floating-point number", number_types},
	[COLUMN_PRICE] = {"price", "numeric, an integer or a floating-point number", number_types},
	[COLUMN_LIST_PRICE] = {"list_price", "numeric, an integer or a floating-point number", number_types},
	[COLUMN_UNIT_COST] = {"unit_cost", "numeric, an integer or a floating-point number", number_types},
	[COLUMN_CATEGORY] = {"category", NULL, NULL},
	[COLUMN_CLEARANCE] = {"clearance", "boolean or a number", promotion_types},
	[COLUMN_OWNER] = {"owner", NULL, NULL},
	[COLUMN_ZONE] = {"zone", NULL, NULL},
	[COLUMN_LANGUAGE] = {"language", NULL, NULL},
};

/* Of those that are kept under their names. */
static const ColumnRule attribute_rule = {ROLE_ATTRIBUTE, "text, a number, boolean, a date, a timestamp, uuid or an enum",
attribute_types};
static const ColumnRule handle_rule = {ROLE_HANDLE, NULL, NULL};
static const ColumnRule consent_rule = {ROLE_CONSENT, "boolean", flag_types};
static const ColumnRule *const named_rules[] = {&attribute_rule, &handle_rule, &consent_rule};

/* NULL: no column of that role has a name. */
static const ColumnRule *
NamedRule(const char *role)
{
	for (int i = 0; i < lengthof(named_rules); i++)
		if (strcmp(named_rules[i]->role, role) == 0)
			return named_rules[i];
	return NULL;
}

static const char *const kind_names[] = {
	[SOURCE_ORDERS] = "orders",
	[SOURCE_PEOPLE] = "people",
	[SOURCE_CONTACT] = "contact",
	[SOURCE_SPEND] = "spend",
	[SOURCE_EVENTS] = "events",
	[SOURCE_LINES] = "lines",
};

const char *
SourceKindName(SourceKind kind)
{
	return kind_names[kind];
}

const char *
ColumnRole(MappedColumn column)
{
	return column_rules[column].role;
}

static Source *
SourceFromRow(uint64 row, SourceKind kind)
{
	Source	   *source = palloc0(sizeof(Source));
	bool		isnull;
	Datum		value;

	source->kind = kind;
	source->source_id = SpiInt64(row, 1, 0);
	source->relation = SpiInt64(row, 4, InvalidOid);
	source->schema_name = SpiText(row, 5);
	source->relation_name = SpiText(row, 6);
	source->namespace = SpiText(row, 7);
	value = SpiField(row, 8, &isnull);
	if (!isnull)
		source->accepted = PointerGetDatum(DatumGetArrayTypePCopy(value));
	value = SpiField(row, 9, &isnull);
	source->last_read = isnull ? DT_NOBEGIN : DatumGetTimestampTz(value);
	source->customers = SpiInt64(row, 10, -1);
	source->tracked = SpiInt64(row, 11, 0) != 0;
	source->layout = SpiText(row, 12);
	source->resting = SpiInt64(row, 13, 0) != 0;
	source->read_here = SpiInt64(row, 14, 0) != 0;
	source->troubled = SpiInt64(row, 15, 0) != 0;
	source->rows = SpiInt64(row, 16, 0);
	source->native = SpiInt64(row, 17, 0) != 0;
	source->follow = SpiInt64(row, 18, 0) != 0;
	source->owner_name = SpiText(row, 19);
	source->parse = ParseOrderOf(SpiText(row, 21));
	source->orders_source = SpiInt64(row, 23, 0);
	return source;
}

/* The attribute is called like its row in source_column. */
static void
AddAttribute(Source *source, const char *role, char *name, char *column, char *type_name)
{
	int			n = source->n_attributes++;

	source->attributes = source->attributes ? repalloc(source->attributes, (n + 1) * sizeof(SourceAttribute)) :
		palloc(sizeof(SourceAttribute));
	source->attributes[n] = (SourceAttribute) {.role = role,.name = name,.column = column,.type_name = type_name};
}

/* Each source of lines has the source of its orders, where there is one. */
static void
FindOrders(List *sources)
{
	List	   *all = sources == NIL ? NIL : ListSources(SOURCE_ORDERS);
	ListCell   *cell;
	ListCell   *other;

	foreach(cell, sources)
	{
		Source	   *source = lfirst(cell);

		foreach(other, all)
			if (((Source *) lfirst(other))->source_id == source->orders_source)
				source->orders = lfirst(other);
	}
}

List *
ListSources(SourceKind kind)
{
	static SPIPlanPtr kept = NULL;
	List	   *sources = NIL;
	Source	   *source = NULL;
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(kind_names[kind])};

	/* A row a column. */
	SpiRunPlan(SpiKeep(&kept,
					   "SELECT m.source_id, c.role, c.column_name::text, m.relation::oid, m.schema_name::text,"
					   " m.relation_name::text, m.namespace, m.accepted, m.last_read, m.customers,"
					   " m.tracked_since IS NOT NULL, m.tracked_layout,"
					   " coalesce(m.last_read + m.rescan_every > pg_catalog.clock_timestamp(), false) AND m.problem IS NULL,"
					   " m.tracked_layout IS NOT NULL AND m.read_home = custseg.home(),"
					   " m.problem IS NOT NULL, m.rows_accepted + coalesce(m.rows_forgotten, 0), m.native, m.follow, m.owner_name::text, c.type, m.parse, c.name, m.orders_source"
					   " FROM custseg.source_mapping m JOIN custseg.source_column c USING (source_id)"
					   " WHERE m.kind = $1 ORDER BY m.source_id, c.role COLLATE \"C\", c.name COLLATE \"C\"",
					   1, types), values, NULL);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		char	   *role = SpiText(row, 2);

		if (source == NULL || source->source_id != SpiInt64(row, 1, 0))
		{
			source = SourceFromRow(row, kind);
			sources = lappend(sources, source);
		}
		for (int column = 0; column < MAPPED_COLUMNS; column++)
			if (strcmp(role, column_rules[column].role) == 0)
			{
				source->column[column] = SpiText(row, 3);
				source->column_type[column] = SpiText(row, 20);
			}
		if (NamedRule(role))
			AddAttribute(source, NamedRule(role)->role, SpiText(row, 22), SpiText(row, 3), SpiText(row, 20));
	}
	SPI_freetuptable(SPI_tuptable);
	if (kind == SOURCE_LINES)
		FindOrders(sources);
	return sources;
}

static bool
IsText(Oid type)
{
	return type == TEXTOID || type == VARCHAROID || type == BPCHAROID;
}

static bool
MayBeParsed(const ColumnRule *rule)
{
	return rule == &column_rules[COLUMN_AT] || rule == &column_rules[COLUMN_AMOUNT];
}

bool
SourceIsParsed(const Source *source)
{
	return IsText(source->type[COLUMN_AT]) || IsText(source->type[COLUMN_AMOUNT]);
}

List *
ListReadSources(void)
{
	return list_concat(ListSources(SOURCE_ORDERS), ListSources(SOURCE_PEOPLE));
}

/* The number of a column and its type, if it can be what it is mapped as. */
static AttrNumber
CheckColumn(const Source *source, const char *name, const ColumnRule *rule, Oid *found)
{
	AttrNumber	attno = get_attnum(source->relation, name);
	Oid			type;

	if (attno <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of relation %s does not exist",
						name, SourceRelation(source)),
				 errdetail("It is mapped as %s of the source.", rule->role),
				 source->source_id == 0 ?
				 errhint("Name an existing column.") :
				 errhint("Put the column back, or register the relation anew: SELECT custseg.drop_source(%d), then add it again.",
						 source->source_id)));

	type = getBaseType(get_atttype(source->relation, attno));
	if (rule->types && !(MayBeParsed(rule) && IsText(type) && source->parse != PARSE_NONE))
	{
		const Oid  *accepted = rule->types;

		while (OidIsValid(*accepted) && *accepted != type)
			accepted++;
		if (!OidIsValid(*accepted) && !(rule == &attribute_rule && get_typtype(type) == TYPTYPE_ENUM))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("column \"%s\" of relation %s has type %s and cannot be used as %s",
							name, SourceRelation(source), format_type_be(type), rule->role),
					 MayBeParsed(rule) && IsText(type) ?
					 errhint("It must be %s; parse => 'YMD', 'DMY' or 'MDY' reads texts, or a view over the table can cast it.", rule->wanted) :
					 errhint("It must be %s; a view over the table can cast it.", rule->wanted)));
	}
	*found = type;
	return attno;
}

bool
KeyKindOf(Oid type, KeyKind *kind)
{
	switch (type)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
			*kind = KEY_NATIVE;
			return true;
		case UUIDOID:
			*kind = KEY_UUID;
			return true;
		case TEXTOID:
		case VARCHAROID:
			*kind = KEY_TEXT;
			return true;
		default:
			return false;
	}
}

bool
NumbersAreNative(const Source *source)
{
	return strcmp(source->namespace, SHOP_NAMESPACE) == 0;
}

bool
SourceMayBe(int source_id, Oid relid)
{
	Oid			table = get_relname_relid("source_mapping", get_namespace_oid("custseg", true));
	bool		may_be = false;
	Relation	rel;
	Snapshot	snapshot;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	if (!OidIsValid(table) || !ConditionalLockRelationOid(table, AccessShareLock))
		return true;
	rel = try_relation_open(table, NoLock);
	if (rel == NULL)
		return true;
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	ScanKeyInit(&key, MAPPING_SOURCE_ID, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(source_id));
	scan = systable_beginscan(rel, InvalidOid, false, snapshot, 1, &key);
	if (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		Oid			source = DatumGetObjectId(heap_getattr(tuple, MAPPING_RELATION, RelationGetDescr(rel), &isnull));

		may_be = source == relid || list_member_oid(get_partition_ancestors(relid), source);
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	relation_close(rel, AccessShareLock);
	return may_be;
}

/* A column without which nothing can be read of the source. */
static MappedColumn
TellingColumn(const Source *source)
{
	return source->column[COLUMN_CUSTOMER] ? COLUMN_CUSTOMER : source->kind == SOURCE_SPEND ? COLUMN_AT : COLUMN_ORDER_ID;
}

void
SourceOpen(Source *source)
{
	HeapTuple	tuple;
	Form_pg_class form;

	LockRelationOid(source->relation, AccessShareLock);
	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(source->relation));
	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation %s of source %d no longer exists",
						SourceRelation(source), source->source_id),
				 SourceIsReplaced(source) ? errhint("%s", FollowHint(source)) :
				 errhint("Register its successor, and forget this one with SELECT custseg.drop_source(%d).",
						 source->source_id)));
	form = (Form_pg_class) GETSTRUCT(tuple);
	if (strcmp(NameStr(form->relname), source->relation_name) != 0 ||
		strcmp(get_namespace_name(form->relnamespace), source->schema_name) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("source %d was registered as %s, but that relation is now called %s",
						source->source_id, SourceRelation(source),
						quote_qualified_identifier(get_namespace_name(form->relnamespace), NameStr(form->relname))),
				 SourceIsReplaced(source) ? errhint("Rename it back. %s", FollowHint(source)) :
				 errhint("Rename it back, or SELECT custseg.drop_source(%d) and register it under its new name.",
						 source->source_id)));
	source->owner = form->relowner;
	ReleaseSysCache(tuple);

	for (int column = 0; column < MAPPED_COLUMNS; column++)
		if (source->column[column])
			source->attno[column] = CheckColumn(source, source->column[column], &column_rules[column], &source->type[column]);
	for (int i = 0; i < source->n_attributes; i++)
		(void) CheckColumn(source, source->attributes[i].column, NamedRule(source->attributes[i].role), &source->attributes[i].type);
	if (source->orders_source != 0)
		LinesOpen(source);
	if (source->column[COLUMN_CUSTOMER])
		(void) KeyKindOf(source->type[COLUMN_CUSTOMER], &source->key_kind);
	if (source->column[COLUMN_CUSTOMER] && source->key_kind == KEY_NATIVE && !NumbersAreNative(source))
		source->key_kind = KEY_NUMBER;
	if (source->column[COLUMN_CUSTOMER] && source->source_id > 0 && (source->key_kind == KEY_NATIVE) != source->native)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of relation %s now has type %s, and its customers are others",
						source->column[COLUMN_CUSTOMER], SourceRelation(source), format_type_be(source->type[COLUMN_CUSTOMER])),
				 errdetail("When source %d was registered its customers were known by %s.", source->source_id,
						   source->native ? "the shop's own numbers" : "a text or uuid, and custseg gave them numbers"),
				 errhint("Give the column its old type back, or register the relation anew: SELECT custseg.untrack(%d), custseg.drop_source(%d), then add it again.",
						 source->source_id, source->source_id)));

	if (pg_class_aclcheck(source->relation, source->owner, ACL_SELECT) != ACLCHECK_OK &&
		pg_attribute_aclcheck(source->relation, source->attno[TellingColumn(source)], source->owner, ACL_SELECT) != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("role \"%s\", which owns relation %s, may not read it",
						GetUserNameFromId(source->owner, false), SourceRelation(source)),
				 errdetail("A source is read as the owner of its relation."),
				 errhint("GRANT SELECT ON %s TO %s.", SourceRelation(source),
						 quote_identifier(GetUserNameFromId(source->owner, false)))));
}

char *
SourceRelation(const Source *source)
{
	return quote_qualified_identifier(source->schema_name, source->relation_name);
}

const char *
SourceColumn(const Source *source, MappedColumn column)
{
	if (source->column[column] == NULL)
		elog(ERROR, "source %d has no column %s", source->source_id, ColumnRole(column));
	return quote_identifier(source->column[column]);
}

bool
StatusCanBe(const Source *source, const char *status)
{
	Oid			type = source->type[COLUMN_STATUS];

	return get_typtype(type) != TYPTYPE_ENUM ||
		(strlen(status) < NAMEDATALEN &&
		 SearchSysCacheExists2(ENUMTYPOIDNAME, ObjectIdGetDatum(type), CStringGetDatum(status)));
}

bool
SourceIsNamed(const Source *source)
{
	Oid			schema = get_namespace_oid(source->schema_name, true);

	return OidIsValid(schema) && get_relname_relid(source->relation_name, schema) == source->relation;
}

char *
SourceFilter(const Source *source, int parameter, const char *prefix)
{
	if (!source->column[COLUMN_STATUS])
		return "";
	return psprintf("%s%s::pg_catalog.text COLLATE pg_catalog.\"C\" OPERATOR(pg_catalog.=) ANY ($%d)",
					prefix, SourceColumn(source, COLUMN_STATUS), parameter);
}
