/*
 * lines.c
 *		Lines of orders, which have their customers and days from the orders.
 *
 * A line names its order, and the order the customer and the moment. So the two
 * relations are joined, by the executor, as the owner of the lines: whoever owns
 * these must be allowed to read the orders. And the orders must belong to somebody
 * who may do all that the owner of the lines may: the functions of a view, but also
 * a cast of a column's type or an index of a table run with the rights of whoever
 * reads it.
 *
 * An order is what a source of orders makes of one: the rows of one customer with
 * one number, from the first of them on. Where two customers have orders with the
 * same number its lines count for both, so that a customer's lines depend on
 * nobody else's orders.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "source/follow.h"
#include "source/lines.h"
#include "source/read.h"

/* ------------------------------------------------------ opening the orders */

static bool
MayRead(Oid role, const Source *orders)
{
	static const MappedColumn read[] = {COLUMN_ORDER_ID, COLUMN_CUSTOMER, COLUMN_AT, COLUMN_STATUS};

	if (pg_class_aclcheck(orders->relation, role, ACL_SELECT) == ACLCHECK_OK)
		return true;
	for (int i = 0; i < lengthof(read); i++)
		if (orders->column[read[i]] &&
			pg_attribute_aclcheck(orders->relation, orders->attno[read[i]], role, ACL_SELECT) != ACLCHECK_OK)
			return false;
	return true;
}

static void
CheckReader(const Source *source)
{
	const Source *orders = source->orders;
	const char *reader = GetUserNameFromId(source->owner, false);

	if (!MayRead(source->owner, orders))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("role \"%s\", which owns the lines in %s, may not read their orders in %s",
						reader, SourceRelation(source), SourceRelation(orders)),
				 errdetail("Lines are read with their orders, as the owner of the relation of the lines."),
				 errhint("GRANT SELECT ON %s TO %s.", SourceRelation(orders), quote_identifier(reader))));
	if (!has_privs_of_role(orders->owner, source->owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("the orders in %s belong to role \"%s\", whose code must not run with the rights of role \"%s\"",
						SourceRelation(orders), GetUserNameFromId(orders->owner, false), reader),
				 errdetail("Lines are read with their orders, as the owner of the relation of the lines, %s.", SourceRelation(source)),
				 errhint("Give both relations one owner: ALTER TABLE %s OWNER TO %s.", SourceRelation(source),
						 quote_identifier(GetUserNameFromId(orders->owner, false)))));
}

static void
CheckNumbers(const Source *source)
{
	const Source *orders = source->orders;
	KeyKind		of_line;
	KeyKind		of_order;

	if (orders->column[COLUMN_ORDER_ID] == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("source %d has no column of order numbers, by which lines could find their orders", orders->source_id),
				 errhint("Add it again with one: SELECT custseg.drop_source(%d), then custseg.add_orders(..., order_id => 'column').",
						 orders->source_id)));
	(void) KeyKindOf(source->type[COLUMN_ORDER_ID], &of_line);
	(void) KeyKindOf(orders->type[COLUMN_ORDER_ID], &of_order);
	if (of_line != of_order)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column %s of relation %s has type %s, and the numbers of its orders have type %s",
						SourceColumn(source, COLUMN_ORDER_ID), SourceRelation(source),
						format_type_be(source->type[COLUMN_ORDER_ID]), format_type_be(orders->type[COLUMN_ORDER_ID])),
				 errhint("A view over one of the tables can cast it.")));
}

void
LinesOpen(Source *source)
{
	Source	   *orders = source->orders;

	if (orders == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("source %d, whose orders the lines in %s belong to, does not exist any more",
						source->orders_source, SourceRelation(source)),
				 errhint("Forget the lines with SELECT custseg.drop_source(%d), then add both again.", source->source_id)));
	(void) SourceFollow(orders);
	SourceOpen(orders);
	CheckNumbers(source);
	CheckReader(source);
	source->type[COLUMN_CUSTOMER] = orders->type[COLUMN_CUSTOMER];
	source->type[COLUMN_AT] = orders->type[COLUMN_AT];
	source->key_kind = orders->key_kind;
}

/* ---------------------------------------------------------- the statements */

static bool
IsTextType(Oid type)
{
	return type == TEXTOID || type == VARCHAROID || type == BPCHAROID;
}

