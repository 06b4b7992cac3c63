/*
 * state.c
 *		What the last refresh left, and what is still to be done: custseg.refresh_state.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "common/home.h"
#include "common/spi.h"
#include "refresh/state.h"
#include "source/mapping.h"

/* What a shop cannot have, in place of what the profiles hold: see StateMarkMixture. */
#define MIXED_ZONE		""
#define MIXED_SOURCES	"{0}"

char *
SourceList(List *sources)
{
	StringInfoData list;
	ListCell   *cell;

	initStringInfo(&list);
	appendStringInfoChar(&list, '{');
	foreach(cell, sources)
		appendStringInfo(&list, "%s%d", list.len > 1 ? "," : "", ((Source *) lfirst(cell))->source_id);
	appendStringInfoChar(&list, '}');
	return list.data;
}

void
StateRead(Run *run, State *state)
{
	MemoryContext old;
	bool		isnull;
	Datum		moment;

	SpiRun("SELECT day, time_zone, sources::text, rules, pending, day IS NOT NULL,"
		   " settled_at, coalesce(settled_until, 'infinity'), settled_choices, parts FROM custseg.refresh_state",
		   0, NULL, NULL, NULL);
	memset(state, 0, sizeof(*state));
	state->settled_at = DT_NOBEGIN;
	if (SPI_processed == 0)
		return;
	old = MemoryContextSwitchTo(run->context);
	state->exists = true;
	state->day = SpiInt64(0, 1, 0);
	state->time_zone = SpiText(0, 2);
	state->sources = SpiText(0, 3);
	state->rules = SpiText(0, 4);
	state->pending = CauseNamed(SpiText(0, 5));
	state->has_day = SpiInt64(0, 6, 0) != 0;
	moment = SpiField(0, 7, &isnull);
	if (!isnull)
		state->settled_at = DatumGetTimestampTz(moment);
	state->settled_until = DatumGetTimestampTz(SpiField(0, 8, &isnull));
	state->settled_choices = SpiText(0, 9);
	state->parts = SpiInt64(0, 10, 0) != 0;
	MemoryContextSwitchTo(old);
	state->moved = !IsHome();

	/* Ours until the end: a run that dies leaves those it changed to be found by looking at everybody. */
	if (state->settled_at != DT_NOBEGIN)
		SpiRun("UPDATE custseg.refresh_state SET settled_at = NULL", 0, NULL, NULL, NULL);
}

const char *
SourcesChanged(const State *state, const char *source_list)
{
	if (!state->exists || (state->sources && strcmp(state->sources, source_list) == 0))
		return NULL;
	return state->sources && strcmp(state->sources, MIXED_SOURCES) == 0 ?
		"reading changed sources was interrupted" : "the sources changed";
}

const char *
ZoneChanged(const State *state, const ShopSettings *settings)
{
	if (state->time_zone == NULL || strcmp(state->time_zone, settings->day_rule) == 0)
		return NULL;
	if (strcmp(state->time_zone, MIXED_ZONE) == 0)
		return "counting days anew was interrupted";
	return strncmp(state->time_zone, settings->day_rule, strlen(settings->time_zone) + 1) == 0 ?
		"first_day changed" : "the time zone changed";
}

void
StateWrite(const StateChange *change)
{
	Oid			types[] = {DATEOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID};
	const char *texts[] = {NULL, change->time_zone, change->sources, change->rules, cause_names[change->pending]};
	Datum		values[lengthof(types)];
	char		nulls[lengthof(types)];

	for (int i = 0; i < lengthof(types); i++)
	{
		nulls[i] = texts[i] ? ' ' : 'n';
		values[i] = texts[i] ? CStringGetTextDatum(texts[i]) : (Datum) 0;
	}
	if (change->day)
	{
		nulls[0] = ' ';
		values[0] = DateADTGetDatum(*change->day);
	}
	SpiRun("INSERT INTO custseg.refresh_state AS s (day, time_zone, sources, rules, pending)"
		   " VALUES ($1, $2, $3::integer[], $4, $5)"
		   " ON CONFLICT (one) DO UPDATE SET day = coalesce($1, s.day),"
		   " time_zone = coalesce($2, s.time_zone), sources = coalesce($3::integer[], s.sources),"
		   " rules = coalesce($4, s.rules), pending = $5, updated_at = clock_timestamp()",
		   lengthof(types), types, values, nulls);
	NoteHome(change->sources != NULL);
}

void
StateMarkMixture(bool sources, bool zone)
{
	if (sources)
		SpiRun("UPDATE custseg.refresh_state SET sources = '" MIXED_SOURCES "'", 0, NULL, NULL, NULL);
	if (zone)
		SpiRun("UPDATE custseg.refresh_state SET time_zone = '" MIXED_ZONE "'", 0, NULL, NULL, NULL);
}

void
StateKeepsParts(bool parts)
{
	Oid			types[1] = {BOOLOID};
	Datum		values[1] = {BoolGetDatum(parts)};

	SpiRun("UPDATE custseg.refresh_state SET parts = $1 WHERE parts <> $1", 1, types, values, NULL);
}

bool
StateIsSettled(const State *state, const Run *run, const char *choices)
{
	return state->settled_at != DT_NOBEGIN && !run->asked.rebuild && !run->touched.all &&
		state->settled_at <= run->now.as_of && run->now.as_of < state->settled_until &&
		ShopDay(state->settled_at, run->settings->time_zone) == run->now.day &&
		state->settled_choices != NULL && strcmp(state->settled_choices, choices) == 0;
}

void
StateSettle(const State *state, const Run *run, bool all, const char *choices)
{
	Oid			types[2] = {TIMESTAMPTZOID, TEXTOID};
	Datum		values[2] = {TimestampTzGetDatum(all ? run->now.as_of : state->settled_at), CStringGetTextDatum(choices)};

	SpiRun(all ? "UPDATE custseg.refresh_state SET settled_at = $1, settled_choices = $2, settled_until ="
		   " (SELECT pg_catalog.min(expires_at) FROM custseg.task WHERE state IN ('open', 'claimed') AND expires_at > $1)" :
		   "UPDATE custseg.refresh_state SET settled_at = $1", 2, types, values, NULL);
}
