/*
 * read.c
 *		Reading a source as the owner of its relation.
 *
 * The executor does all reading, so that views, partitions, foreign tables,
 * row security and privileges behave as in any query. Who reads matters: a
 * view runs its functions as whoever reads it, so a source is read as the
 * owner of its relation and never with more rights than that.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "common/foreign.h"
#include "common/spi.h"
#include "common/stream.h"
#include "source/lines.h"
#include "source/read.h"

/*
 * The relation a plan really reads, which is the first that its statement names,
 * or that of its first WITH query: a name can change hands between two looks.
 */
void
SourceCheckPlan(const Source *source, SPIPlanPtr plan)
{
	CachedPlanSource *cached = linitial(SPI_plan_get_plan_sources(plan));
	Query	   *query = linitial_node(Query, cached->query_list);
	RangeTblEntry *entry;

	if (query->cteList != NIL)
		query = castNode(Query, linitial_node(CommonTableExpr, query->cteList)->ctequery);
	entry = linitial_node(RangeTblEntry, query->rtable);
	if (entry->relid != source->relation)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("relation %s was replaced while it was about to be read", SourceRelation(source)),
				 errhint("Check custseg.source and refresh again.")));
	if (source->orders && !list_member_oid(cached->relationOids, source->orders->relation))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("relation %s was replaced while it was about to be read", SourceRelation(source->orders)),
				 errhint("Check custseg.source and refresh again.")));
}

/* An index that leads to single rows; BRIN, for one, leads to ranges of pages. */
static bool
FindsOne(Oid index)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(index));
	bool		finds = false;

	if (HeapTupleIsValid(tuple))
	{
		Oid			am = ((Form_pg_class) GETSTRUCT(tuple))->relam;

		finds = am == BTREE_AM_OID || am == HASH_AM_OID;
		ReleaseSysCache(tuple);
	}
	return finds;
}

/* The planner can look for equal values in its first column: it goes by operator and collation. */
static bool
FindsEqual(HeapTuple index, Oid equality, Oid collation)
{
	bool		isnull;
	oidvector  *classes = (oidvector *) DatumGetPointer(SysCacheGetAttr(INDEXRELID, index, Anum_pg_index_indclass, &isnull));
	oidvector  *collations = (oidvector *) DatumGetPointer(SysCacheGetAttr(INDEXRELID, index, Anum_pg_index_indcollation, &isnull));

	return op_in_opfamily(equality, get_opclass_family(classes->values[0])) && collations->values[0] == collation;
}

/* An index whose first column is that one. */
static bool
HasIndex(const Source *source, MappedColumn column, Relation rel)
{
	AttrNumber	attno = source->attno[column];
	Oid			collation = TupleDescAttr(RelationGetDescr(rel), attno - 1)->attcollation;
	Oid			equality = lookup_type_cache(source->type[column], TYPECACHE_EQ_OPR)->eq_opr;
	bool		has = false;
	ListCell   *cell;

	if (rel->rd_rel->relkind == RELKIND_VIEW || rel->rd_rel->relkind == RELKIND_FOREIGN_TABLE)
		return false;
	foreach(cell, RelationGetIndexList(rel))
	{
		HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(cell)));
		Form_pg_index index;

		if (!HeapTupleIsValid(tuple))
			continue;
		index = (Form_pg_index) GETSTRUCT(tuple);
		has |= index->indisvalid && index->indnatts > 0 &&
			index->indkey.values[0] == attno &&
			heap_attisnull(tuple, Anum_pg_index_indpred, NULL) &&
			FindsOne(index->indexrelid) && FindsEqual(tuple, equality, collation);
		ReleaseSysCache(tuple);
	}
	return has;
}

bool
HasIndexOn(const Source *source, MappedColumn column)
{
	Relation	rel = relation_open(source->relation, AccessShareLock);
	bool		has = HasIndex(source, column, rel);

	relation_close(rel, NoLock);
	return has;
}

bool
HasCustomerIndex(const Source *source)
{
	if (source->orders)
		return HasIndexOn(source, COLUMN_ORDER_ID) && HasIndexOn(source->orders, COLUMN_CUSTOMER);
	return HasIndexOn(source, COLUMN_CUSTOMER);
}

char *
SourceShown(const Source *source)
{
	return psprintf("%s as role %s", SourceRelation(source),
					quote_identifier(GetUserNameFromId(source->owner, false)));
}

void
SourceContext(void *shown)
{
	errcontext("reading %s", (char *) shown);
}

typedef struct Reading
{
	const Source *source;
	const char *sql;
	int			nargs;
	Oid		   *types;
	Datum	   *values;
	DestReceiver *dest;
} Reading;