static char *
OfLine(const Source *source, MappedColumn column)
{
	return psprintf("l.%s", SourceColumn(source, column));
}

/* As a numeric. A real stands for its shortest decimal, which is its text. */
static char *
Numeric(const Source *source, MappedColumn column)
{
	Oid			type = source->type[column];

	return psprintf("%s%s", OfLine(source, column),
					type == NUMERICOID ? "" : type == FLOAT4OID ? "::pg_catalog.text::pg_catalog.numeric" : "::pg_catalog.numeric");
}

Oid
LineNumberType(const Source *source, MappedColumn column)
{
	Oid			type = source->type[column];

	return type == INT2OID || type == INT4OID || type == INT8OID ? type : NUMERICOID;
}

/* So. */
static char *
Number(const Source *source, MappedColumn column)
{
	return LineNumberType(source, column) == NUMERICOID ? Numeric(source, column) : OfLine(source, column);
}

static char *
Positive(const Source *source, MappedColumn column)
{
	return psprintf("%s OPERATOR(pg_catalog.>) 0", OfLine(source, column));
}

static char *
Text(const Source *source, MappedColumn column)
{
	return psprintf("%s%s", OfLine(source, column), source->type[column] == TEXTOID ? "" : "::pg_catalog.text");
}

static char *
Flag(const Source *source, MappedColumn column)
{
	return source->type[column] == BOOLOID ? OfLine(source, column) : Positive(source, column);
}

/* To us two keys are the same when their bytes are. */
static char *
Bytewise(Oid type, const char *expression)
{
	return IsTextType(type) ? psprintf("%s COLLATE pg_catalog.\"C\"", expression) : pstrdup(expression);
}

/* That the status is accepted, by "prefix" and the column; "true" where none decides. */
static char *
Accepted(const Source *source, const char *prefix)
{
	if (source->column[COLUMN_STATUS] == NULL)
		return "true";
	return psprintf("coalesce(%s%s::pg_catalog.text COLLATE pg_catalog.\"C\" OPERATOR(pg_catalog.=) ANY (%s::pg_catalog.text[]), false)",
					prefix, SourceColumn(source, COLUMN_STATUS),
					quote_literal_cstr(OidOutputFunctionCall(F_ARRAY_OUT, source->accepted)));
}

/* Does each number stand in one row? An index says so. */
static bool
NumbersAreUnique(const Source *orders)
{
	Relation	rel = relation_open(orders->relation, AccessShareLock);
	bool		unique = false;
	ListCell   *cell;

	if (rel->rd_rel->relkind != RELKIND_VIEW && rel->rd_rel->relkind != RELKIND_FOREIGN_TABLE &&
		!(rel->rd_rel->relkind == RELKIND_RELATION && rel->rd_rel->relhassubclass))
		foreach(cell, RelationGetIndexList(rel))
		{
			HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(cell)));
			Form_pg_index index;

			if (!HeapTupleIsValid(tuple))
				continue;
			index = (Form_pg_index) GETSTRUCT(tuple);
			unique |= index->indisunique && index->indisvalid && index->indimmediate && index->indnkeyatts == 1 &&
				index->indkey.values[0] == orders->attno[COLUMN_ORDER_ID] &&
				heap_attisnull(tuple, Anum_pg_index_indpred, NULL);
			ReleaseSysCache(tuple);
		}
	relation_close(rel, NoLock);
	return unique;
}

/* The first moment of an order's rows that count. */
static char *
FirstMoment(const Source *orders, const char *accepted)
{
	Oid			type = orders->type[COLUMN_AT];
	const char *at = SourceColumn(orders, COLUMN_AT);

	if (type == VARCHAROID)
		return psprintf("min(%s::pg_catalog.text COLLATE pg_catalog.\"C\") FILTER (WHERE %s)::pg_catalog.varchar", at, accepted);
	return psprintf("min(%s) FILTER (WHERE %s)", Bytewise(type, at), accepted);
}

