/*
 * tags.c
 *		Tags that people set by hand.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "common/guard.h"
#include "common/spi.h"
#include "person/person.h"

PG_FUNCTION_INFO_V1(custseg_add_tag);
PG_FUNCTION_INFO_V1(custseg_remove_tag);

#define TAG_LENGTH 63

static void
CheckTagName(const char *tag)
{
	static const char *const taken[] = {"tier", "lifecycle", "quadrant", "activity", "recall_class", "churn_risk", "potential_value", "tag"};
	int			length = strlen(tag);

	for (int i = 0; i < lengthof(taken); i++)
		if (pg_strcasecmp(tag, taken[i]) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_RESERVED_NAME),
					 errmsg("\"%s\" is the name of a label and cannot be a tag", tag),
					 errhint("Labels follow from the orders; choose another name for your tag.")));
	if (length == 0 || pg_mbstrlen(tag) > TAG_LENGTH || tag[0] == ' ' || tag[length - 1] == ' ')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("\"%s\" cannot be the name of a tag", tag),
				 errhint("A tag has 1 to %d characters and neither begins nor ends with a blank.",
						 TAG_LENGTH)));
}

static void
NoteTransition(int64 customer_id, Datum from, Datum to)
{
	Oid			types[3] = {INT8OID, TEXTOID, TEXTOID};
	Datum		values[3] = {Int64GetDatum(customer_id), from, to};
	char		nulls[3] = {' ', from ? ' ' : 'n', to ? ' ' : 'n'};

	SpiRun("INSERT INTO custseg.transition"
		   " (customer_id, label, from_value, to_value, at, changed_on, cause)"
		   " VALUES ($1, 'tag', $2, $3, now(), custseg.shop_day(), 'manual')",
		   3, types, values, nulls);
}

Datum
custseg_add_tag(PG_FUNCTION_ARGS)
{
	Oid			types[4] = {INT8OID, TEXTOID, TEXTOID, TEXTOID};
	Datum		values[4];
	char		nulls[4] = {' ', ' ', ' ', ' '};
	const char *tag;
	bool		added;
	Guard		guard;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the customer and the tag must be given")));
	tag = text_to_cstring(PG_GETARG_TEXT_PP(1));
	CheckTagName(tag);
	values[0] = PG_GETARG_DATUM(0);
	values[1] = PG_GETARG_DATUM(1);
	values[2] = PG_GETARG_DATUM(2);
	nulls[2] = PG_ARGISNULL(2) ? 'n' : ' ';
	values[3] = CStringGetTextDatum(GetUserNameFromId(GetUserId(), false));

	OwnerBegin(&guard);
	SpiRun("SELECT 1 FROM custseg.profile WHERE customer_id = " PERSON_OF("$1"), 1, types, values, NULL);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("customer %lld does not exist", (long long) PG_GETARG_INT64(0)),
				 errhint("Customers come with their orders, or from a source of people: see custseg.customer, or run CALL custseg.refresh().")));
	SpiRun("INSERT INTO custseg.manual_tag (customer_id, tag, note, set_by, set_at)"
		   " VALUES ($1, $2, $3, $4, now()) ON CONFLICT (customer_id, tag) DO NOTHING",
		   4, types, values, nulls);
	added = SPI_processed > 0;
	if (added)
		NoteTransition(PG_GETARG_INT64(0), (Datum) 0, values[1]);
	else
		SpiRun("UPDATE custseg.manual_tag SET note = $3, set_by = $4, set_at = now()"
			   " WHERE customer_id = $1 AND tag = $2 AND note IS DISTINCT FROM $3",
			   4, types, values, nulls);
	OwnerEnd(&guard);
	PG_RETURN_BOOL(added);
}

Datum
custseg_remove_tag(PG_FUNCTION_ARGS)
{
	Oid			types[2] = {INT8OID, TEXTOID};
	Datum		values[2] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1)};
	bool		removed;
	Guard		guard;

	CheckTagName(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	OwnerBegin(&guard);
	/* A customer has the tags of all accounts, so none of them keeps it. */
	SpiRun("DELETE FROM custseg.manual_tag WHERE tag = $2"
		   " AND customer_id = ANY (ARRAY(SELECT m.customer_id FROM custseg.members($1) m (customer_id)))",
		   2, types, values, NULL);
	removed = SPI_processed > 0;
	if (removed)
		NoteTransition(PG_GETARG_INT64(0), values[1], (Datum) 0);
	OwnerEnd(&guard);
	PG_RETURN_BOOL(removed);
}
