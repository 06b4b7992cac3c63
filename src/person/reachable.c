/*
 * reachable.c
 *		How customers may be reached, by what the shop's customer tables say.
 *
 * Whom to call, under which number, whether they agreed, who looks after them,
 * at what time of theirs and in which language: all of it changes in the shop's
 * own table and is read there when it is asked for, as the owner of the table.
 * Nothing is stored.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#include "common/guard.h"
#include "common/ids.h"
#include "common/spi.h"
#include "common/stream.h"
#include "person/handle.h"
#include "person/identity.h"
#include "person/person.h"
#include "person/reachable.h"
#include "source/follow.h"
#include "source/keys.h"
#include "source/read.h"

PG_FUNCTION_INFO_V1(custseg_reachable);

#define LONGEST_WAIT	1000	/* ms, for a lock */
#define MOST_ASKED		1000	/* customers */

/* What is read of each row, before a handle and a consent of each medium. */
enum
{
	PLACE_CUSTOMER,
	PLACE_DO_NOT_CONTACT,
	PLACE_OWNER,
	PLACE_ZONE,
	PLACE_LANGUAGE,
	PLACES
};

typedef struct ReachRead
{
	const KeyIndex *index;
	char	  **media;			/* of the table, by name */
	int			n_media;
	Reachable  *out;
} ReachRead;

static char *
FilledText(const TupleTableSlot *slot, int place)
{
	char	   *value;

	if (slot->tts_isnull[place])
		return NULL;
	value = TextDatumGetCString(slot->tts_values[place]);
	return value[strspn(value, " \t\r\n")] != '\0' ? value : NULL;
}

static void
KeepFirst(char **kept, char *other)
{
	if (*kept == NULL)
		*kept = other;
}

/* What the slot says of a medium, added to what another row of the customer said: one that says no is enough. */
static void
AddMedium(Medium *medium, const TupleTableSlot *slot, int place)
{
	KeepFirst(&medium->handle, FilledText(slot, place));
	if (slot->tts_isnull[place + 1])
		return;
	medium->consent = (!medium->has_consent || medium->consent) && DatumGetBool(slot->tts_values[place + 1]);
	medium->has_consent = true;
}

static void
ReachRow(TupleTableSlot *slot, void *arg)
{
	const ReachRead *read = arg;
	int			at;

	if (slot->tts_isnull[PLACE_CUSTOMER])
		return;
	for (int i = KeyIndexFirst(read->index, TextDatumGetCString(slot->tts_values[PLACE_CUSTOMER]), &at); i >= 0;
		 i = KeyIndexNext(read->index, &at))
	{
		Reachable  *found = &read->out[i];

		if (!found->found)
		{
			found->media = palloc0(Max(read->n_media, 1) * sizeof(Medium));
			found->n_media = read->n_media;
			for (int m = 0; m < read->n_media; m++)
				found->media[m].medium = read->media[m];
		}
		found->found = true;
		found->do_not_contact |= !slot->tts_isnull[PLACE_DO_NOT_CONTACT] && DatumGetBool(slot->tts_values[PLACE_DO_NOT_CONTACT]);
		KeepFirst(&found->owner, FilledText(slot, PLACE_OWNER));
		KeepFirst(&found->zone, FilledText(slot, PLACE_ZONE));
		KeepFirst(&found->language, FilledText(slot, PLACE_LANGUAGE));
		for (int m = 0; m < read->n_media; m++)
			AddMedium(&found->media[m], slot, PLACES + 2 * m);
	}
}

static int
CompareNames(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

/* The media a table says anything of, by name. */
static char **
MediaOf(const Source *source, int *n)
{
	char	  **media = palloc((source->n_attributes + 2) * sizeof(char *));
	int			all = 0;

	if (source->column[COLUMN_PHONE])
		media[all++] = MEDIUM_PHONE;
	if (source->column[COLUMN_EMAIL])
		media[all++] = MEDIUM_EMAIL;
	for (int i = 0; i < source->n_attributes; i++)
		media[all++] = source->attributes[i].name;
	qsort(media, all, sizeof(char *), CompareNames);
	*n = 0;
	for (int i = 0; i < all; i++)
		if (*n == 0 || strcmp(media[*n - 1], media[i]) != 0)
			media[(*n)++] = media[i];
	return media;
}

/* The column that a medium has in a role; NULL: none. */
static const char *
ColumnOfMedium(const Source *source, const char *role, const char *medium)
{
	for (int i = 0; i < source->n_attributes; i++)
		if (strcmp(source->attributes[i].role, role) == 0 && strcmp(source->attributes[i].name, medium) == 0)
			return quote_identifier(source->attributes[i].column);
	if (strcmp(role, ROLE_HANDLE) != 0)
		return NULL;
	if (strcmp(medium, MEDIUM_PHONE) == 0 && source->column[COLUMN_PHONE])
		return SourceColumn(source, COLUMN_PHONE);
	if (strcmp(medium, MEDIUM_EMAIL) == 0 && source->column[COLUMN_EMAIL])
		return SourceColumn(source, COLUMN_EMAIL);
	return NULL;
}

static const char *
OrNull(const char *column)
{
	return column ? column : "NULL";
}

static char *
ReachStatement(const Source *source, const ReachRead *read)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT %s::pg_catalog.text, %s::pg_catalog.bool", SourceColumn(source, COLUMN_CUSTOMER),
					 source->column[COLUMN_DO_NOT_CONTACT] ? SourceColumn(source, COLUMN_DO_NOT_CONTACT) : "false");
	for (int column = COLUMN_OWNER; column <= COLUMN_LANGUAGE; column++)
		appendStringInfo(&sql, ", %s::pg_catalog.text", source->column[column] ? SourceColumn(source, column) : "NULL");
	for (int m = 0; m < read->n_media; m++)
		appendStringInfo(&sql, ", %s::pg_catalog.text, %s::pg_catalog.bool",
						 OrNull(ColumnOfMedium(source, ROLE_HANDLE, read->media[m])),
						 OrNull(ColumnOfMedium(source, ROLE_CONSENT, read->media[m])));
	appendStringInfo(&sql, " FROM %s WHERE %s", SourceRelation(source), SourceCustomerIsAny(source, 1));
	return sql.data;
}

