/*
 * trust.c
 *		Whether a source can be believed, and what is said where it cannot.
 *
 * A table that was truncated for a load, a view that is empty for a minute and
 * a status that is called something else look like a shop whose customers are
 * gone. If that were believed, all episodes would end, and begin anew a day
 * later. So a whole read that finds far fewer customers than the last is not
 * applied until somebody accepts it, just as a source that cannot be read is
 * left as it was, and in both cases the rest of the refresh goes on.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "common/attempt.h"
#include "common/spi.h"
#include "common/stream.h"
#include "person/contact.h"
#include "profile/counts.h"
#include "profile/writer.h"
#include "refresh/trust.h"
#include "source/follow.h"
#include "source/read.h"

#define FEWEST_CUSTOMERS	20	/* a smaller shop may come and go */
#define MOST_REJECTED		0.9 /* of the rows, before it is worth a warning */

double
ShrinkShare(void)
{
	bool		isnull;

	SpiRun("SELECT shrink_share FROM custseg.settings", 0, NULL, NULL, NULL);
	return DatumGetFloat8(SpiField(0, 1, &isnull));
}

/* The customers of a target, or "most" where they are more. */
static int64
CountCustomers(const ProfileTarget *target, int64 most)
{
	Oid			types[2] = {INT4OID, INT8OID};
	Datum		values[2] = {Int32GetDatum(target->source_id), Int64GetDatum(most)};

	if (target->events)
	{
		types[0] = INT4ARRAYOID;
		values[0] = TargetEvents(target);
		SpiRun("SELECT count(*) FROM (SELECT DISTINCT customer_id FROM custseg.profile_event WHERE event_id = ANY ($1) LIMIT $2) p",
			   2, types, values, NULL);
		return SpiInt64(0, 1, 0);
	}
	SpiRun(target->people ?
		   "SELECT count(*) FROM (SELECT FROM custseg.profile_attribute WHERE source_id = $1 LIMIT $2) p" :
		   target->source_id ?
		   "SELECT count(*) FROM (SELECT FROM custseg.profile_part WHERE source_id = $1 LIMIT $2) p" :
		   "SELECT count(*) FROM (SELECT FROM custseg.profile WHERE $1 = 0 LIMIT $2) p", 2, types, values, NULL);
	return SpiInt64(0, 1, 0);
}

void
Expect(const Source *source, const ProfileTarget *target, bool known, Expectation *expected)
{
	expected->shrink_share = ShrinkShare();
	expected->customers = source->customers;

	/* Reading changes does not count how many there are then. */
	if (source->tracked && known && source->last_read != DT_NOBEGIN)
		expected->customers = CountCustomers(target, PG_INT64_MAX);
}

bool
MayShrink(const ProfileTarget *target, int64 changed)
{
	double		share = ShrinkShare();
	int64		enough = share < 1 ? (int64) (changed / (1 - share)) + 1 : PG_INT64_MAX;
	int64		n;

	if (changed == 0 || enough <= FEWEST_CUSTOMERS / 2)
		return false;
	n = CountCustomers(target, enough);
	return n >= FEWEST_CUSTOMERS && n < enough;
}

int64
LeastCustomers(const Expectation *expected)
{
	return expected->customers < FEWEST_CUSTOMERS ? 0 : (int64) ceil(expected->customers * expected->shrink_share);
}

int64
FullAgain(const Expectation *expected, const Source *source, int64 rows)
{
	int64		many;

	if (expected->customers < 0)
		return -1;
	if (expected->customers == 0)
		return 1;
	if (expected->shrink_share <= 0 || expected->shrink_share >= 1)
		return -1;
	many = Max((int64) ceil(expected->customers / expected->shrink_share), FEWEST_CUSTOMERS);
	return rows - source->rows >= many - expected->customers ? many : -1;
}

/* ------------------------------------------------------------ statuses */

