/*
 * line_source.c
 *		Adding a source of lines of orders.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"

#include "common/guard.h"
#include "common/spi.h"
#include "profile/products.h"
#include "source/parse_text.h"
#include "source/register.h"
#include "track/add_source.h"

PG_FUNCTION_INFO_V1(custseg_add_order_lines);

/* The arguments of custseg.add_order_lines. */
enum
{
	ARG_RELATION,
	ARG_ORDERS,
	ARG_ORDER_ID,
	ARG_PRODUCT,
	ARG_QUANTITY,
	ARG_PRICE,
	ARG_LIST_PRICE,
	ARG_UNIT_COST,
	ARG_CATEGORY,
	ARG_CLEARANCE,
	ARG_NAME,
	ARG_CUSTOMER,
	ARG_AT,
	ARG_STATUS,
	ARG_ACCEPTED,
	ARG_NAMESPACE,
	ARG_TRACK,
	ARG_RESCAN_EVERY,
	ARG_PARSE
};

static Source *
FindOrders(int source_id)
{
	MemoryContext caller = CurrentMemoryContext;
	Source	   *found = NULL;
	List	   *all;
	ListCell   *cell;
	Guard		guard;

	OwnerBegin(&guard);
	MemoryContextSwitchTo(caller);
	all = ListSources(SOURCE_ORDERS);
	OwnerEnd(&guard);
	foreach(cell, all)
		if (((Source *) lfirst(cell))->source_id == source_id)
			found = lfirst(cell);
	if (found == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("source %d is not a source of orders", source_id),
				 errhint("Name the source that the lines' orders are in: see custseg.source, or add it with custseg.add_orders().")));
	return found;
}

/* Whose the lines are: that of their orders, or by columns of their own. */
static void
WhoseLines(FunctionCallInfo fcinfo, Source *source)
{
	bool		by_order = !PG_ARGISNULL(ARG_ORDERS) && !PG_ARGISNULL(ARG_ORDER_ID);
	bool		by_self = !PG_ARGISNULL(ARG_CUSTOMER) && !PG_ARGISNULL(ARG_AT);
	char	   *namespace = PG_ARGISNULL(ARG_NAMESPACE) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(ARG_NAMESPACE));

	if (by_order == by_self || PG_ARGISNULL(ARG_ORDERS) != PG_ARGISNULL(ARG_ORDER_ID) ||
		PG_ARGISNULL(ARG_CUSTOMER) != PG_ARGISNULL(ARG_AT))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("either orders and order_id must be given, or customer and at"),
				 errhint("For example orders => 1, order_id => 'order_id' where source 1 has the lines' orders,"
						 " or customer => 'customer_id', at => 'sold_at' where the lines say it themselves.")));
	source->column[COLUMN_ORDER_ID] = NameArgument(fcinfo, ARG_ORDER_ID, "order_id", false);
	source->column[COLUMN_CUSTOMER] = NameArgument(fcinfo, ARG_CUSTOMER, "customer", false);
	source->column[COLUMN_AT] = NameArgument(fcinfo, ARG_AT, "at", false);
	source->parse = ParseOrderOf(PG_ARGISNULL(ARG_PARSE) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(ARG_PARSE)));
	source->namespace = namespace ? namespace : SHOP_NAMESPACE;
	if (!by_order)
		return;
	source->orders_source = PG_GETARG_INT32(ARG_ORDERS);
	source->orders = FindOrders(source->orders_source);
	if (namespace != NULL && strcmp(namespace, source->orders->namespace) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the customers of these lines are those of source %d, of namespace \"%s\"",
						source->orders_source, source->orders->namespace),
				 errhint("Leave namespace out.")));
	source->namespace = source->orders->namespace;
	source->parse = source->orders->parse;
}

/* The three things that a line can be. */
static void
StoreLineEvents(int source_id)
{
	Oid			types[2] = {INT4OID, TEXTOID};
	Datum		values[2] = {Int32GetDatum(source_id)};

	for (int i = 0; i < LINE_EVENTS; i++)
	{
		values[1] = CStringGetTextDatum(line_events[i]);
		SpiRun("INSERT INTO custseg.event (source_id, event, meaning) VALUES ($1, $2, $2)", 2, types, values, NULL);
	}
}

/* What is tracked of the orders is what says that a customer's lines moved. */
static void
CheckTracking(FunctionCallInfo fcinfo, const Source *source)
{
	if (!PG_ARGISNULL(ARG_TRACK) && PG_GETARG_BOOL(ARG_TRACK) && source->orders && !source->orders->tracked)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the lines of orders that are not tracked cannot be tracked"),
				 errdetail("Source %d, which has the orders, is not tracked.", source->orders_source),
				 errhint("SELECT custseg.track(%d) first.", source->orders_source)));
}

Datum
custseg_add_order_lines(PG_FUNCTION_ARGS)
{
	Source		source = {.kind = SOURCE_LINES};
	Guard		guard;
	int			id;

	source.relation = RelationArgument(fcinfo, ARG_RELATION, "the table of what orders consisted of, for example 'shop.line'");
	source.column[COLUMN_PRODUCT] = NameArgument(fcinfo, ARG_PRODUCT, "product", true);
	source.column[COLUMN_QUANTITY] = NameArgument(fcinfo, ARG_QUANTITY, "quantity", true);
	source.column[COLUMN_PRICE] = NameArgument(fcinfo, ARG_PRICE, "price", true);
	source.column[COLUMN_LIST_PRICE] = NameArgument(fcinfo, ARG_LIST_PRICE, "list_price", false);
	source.column[COLUMN_UNIT_COST] = NameArgument(fcinfo, ARG_UNIT_COST, "unit_cost", false);
	source.column[COLUMN_CATEGORY] = NameArgument(fcinfo, ARG_CATEGORY, "category", false);
	source.column[COLUMN_CLEARANCE] = NameArgument(fcinfo, ARG_CLEARANCE, "clearance", false);
	source.column[COLUMN_NAME] = NameArgument(fcinfo, ARG_NAME, "name", false);
	FilterArguments(fcinfo, ARG_STATUS, ARG_ACCEPTED, &source);
	WhoseLines(fcinfo, &source);
	CheckTracking(fcinfo, &source);

	id = RegisterSource(&source);
	OwnerBegin(&guard);
	StoreLineEvents(id);
	OwnerEnd(&guard);
	FollowArguments(fcinfo, ARG_TRACK, ARG_RESCAN_EVERY, id);
	PG_RETURN_INT32(id);
}
