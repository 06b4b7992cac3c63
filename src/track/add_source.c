/*
 * add_source.c
 *		Adding and forgetting sources, with or without tracking.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"

#include "common/compat.h"
#include "common/guard.h"
#include "common/spi.h"
#include "person/link_rule.h"
#include "source/parse_text.h"
#include "source/register.h"
#include "track/add_source.h"
#include "track/change_log.h"
#include "track/track.h"

PG_FUNCTION_INFO_V1(custseg_add_orders);
PG_FUNCTION_INFO_V1(custseg_add_people);
PG_FUNCTION_INFO_V1(custseg_add_customers);
PG_FUNCTION_INFO_V1(custseg_add_spend);
PG_FUNCTION_INFO_V1(custseg_drop_source);

Oid
RelationArgument(FunctionCallInfo fcinfo, int arg, const char *name)
{
	if (PG_ARGISNULL(arg))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("relation must not be null"),
				 errhint("Name %s.", name)));
	return PG_GETARG_OID(arg);
}

char *
NameArgument(FunctionCallInfo fcinfo, int arg, const char *what, bool required)
{
	if (PG_ARGISNULL(arg))
	{
		if (required)
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("%s must name a column", what),
					 errhint("Pass it as %s => 'column_name'.", what)));
		return NULL;
	}
	return pstrdup(NameStr(*PG_GETARG_NAME(arg)));
}

void
FilterArguments(FunctionCallInfo fcinfo, int status, int accepted, Source *source)
{
	ArrayType  *values;

	source->column[COLUMN_STATUS] = NameArgument(fcinfo, status, "status", false);
	if (PG_ARGISNULL(status) != PG_ARGISNULL(accepted))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("status and accepted go together"),
				 errhint("For example status => 'status', accepted => ARRAY['paid', 'shipped'].")));
	if (PG_ARGISNULL(accepted))
		return;
	values = PG_GETARG_ARRAYTYPE_P(accepted);
	if (ArrayGetNItems(ARR_NDIM(values), ARR_DIMS(values)) == 0 || array_contains_nulls(values))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("accepted must list at least one status, and no null"),
				 errhint("For example accepted => ARRAY['paid', 'shipped'].")));
	source->accepted = PointerGetDatum(values);
}

void
FollowArguments(FunctionCallInfo fcinfo, int track, int rescan_every, int source_id)
{
	SPI_connect();
	if (!PG_ARGISNULL(rescan_every))
		SetRescan(source_id, PG_GETARG_INTERVAL_P(rescan_every));
	if (!PG_ARGISNULL(track) && PG_GETARG_BOOL(track))
	{
		Interval	timeout = {.time = 5 * USECS_PER_SEC};

		Track(source_id, &timeout);
	}
	SPI_finish();
}

/* Register a source that a refresh reads; how and when stands in these arguments. */
static Datum
AddReadSource(FunctionCallInfo fcinfo, Source *source, int track, int rescan_every)
{
	int			id = RegisterSource(source);

	FollowArguments(fcinfo, track, rescan_every, id);
	PG_RETURN_INT32(id);
}

Datum
custseg_add_orders(PG_FUNCTION_ARGS)
{
	Source		source = {.kind = SOURCE_ORDERS};

	source.relation = RelationArgument(fcinfo, 0, "the shop's order table, for example 'shop.orders'");
	source.column[COLUMN_CUSTOMER] = NameArgument(fcinfo, 1, "customer", true);
	source.column[COLUMN_AT] = NameArgument(fcinfo, 2, "at", true);
	source.column[COLUMN_AMOUNT] = NameArgument(fcinfo, 3, "amount", true);
	source.column[COLUMN_ORDER_ID] = NameArgument(fcinfo, 4, "order_id", false);
	source.column[COLUMN_PROMOTION] = NameArgument(fcinfo, 7, "promotion", false);
	FilterArguments(fcinfo, 5, 6, &source);
	source.namespace = PG_ARGISNULL(8) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(8));
	source.follow = !PG_ARGISNULL(11) && PG_GETARG_BOOL(11);
	source.parse = ParseOrderOf(PG_ARGISNULL(12) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(12)));
	source.column[COLUMN_COUPON] = NameArgument(fcinfo, 13, "coupon", false);
	return AddReadSource(fcinfo, &source, 9, 10);
}

static int
CompareAttributes(const void *a, const void *b)
{
	return strcmp(((const SourceAttribute *) a)->name, ((const SourceAttribute *) b)->name);
}