/* Each order once: order_id, customer, at, and whether it counts. "Where" may be empty. */
static char *
OrdersOnce(const Source *orders, const char *where)
{
	const char *accepted = Accepted(orders, "");
	const char *number = SourceColumn(orders, COLUMN_ORDER_ID);
	const char *customer = SourceColumn(orders, COLUMN_CUSTOMER);

	if (NumbersAreUnique(orders))
		return psprintf("(SELECT %s AS order_id, %s AS customer, %s AS at, %s AS counts FROM %s%s)",
						number, customer, SourceColumn(orders, COLUMN_AT), accepted, SourceRelation(orders), where);
	return psprintf("(SELECT %s AS order_id, %s AS customer, %s AS at, bool_or(%s) AS counts FROM %s%s GROUP BY 1, 2)",
					Bytewise(orders->type[COLUMN_ORDER_ID], number), Bytewise(orders->type[COLUMN_CUSTOMER], customer),
					FirstMoment(orders, accepted), accepted, SourceRelation(orders), where);
}

/* That a line l is of an order o. The comparison is one that an index of the lines can be looked up by. */
static char *
SameOrder(const Source *source)
{
	char	   *of_line = OfLine(source, COLUMN_ORDER_ID);
	Oid			type;
	Oid			collation;
	int32		typmod;
	HeapTuple	tuple;
	Form_pg_collation form;
	char	   *condition;

	get_atttypetypmodcoll(source->relation, source->attno[COLUMN_ORDER_ID], &type, &typmod, &collation);
	if (!OidIsValid(collation))
		return psprintf("%s OPERATOR(pg_catalog.=) o.order_id", of_line);
	if (!get_collation_isdeterministic(collation))
		return psprintf("%s::pg_catalog.text COLLATE pg_catalog.\"C\" OPERATOR(pg_catalog.=) o.order_id::pg_catalog.text", of_line);
	tuple = SearchSysCache1(COLLOID, ObjectIdGetDatum(collation));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for collation %u", collation);
	form = (Form_pg_collation) GETSTRUCT(tuple);
	condition = psprintf("%s OPERATOR(pg_catalog.=) o.order_id COLLATE %s", of_line,
						 quote_qualified_identifier(get_namespace_name(form->collnamespace), NameStr(form->collname)));
	ReleaseSysCache(tuple);
	return condition;
}

char *
LinesStatement(const Source *source, LinesRead read)
{
	const Source *orders = source->orders;
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT %s, %s, %s", orders ? "o.customer" : OfLine(source, COLUMN_CUSTOMER),
					 orders ? "o.at" : OfLine(source, COLUMN_AT), Number(source, COLUMN_QUANTITY));
	if (orders)
		appendStringInfo(&sql, ", %s", OfLine(source, COLUMN_ORDER_ID));
	if (source->column[COLUMN_STATUS])
		appendStringInfo(&sql, ", %s::pg_catalog.text", OfLine(source, COLUMN_STATUS));
	appendStringInfo(&sql, ", %s, %s", Text(source, COLUMN_PRODUCT), Number(source, COLUMN_PRICE));
	if (source->column[COLUMN_CLEARANCE])
		appendStringInfo(&sql, ", %s", Flag(source, COLUMN_CLEARANCE));
	if (orders)
		appendStringInfoString(&sql, ", o.counts");
	appendStringInfo(&sql, " FROM %s l", SourceRelation(source));
	if (orders == NULL)
		return sql.data;
	if (read == LINES_ALL)
		appendStringInfo(&sql, " LEFT JOIN %s o ON %s", OrdersOnce(orders, ""), SameOrder(source));
	else
		appendStringInfo(&sql, " JOIN %s o ON %s WHERE o.counts%s",
						 OrdersOnce(orders, psprintf(" WHERE %s", SourceCustomerIsAny(orders, 1))), SameOrder(source),
						 SourceFilter(source, 2, " AND l."));
	return sql.data;
}

/* That a moment lies within the days; without a condition where it is a text. */
static char *
WithinDays(Oid type, const char *at, const char *time_zone, DateADT first, DateADT last)
{
	const char *from = DatumGetCString(DirectFunctionCall1(date_out, DateADTGetDatum(first)));
	const char *until = DatumGetCString(DirectFunctionCall1(date_out, DateADTGetDatum(last + 1)));
	const char *zone = quote_literal_cstr(time_zone);

	if (IsTextType(type))
		return "true";
	if (type == TIMESTAMPTZOID)
		return psprintf("%1$s OPERATOR(pg_catalog.>=) pg_catalog.timezone(%2$s, '%3$s'::pg_catalog.timestamp)"
						" AND %1$s OPERATOR(pg_catalog.<) pg_catalog.timezone(%2$s, '%4$s'::pg_catalog.timestamp)",
						at, zone, from, until);
	return psprintf("%1$s OPERATOR(pg_catalog.>=) '%2$s' AND %1$s OPERATOR(pg_catalog.<) '%3$s'", at, from, until);
}