/* Those of the customers who are of a table's namespace. */
static void
ReadReachableOf(Source *source, int n, const int64 *ids, Reachable *out)
{
	ReachRead	read = {.out = out};
	Oid			types[1];
	Datum		values[1];
	char	  **keys;
	int			level;

	(void) SourceFollow(source);
	SourceOpen(source);
	keys = IdentityKeys(source, n, ids);
	read.index = KeyIndexCreate(n, keys);
	read.media = MediaOf(source, &read.n_media);
	values[0] = KeyArray(source, n, keys, &types[0]);
	level = PlanBySortedIndexBegin();
	SourceQuery(source, ReachStatement(source, &read), 1, types, values, StreamTo(ReachRow, &read));
	PlanByIndexEnd(level);
}

/* What another account of the same person has. */
static void
AddAccount(Reachable *reachable, const Reachable *account)
{
	int			n = reachable->n_media;

	reachable->found |= account->found;
	reachable->do_not_contact |= account->do_not_contact;
	KeepFirst(&reachable->owner, account->owner);
	KeepFirst(&reachable->zone, account->zone);
	KeepFirst(&reachable->language, account->language);
	if (account->n_media == 0)
		return;
	reachable->media = n == 0 ? palloc(account->n_media * sizeof(Medium)) :
		repalloc(reachable->media, (n + account->n_media) * sizeof(Medium));
	for (int m = 0; m < account->n_media; m++)
	{
		int			same = 0;

		while (same < n && strcmp(reachable->media[same].medium, account->media[m].medium) != 0)
			same++;
		if (same == n)
			reachable->media[reachable->n_media++] = account->media[m];
		/* A consent without a handle is worth nothing to one with it. */
		else if (reachable->media[same].handle == NULL && account->media[m].handle != NULL)
			reachable->media[same] = account->media[m];
	}
}

void
ReadReachable(int n, const int64 *ids, Reachable *out)
{
	int			n_all;
	int		   *owners;
	int64	   *all = MembersOf(ids, n, &n_all, &owners);
	Reachable  *accounts = palloc0(Max(n_all, 1) * sizeof(Reachable));
	ListCell   *cell;

	foreach(cell, ListSources(SOURCE_CONTACT))
		ReadReachableOf(lfirst(cell), n_all, all, accounts);
	memcpy(out, accounts, n * sizeof(Reachable));
	for (int i = 0; i < n; i++)
		out[i].customer_id = ids[i];
	for (int i = n; i < n_all; i++)
		AddAccount(&out[owners[i - n]], &accounts[i]);
}

/* --------------------------------------------------------------------- SQL */

static void
ReturnReachable(ReturnSetInfo *result, const Reachable *reachable)
{
	for (int m = 0; m < reachable->n_media; m++)
	{
		const Medium *medium = &reachable->media[m];
		const char *texts[] = {medium->medium, medium->handle, reachable->owner, reachable->zone, reachable->language};
		const int	places[] = {1, 2, 5, 6, 7};
		Datum		values[8] = {Int64GetDatum(reachable->customer_id)};
		bool		nulls[8] = {false};

		for (int i = 0; i < lengthof(texts); i++)
		{
			nulls[places[i]] = texts[i] == NULL;
			if (texts[i])
				values[places[i]] = CStringGetTextDatum(texts[i]);
		}
		values[3] = BoolGetDatum(medium->consent);
		nulls[3] = !medium->has_consent;
		values[4] = BoolGetDatum(reachable->do_not_contact);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
}

Datum
custseg_reachable(PG_FUNCTION_ARGS)
{
	Reachable  *reachable;
	int64	   *ids;
	int			n;
	int			level;
	Guard		guard;

	ids = IdsOfArray(PG_GETARG_ARRAYTYPE_P(0), MOST_ASKED, &n);
	InitMaterializedSRF(fcinfo, 0);
	OwnerBegin(&guard);
	reachable = palloc0(Max(n, 1) * sizeof(Reachable));
	level = LimitLockWait(LONGEST_WAIT);
	ReadReachable(n, ids, reachable);
	AtEOXact_GUC(false, level);
	for (int i = 0; i < n; i++)
		ReturnReachable((ReturnSetInfo *) fcinfo->resultinfo, &reachable[i]);
	OwnerEnd(&guard);
	return (Datum) 0;
}