/* Columns that are kept under their names. */
static void
AttributesArgument(FunctionCallInfo fcinfo, int arg, Source *source)
{
	Datum	   *columns;
	bool	   *nulls;
	int			n;

	if (PG_ARGISNULL(arg))
		return;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(arg), NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR, &columns, &nulls, &n);
	source->attributes = palloc(Max(n, 1) * sizeof(SourceAttribute));
	for (int i = 0; i < n; i++)
	{
		char	   *name;

		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("columns must not contain null"),
					 errhint("For example columns => ARRAY['region', 'birthday'].")));
		name = pstrdup(NameStr(*DatumGetName(columns[i])));
		source->attributes[source->n_attributes++] = (SourceAttribute) {.role = ROLE_ATTRIBUTE,.name = name,.column = name};
	}
	qsort(source->attributes, n, sizeof(SourceAttribute), CompareAttributes);
	for (int i = 1; i < n; i++)
		if (CompareAttributes(&source->attributes[i - 1], &source->attributes[i]) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_COLUMN),
					 errmsg("columns names \"%s\" twice", source->attributes[i].name),
					 errhint("Name each column once.")));
}

/* Merges of the shop's own are links by a rule that is there as soon as a source tells of them. */
static void
FollowMerges(const Source *source)
{
	Oid			by = GetUserId();
	Guard		guard;

	if (source->column[COLUMN_MERGED_INTO] == NULL)
		return;
	OwnerBegin(&guard);
	LinkRuleForMerges(by);
	OwnerEnd(&guard);
}

Datum
custseg_add_people(PG_FUNCTION_ARGS)
{
	Source		source = {.kind = SOURCE_PEOPLE};

	source.relation = RelationArgument(fcinfo, 0, "the shop's table of people, for example 'shop.customers'");
	source.column[COLUMN_CUSTOMER] = NameArgument(fcinfo, 1, "customer", true);
	source.column[COLUMN_REGISTERED_AT] = NameArgument(fcinfo, 2, "registered_at", false);
	AttributesArgument(fcinfo, 3, &source);
	source.namespace = PG_ARGISNULL(4) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(4));
	source.column[COLUMN_PHONE] = NameArgument(fcinfo, 7, "phone", false);
	source.column[COLUMN_EMAIL] = NameArgument(fcinfo, 8, "email", false);
	source.column[COLUMN_MERGED_INTO] = NameArgument(fcinfo, 9, "merged_into", false);
	FollowMerges(&source);
	return AddReadSource(fcinfo, &source, 5, 6);
}

/* Columns of media, as an object by medium, such as {"wecom": "wecom_id"}. */
static void
MediaArgument(FunctionCallInfo fcinfo, int arg, const char *role, Source *source)
{
	Oid			types[1] = {JSONBOID};
	Datum		values[1];
	int			n;

	if (PG_ARGISNULL(arg))
		return;
	values[0] = PG_GETARG_DATUM(arg);
	if (!JB_ROOT_IS_OBJECT(DatumGetJsonbP(values[0])))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be an object of columns by medium", role),
				 errhint("For example %s => '{\"sms\": \"column_name\"}'.", role)));
	n = (int) SpiRun("SELECT m.key, m.value FROM pg_catalog.jsonb_each_text($1) m ORDER BY m.key COLLATE \"C\"", 1, types, values, NULL);
	source->attributes = source->attributes ? repalloc(source->attributes, (source->n_attributes + n + 1) * sizeof(SourceAttribute)) :
		palloc((n + 1) * sizeof(SourceAttribute));
	for (int i = 0; i < n; i++)
	{
		char	   *medium = SpiText(i, 1);
		char	   *column = SpiText(i, 2);

		if (medium[0] == '\0' || strlen(medium) >= NAMEDATALEN || column == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("%s must name a column for each medium, and a medium has 1 to %d bytes", role, NAMEDATALEN - 1),
					 errhint("For example %s => '{\"sms\": \"column_name\"}'.", role)));
		if (strcmp(role, ROLE_HANDLE) == 0 && (strcmp(medium, "phone") == 0 || strcmp(medium, "email") == 0))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("the handle of medium \"%s\" is the column that %s names", medium, medium),
					 errhint("Pass it as %s => '%s'.", medium, column)));
		source->attributes[source->n_attributes++] = (SourceAttribute) {.role = role,.name = medium,.column = column};
	}
}