/* That a row has a customer. */
static char *
HasCustomer(const Source *source, const char *customer)
{
	switch (source->key_kind)
	{
		case KEY_NATIVE:
		case KEY_NUMBER:
			return psprintf("%s OPERATOR(pg_catalog.>) 0", customer);
		case KEY_TEXT:
			return psprintf("pg_catalog.octet_length(%s::pg_catalog.text) BETWEEN 1 AND %d", customer, KEY_MAX_LENGTH);
		default:
			return psprintf("%s IS NOT NULL", customer);
	}
}

/* An amount that is a number above zero. */
static char *
IsPrice(const Source *source, MappedColumn column)
{
	Oid			type = source->type[column];

	return psprintf("%s%s", Positive(source, column),
					type == NUMERICOID || type == FLOAT4OID || type == FLOAT8OID ?
					psprintf(" AND %s OPERATOR(pg_catalog.<) 'Infinity'", OfLine(source, column)) : "");
}

char *
ProductsStatement(const Source *source, const char *time_zone, DateADT first, DateADT last)
{
	const Source *orders = source->orders;
	const char *customer = orders ? "o.customer" : OfLine(source, COLUMN_CUSTOMER);
	const char *at = orders ? "o.at" : OfLine(source, COLUMN_AT);
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "WITH sold AS (SELECT %s COLLATE pg_catalog.\"C\" AS product, %s AS price, %s AS bought,"
					 " %s AS customer, %s AS at, %s AS list_price, %s AS name, %s AS clearance FROM %s l",
					 Text(source, COLUMN_PRODUCT), Numeric(source, COLUMN_PRICE), Positive(source, COLUMN_QUANTITY),
					 Bytewise(source->type[COLUMN_CUSTOMER], customer), at,
					 source->column[COLUMN_LIST_PRICE] ?
					 psprintf("CASE WHEN %s THEN %s END", IsPrice(source, COLUMN_LIST_PRICE), Numeric(source, COLUMN_LIST_PRICE)) :
					 "NULL::pg_catalog.numeric",
					 source->column[COLUMN_NAME] ? Text(source, COLUMN_NAME) : "NULL::pg_catalog.text",
					 source->column[COLUMN_CLEARANCE] ? Flag(source, COLUMN_CLEARANCE) : "false",
					 SourceRelation(source));
	if (orders)
		appendStringInfo(&sql, " JOIN %s o ON %s", OrdersOnce(orders, ""), SameOrder(source));
	appendStringInfo(&sql, " WHERE %s AND %s AND %s AND %s AND %s)", IsPrice(source, COLUMN_PRICE), HasCustomer(source, customer),
					 WithinDays(source->type[COLUMN_AT], at, time_zone, first, last), orders ? "o.counts" : "true",
					 Accepted(source, "l."));
	appendStringInfo(&sql, " SELECT product, percentile_disc(0.5) WITHIN GROUP (ORDER BY price),"
					 " percentile_disc(0.5) WITHIN GROUP (ORDER BY list_price),"
					 " count(DISTINCT customer) FILTER (WHERE bought),"
					 " mode() WITHIN GROUP (ORDER BY name COLLATE pg_catalog.\"C\"),"
					 " coalesce(max(at) FILTER (WHERE clearance) OPERATOR(pg_catalog.=) max(at), false)"
					 " FROM sold WHERE pg_catalog.octet_length(product) BETWEEN 1 AND %d GROUP BY product", KEY_MAX_LENGTH);
	return sql.data;
}

char *
OrderCustomersStatement(const Source *source)
{
	const Source *orders = source->orders;

	return psprintf("SELECT DISTINCT %s FROM %s WHERE %s",
					Bytewise(TEXTOID, psprintf("%s::pg_catalog.text", SourceColumn(orders, COLUMN_CUSTOMER))),
					SourceRelation(orders), SourceColumnIsAny(orders, COLUMN_ORDER_ID, 1));
}