static void
RunReading(void *arg)
{
	const Reading *reading = arg;
	SPIExecuteOptions execute = {.dest = reading->dest};
	ParamListInfo params = makeParamList(reading->nargs);
	SPIPlanPtr	plan = SPI_prepare(reading->sql, reading->nargs, reading->types);
	int			code;

	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	SourceCheckPlan(reading->source, plan);

	for (int i = 0; i < reading->nargs; i++)
	{
		params->params[i].value = reading->values[i];
		params->params[i].isnull = false;
		params->params[i].pflags = PARAM_FLAG_CONST;
		params->params[i].ptype = reading->types[i];
	}
	execute.params = params;
	code = SPI_execute_plan_extended(plan, &execute);
	if (code < 0)
		elog(ERROR, "SPI failed on \"%s\": %s", reading->sql, SPI_result_code_string(code));
	SPI_freeplan(plan);
}

void
SourceQuery(const Source *source, const char *sql, int nargs, Oid *types, Datum *values,
			DestReceiver *dest)
{
	Reading		reading = {source, sql, nargs, types, values, dest};

	SourceForeign(source, RunReading, &reading);
}

void
SourceForeign(const Source *source, void (*work) (void *arg), void *arg)
{
	ErrorContextCallback callback;

	callback.callback = SourceContext;
	callback.arg = SourceShown(source);
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	RunForeign(source->owner, work, arg);
	error_context_stack = callback.previous;
}

void
PlacesOfRead(const Source *source, ReadPlaces *places)
{
	places->columns = READ_AMOUNT + 1;
	places->order_id = source->column[COLUMN_ORDER_ID] ? places->columns++ : -1;
	places->promotion = source->column[COLUMN_PROMOTION] ? places->columns++ : -1;
	places->event = source->column[COLUMN_EVENT] ? places->columns++ : -1;
	places->status = source->column[COLUMN_STATUS] ? places->columns++ : -1;
	places->product = source->kind == SOURCE_LINES ? places->columns++ : -1;
	places->price = source->kind == SOURCE_LINES ? places->columns++ : -1;
	places->clearance = source->column[COLUMN_CLEARANCE] ? places->columns++ : -1;
	places->counts = source->orders_source ? places->columns++ : -1;
}

/* Days, amounts and channels. */
static char *
SelectSpend(const Source *source)
{
	Oid			amount = source->type[COLUMN_AMOUNT];
	bool		as_it_is = amount == FLOAT4OID || amount == TEXTOID || amount == VARCHAROID || amount == BPCHAROID;

	return psprintf("SELECT %s, %s%s%s%s FROM %s", SourceColumn(source, COLUMN_AT), SourceColumn(source, COLUMN_AMOUNT),
					as_it_is ? "" : "::pg_catalog.numeric",
					source->column[COLUMN_CHANNEL] ? ", " : "",
					source->column[COLUMN_CHANNEL] ? psprintf("%s::pg_catalog.text", SourceColumn(source, COLUMN_CHANNEL)) : "",
					SourceRelation(source));
}

/* A number as it is read: a numeric in place of a double, which stands for many decimals. */
static char *
SelectNumber(const Source *source, MappedColumn column)
{
	return psprintf("%s%s", SourceColumn(source, column), source->type[column] == FLOAT8OID ? "::pg_catalog.numeric" : "");
}

static void
SelectEvent(const Source *source, StringInfo sql)
{
	appendStringInfo(sql, ", %s, %s", SourceColumn(source, COLUMN_AT),
					 source->column[COLUMN_VALUE] ? SelectNumber(source, COLUMN_VALUE) : "0");
	if (source->column[COLUMN_EVENT])
		appendStringInfo(sql, ", %s%s", SourceColumn(source, COLUMN_EVENT),
						 source->type[COLUMN_EVENT] == TEXTOID ? "" : "::pg_catalog.text");
}