static void
NoteStatus(const Source *source, int n, const char *status, bool accepted, bool further, int64 rows)
{
	static SPIPlanPtr kept = NULL;
	Oid			types[6] = {INT4OID, INT4OID, TEXTOID, BOOLOID, BOOLOID, INT8OID};
	Datum		values[6] = {Int32GetDatum(source->source_id), Int32GetDatum(n), status ? CStringGetTextDatum(status) : (Datum) 0,
	BoolGetDatum(accepted), BoolGetDatum(further), Int64GetDatum(rows)};

	SpiRunPlan(SpiKeep(&kept, "INSERT INTO custseg.source_status (source_id, n, status, accepted, further, rows)"
					   " VALUES ($1, $2, $3, $4, $5, $6)", 6, types), values, status ? NULL : "  n   ");
}

void
NoteStatuses(const Source *source, const StatusCounts *statuses)
{
	Oid			types[1] = {INT4OID};
	Datum		values[1] = {Int32GetDatum(source->source_id)};
	int			n = 0;

	SpiRun("DELETE FROM custseg.source_status WHERE source_id = $1", 1, types, values, NULL);
	if (statuses == NULL)
		return;
	for (int i = 0; i < statuses->n_accepted; i++)
		NoteStatus(source, ++n, statuses->accepted[i]->value, true, false, statuses->accepted[i]->rows);
	for (int i = 0; i < statuses->n_others; i++)
		NoteStatus(source, ++n, statuses->others[i]->value, false, false, statuses->others[i]->rows);
	if (statuses->nulls > 0)
		NoteStatus(source, ++n, NULL, false, false, statuses->nulls);
	if (statuses->more > 0)
		NoteStatus(source, ++n, NULL, false, true, statuses->more);
}

/* Had a row this status when the source was last read? */
static bool
HadStatus(const Source *source, const char *status)
{
	Oid			types[2] = {INT4OID, TEXTOID};
	Datum		values[2] = {Int32GetDatum(source->source_id), CStringGetTextDatum(status)};

	SpiRun("SELECT FROM custseg.source_status WHERE source_id = $1 AND accepted AND rows > 0"
		   " AND status COLLATE \"C\" = $2", 2, types, values, NULL);
	return SPI_processed > 0;
}

/* ----------------------------------------------------- what is told of it */

static char *
NamedSource(const Source *source)
{
	return psprintf("source %d (%s)", source->source_id, SourceRelation(source));
}

static void
TellRun(Run *run, const char *message)
{
	ereport(WARNING, (errcode(ERRCODE_WARNING), errmsg_internal("%s", message)));
	RunNote(run, message);
}

static void
TellStatuses(Run *run, const Source *source, const StatusCounts *statuses)
{
	for (int i = 0; i < statuses->n_accepted; i++)
	{
		const char *status = statuses->accepted[i]->value;

		if (!StatusCanBe(source, status))
			TellRun(run, psprintf("%s accepts status \"%s\", which type %s of its column %s does not have",
							   NamedSource(source), status, format_type_be(source->type[COLUMN_STATUS]),
							   SourceColumn(source, COLUMN_STATUS)));
		else if (statuses->accepted[i]->rows == 0 && HadStatus(source, status))
			TellRun(run, psprintf("no row of %s has status \"%s\" any more", NamedSource(source), status));
	}
}

void
TellOddities(Run *run, const Source *source, const CollectCounts *counts)
{
	int64		rejected = RejectedRows(counts);
	int			most = 0;

	if (counts->statuses != NULL)
		TellStatuses(run, source, counts->statuses);
	if (counts->rows == 0)
	{
		const char *what = SourceKindName(source->kind);
		int64		left_out = CountsLeftOut(counts);

		/* Once: a source may well be empty. */
		if (source->customers != 0)
			TellRun(run, left_out == 0 ? psprintf("%s has no %s", NamedSource(source), what) :
					psprintf("%s has no %s: none of its " INT64_FORMAT " rows %s", NamedSource(source), what, left_out,
							 source->kind == SOURCE_LINES ? "is a line of an order that counts" :
							 source->column[COLUMN_EVENT] ? "is one that is listed" : "has an accepted status"));
		return;
	}
	for (int reason = 0; reason < REJECT_REASONS; reason++)
		if (counts->rejected[reason] > counts->rejected[most])
			most = reason;
	if (rejected >= MOST_REJECTED * counts->rows)
		TellRun(run, psprintf("of the " INT64_FORMAT " rows of %s " INT64_FORMAT " cannot be used, most often because %s",
						   counts->rows, NamedSource(source), rejected, reject_reasons[most]));
}