Datum
custseg_add_customers(PG_FUNCTION_ARGS)
{
	Source		source = {.kind = SOURCE_CONTACT};
	int			id;

	source.relation = RelationArgument(fcinfo, 0, "the shop's customer table, for example 'shop.customers'");
	source.column[COLUMN_CUSTOMER] = NameArgument(fcinfo, 1, "customer", true);
	source.column[COLUMN_NAME] = NameArgument(fcinfo, 2, "name", false);
	source.column[COLUMN_PHONE] = NameArgument(fcinfo, 3, "phone", false);
	source.column[COLUMN_EMAIL] = NameArgument(fcinfo, 4, "email", false);
	source.column[COLUMN_DO_NOT_CONTACT] = NameArgument(fcinfo, 5, "do_not_contact", false);
	source.namespace = PG_ARGISNULL(6) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(6));
	source.follow = !PG_ARGISNULL(7) && PG_GETARG_BOOL(7);
	source.column[COLUMN_MERGED_INTO] = NameArgument(fcinfo, 8, "merged_into", false);
	source.column[COLUMN_OWNER] = NameArgument(fcinfo, 11, "owner", false);
	source.column[COLUMN_ZONE] = NameArgument(fcinfo, 12, "zone", false);
	source.column[COLUMN_LANGUAGE] = NameArgument(fcinfo, 13, "language", false);
	FollowMerges(&source);

	SPI_connect();
	MediaArgument(fcinfo, 9, ROLE_HANDLE, &source);
	MediaArgument(fcinfo, 10, ROLE_CONSENT, &source);
	id = RegisterSource(&source);
	SPI_finish();
	PG_RETURN_INT32(id);
}

Datum
custseg_add_spend(PG_FUNCTION_ARGS)
{
	Source		source = {.kind = SOURCE_SPEND,.namespace = SHOP_NAMESPACE};

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("relation must not be null"),
				 errhint("Name the table of what the shop spends, for example 'ads.daily'.")));
	source.relation = PG_GETARG_OID(0);
	source.column[COLUMN_AT] = NameArgument(fcinfo, 1, "day", true);
	source.column[COLUMN_AMOUNT] = NameArgument(fcinfo, 2, "amount", true);
	source.column[COLUMN_CHANNEL] = NameArgument(fcinfo, 3, "channel", false);
	source.follow = !PG_ARGISNULL(4) && PG_GETARG_BOOL(4);
	source.parse = ParseOrderOf(PG_ARGISNULL(5) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(5)));

	PG_RETURN_INT32(RegisterSource(&source));
}

Datum
custseg_drop_source(PG_FUNCTION_ARGS)
{
	int32		id = PG_GETARG_INT32(0);
	Oid			types[1] = {INT4OID};
	Datum		values[1] = {Int32GetDatum(id)};
	Oid			relation;
	Guard		guard;

	OwnerBegin(&guard);
	if (SpiRun("SELECT source_id, relation::text FROM custseg.source_mapping WHERE orders_source = $1 ORDER BY 1",
			   1, types, values, NULL) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("source %d has the orders of the lines in %s, which are source " INT64_FORMAT, id, SpiText(0, 2), SpiInt64(0, 1, 0)),
				 errhint("SELECT custseg.drop_source(" INT64_FORMAT ") first.", SpiInt64(0, 1, 0))));
	SpiRun("DELETE FROM custseg.source_mapping WHERE source_id = $1"
		   " RETURNING relation::oid, tracked_since IS NOT NULL", 1, types, values, NULL);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("source %d does not exist", id),
				 errhint("See custseg.source for the sources there are.")));
	relation = SpiInt64(0, 1, InvalidOid);
	if (SpiInt64(0, 2, 0) != 0 && get_rel_name(relation) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("source %d is tracked: there are triggers on %s", id, get_rel_name(relation)),
				 errhint("SELECT custseg.untrack(%d) first, which needs a lock on the table.", id)));
	ChangeLogDrop(id);
	SpiRun("DELETE FROM custseg.source_column WHERE source_id = $1", 1, types, values, NULL);
	SpiRun("DELETE FROM custseg.spend_day WHERE source_id = $1", 1, types, values, NULL);
	SpiRun("DELETE FROM custseg.source_status WHERE source_id = $1", 1, types, values, NULL);
	SpiRun("DELETE FROM custseg.rejected WHERE source_id = $1", 1, types, values, NULL);
	SpiRun("DELETE FROM custseg.rejected_sample WHERE source_id = $1", 1, types, values, NULL);
	OwnerEnd(&guard);

	/* Whoever may add a source may forget it; one whose table is gone, anybody. */
	if (get_rel_name(relation) != NULL && !object_ownercheck_relation(relation, GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be a member of the role that owns %s to forget it as a source",
						get_rel_name(relation)),
				 errhint("Ask a member of that role.")));
	PG_RETURN_VOID();
}