/* The columns that are read, from the relation: as PlacesOfRead says. */
static char *
SelectFrom(const Source *source)
{
	StringInfoData sql;
	Oid			promotion = source->type[COLUMN_PROMOTION];

	if (source->kind == SOURCE_SPEND)
		return SelectSpend(source);
	if (source->kind == SOURCE_LINES)
		return LinesStatement(source, LINES_ALL);
	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT %s", SourceColumn(source, COLUMN_CUSTOMER));
	if (source->kind == SOURCE_ORDERS)
	{
		appendStringInfo(&sql, ", %s, %s", SourceColumn(source, COLUMN_AT), SelectNumber(source, COLUMN_AMOUNT));
		if (source->column[COLUMN_ORDER_ID])
			appendStringInfo(&sql, ", %s", SourceColumn(source, COLUMN_ORDER_ID));
		if (source->column[COLUMN_PROMOTION])
			appendStringInfo(&sql, promotion == BOOLOID ? ", %s" : ", %s OPERATOR(pg_catalog.>) 0",
							 SourceColumn(source, COLUMN_PROMOTION));
	}
	else if (source->kind == SOURCE_PEOPLE)
	{
		if (source->column[COLUMN_REGISTERED_AT])
			appendStringInfo(&sql, ", %s", SourceColumn(source, COLUMN_REGISTERED_AT));
		for (int i = 0; i < source->n_attributes; i++)
			appendStringInfo(&sql, ", %s", quote_identifier(source->attributes[i].column));
	}
	else if (source->kind == SOURCE_EVENTS)
		SelectEvent(source, &sql);
	else
		for (int column = COLUMN_NAME; column <= COLUMN_DO_NOT_CONTACT; column++)
			if (source->column[column])
				appendStringInfo(&sql, ", %s", SourceColumn(source, column));
	if (source->kind != SOURCE_CONTACT && source->column[COLUMN_STATUS])
		appendStringInfo(&sql, ", %s::pg_catalog.text", SourceColumn(source, COLUMN_STATUS));
	appendStringInfo(&sql, " FROM %s", SourceRelation(source));
	return sql.data;
}

char *
SourceStatement(const Source *source)
{
	return SelectFrom(source);
}

char *
SourceHandleStatement(const Source *source, const MappedColumn *columns, int n)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT %s::pg_catalog.text", SourceColumn(source, COLUMN_CUSTOMER));
	for (int i = 0; i < n; i++)
		appendStringInfo(&sql, ", %s::pg_catalog.text", SourceColumn(source, columns[i]));
	appendStringInfo(&sql, " FROM %s", SourceRelation(source));
	return sql.data;
}

/* The columns that links go by. */
static void
TryHandles(Source *source)
{
	static const MappedColumn all[] = {COLUMN_PHONE, COLUMN_EMAIL, COLUMN_MERGED_INTO};
	MappedColumn mapped[lengthof(all)];
	int			n = 0;

	for (int i = 0; i < lengthof(all); i++)
		if (source->column[all[i]])
			mapped[n++] = all[i];
	if (n > 0)
		SourceQuery(source, psprintf("%s LIMIT 0", SourceHandleStatement(source, mapped, n)), 0, NULL, NULL, None_Receiver);
}

void
SourceTry(Source *source)
{
	SourceQuery(source, psprintf("%s LIMIT 0", SelectFrom(source)), 0, NULL, NULL, None_Receiver);
	TryHandles(source);
}

void
SourceRead(Source *source, DestReceiver *dest)
{
	int			level = -1;

	SourceOpen(source);
	if (source->orders)
		level = PlanWholeBegin();
	SourceQuery(source, SelectFrom(source), 0, NULL, NULL, dest);
	if (level >= 0)
		PlanByIndexEnd(level);
}

char *
SourceCustomerIsAny(const Source *source, int parameter)
{
	return SourceColumnIsAny(source, COLUMN_CUSTOMER, parameter);
}

char *
SourceColumnIsAny(const Source *source, MappedColumn of, int parameter)
{
	const char *column = SourceColumn(source, of);
	StringInfoData condition;
	Oid			type;
	Oid			collation;
	int32		typmod;

	initStringInfo(&condition);
	appendStringInfo(&condition, "%s OPERATOR(pg_catalog.=) ANY ($%d)", column, parameter);

	/* To us two keys are the same when their bytes are. */
	get_atttypetypmodcoll(source->relation, source->attno[of], &type, &typmod, &collation);
	if (OidIsValid(collation) && !get_collation_isdeterministic(collation))
		appendStringInfo(&condition, " AND %s::pg_catalog.text COLLATE pg_catalog.\"C\" OPERATOR(pg_catalog.=) ANY ($%d)",
						 column, parameter);
	return condition.data;
}

void
SourceReadCustomers(Source *source, Oid type, Datum keys, DestReceiver *dest)
{
	Oid			types[2] = {type, TEXTARRAYOID};
	Datum		values[2] = {keys, source->accepted};
	int			nargs = source->column[COLUMN_STATUS] ? 2 : 1;
	StringInfoData sql;
	int			level;

	initStringInfo(&sql);
	if (source->orders_source)
		appendStringInfoString(&sql, LinesStatement(source, LINES_OF_CUSTOMERS));
	else
		appendStringInfo(&sql, "%s WHERE %s%s", SelectFrom(source),
						 SourceCustomerIsAny(source, 1), SourceFilter(source, 2, " AND "));
	level = PlanBySortedIndexBegin();
	SourceQuery(source, sql.data, nargs, types, values, dest);
	PlanByIndexEnd(level);
}