static void
SetProblem(const Source *source, const char *problem)
{
	Oid			types[2] = {INT4OID, TEXTOID};
	Datum		values[2] = {Int32GetDatum(source->source_id), problem ? CStringGetTextDatum(problem) : (Datum) 0};

	SpiRun("UPDATE custseg.source_mapping SET problem = $2,"
		   " failed_at = CASE WHEN $2 IS NOT NULL THEN pg_catalog.clock_timestamp() END WHERE source_id = $1", 2, types, values,
		   problem ? NULL : " n");
}

void
ForgetProblem(Source *source)
{
	if (source->troubled)
		SetProblem(source, NULL);
	source->troubled = false;
}

static void
TellLeft(Run *run, const Source *source, const char *problem)
{
	SetProblem(source, problem);
	RunNoteProblem(run, problem);
	RunNote(run, psprintf("%s is left as it was last read: %s", NamedSource(source), problem));
}

void
TellFailure(Run *run, const Source *source, const ErrorData *error)
{
	ereport(WARNING,
			(errcode(error->sqlerrcode),
			 errmsg("%s is left as it was last read: %s", NamedSource(source), error->message),
			 error->detail ? errdetail_internal("%s", error->detail) : 0,
			 error->hint ? errhint("%s", error->hint) : 0,
			 run->reading ? errcontext("reading %s", run->reading) : 0));
	TellLeft(run, source, RunErrorText(run, error));
}

void
TellAdopted(Run *run, const Source *source)
{
	RunNote(run, psprintf("another relation has the name of %s now, and is read in its place", NamedSource(source)));
	if (source->tracked)
		TellRun(run, psprintf("%s is read whole until its new table has triggers: SELECT custseg.track(%d)",
							  NamedSource(source), source->source_id));
}

/* What there is to adopt, and whether it was. */
typedef struct Adoption
{
	Source	   *source;
	bool		adopted;
} Adoption;

static void
Adopt(void *arg)
{
	Adoption   *adoption = arg;

	adoption->adopted = SourceAdopt(adoption->source);
}

void
FollowContacts(Run *run)
{
	ListCell   *cell;

	foreach(cell, ListSources(SOURCE_CONTACT))
	{
		Adoption	adoption = {lfirst(cell)};

		/* If it cannot be, whoever wants to read it will say so. */
		if (adoption.source->follow && Attempt(Adopt, &adoption) == NULL && adoption.adopted)
			TellAdopted(run, adoption.source);
	}
}

void
TellContacts(Run *run, const ErrorData *error)
{
	ListCell   *cell;

	foreach(cell, ListSources(SOURCE_CONTACT))
	{
		Source	   *source = lfirst(cell);

		if (error == NULL && !list_member_int(run->handles_left, source->source_id))
			ForgetProblem(source);
		else if (error != NULL && source->source_id == ContactsReading())
		{
			ereport(WARNING,
					(errcode(error->sqlerrcode),
					 errmsg("no task is planned, because %s cannot be read: %s", NamedSource(source), error->message),
					 error->detail ? errdetail_internal("%s", error->detail) : 0,
					 error->hint ? errhint("%s", error->hint) : 0));
			SetProblem(source, RunErrorText(run, error));
			RunNote(run, psprintf("no task is planned, because %s cannot be read: %s", NamedSource(source), error->message));
			run->counts.left++;
		}
	}
}

void
TellHeld(Run *run, const Source *source, const Expectation *expected, int64 found)
{
	TellHeldOf(run, source, expected, found, "customers");
}

void
TellHeldOf(Run *run, const Source *source, const Expectation *expected, int64 found, const char *what)
{
	char	   *problem = psprintf("it had " INT64_FORMAT " %s then and has " INT64_FORMAT " now",
								   expected->customers, what, found);
	char	   *hint = psprintf("CALL custseg.refresh(source => %d, rebuild => true) accepts that", source->source_id);

	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg("%s is left as it was last read: %s", NamedSource(source), problem),
			 errhint("If that is right, %s; see custseg.settings.shrink_share.", hint)));
	TellLeft(run, source, psprintf("%s (%s)", problem, hint));
}
