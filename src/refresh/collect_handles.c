/*
 * collect_handles.c
 *		Handles in a refresh, and the rules that go by them.
 *
 * A tracked source of people tells whose row changed, and the handles of these are
 * read along with it (collect_people.c). Here are those that are read whole: where
 * the source itself was, where a rule goes by something that was not read of it
 * before, and customer tables, of which nothing is known but what they show. Then
 * rules are applied, once, by all there is.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "common/attempt.h"
#include "common/guard.h"
#include "common/spi.h"
#include "person/handle_read.h"
#include "person/rule_links.h"
#include "refresh/collect_handles.h"
#include "refresh/persons.h"
#include "refresh/trust.h"
#include "source/follow.h"
#include "source/read.h"

#define LONGEST_WAIT	1000	/* ms, for a desk that has linked somebody and has not committed */

void
BeginLinkRules(Run *run)
{
	MemoryContext old;

	if (!LinkRulesInUse())
		return;
	old = MemoryContextSwitchTo(run->context);
	run->link_rules = ReadLinkRules();
	MemoryContextSwitchTo(old);
	if (run->link_rules->n == 0 && SpiRun("SELECT FROM custseg.link_pending LIMIT 1", 0, NULL, NULL, NULL) == 0)
		run->link_rules = NULL;
}

/* ----------------------------------------------------------------- a whole source */

typedef struct WholeHandles
{
	Run		   *run;
	Source	   *source;
	HandlesRead *read;
} WholeHandles;

static void
ReadHandles(void *arg)
{
	const WholeHandles *whole = arg;
	Source	   *source = whole->source;

	(void) SourceFollow(source);
	SourceOpen(source);
	whole->run->reading = SourceShown(source);
	HandlesReadAll(whole->read, source);
}

/* Are the handles of a source of people those of its last read? Before the first there is nobody. */
static bool
AreRead(const Run *run, const Source *source)
{
	Oid			types[] = {INT4OID, TEXTARRAYOID};
	Datum		values[] = {Int32GetDatum(source->source_id), HandleKindsOf(run->link_rules, source)};

	return SpiRun("SELECT FROM custseg.source_mapping m WHERE m.source_id = $1 AND (m.last_read IS NULL OR NOT EXISTS ("
				  " SELECT FROM unnest($2) k (kind) WHERE NOT EXISTS (SELECT FROM custseg.person_handle_read r"
				  "  WHERE r.source_id = m.source_id AND r.kind = k.kind AND r.read_at = m.last_read)))",
				  lengthof(types), types, values, NULL) > 0;
}

/* What it had before can be half a table's worth of links. */
static bool
CanApplyHandles(Run *run, const Source *source, int64 rows)
{
	Oid			types[] = {INT4OID};
	Datum		values[] = {Int32GetDatum(source->source_id)};
	bool		accept = run->asked.rebuild && run->asked.only_source == source->source_id;
	Expectation expected = {.shrink_share = ShrinkShare()};

	SpiRun("SELECT coalesce(max(rows), 0) FROM custseg.person_handle_read WHERE source_id = $1", 1, types, values, NULL);
	expected.customers = SpiInt64(0, 1, 0);
	if (accept || rows >= LeastCustomers(&expected))
		return true;
	TellHeldOf(run, source, &expected, rows, "rows with what rules go by");
	return false;
}

static void
NoteHandlesRead(const Run *run, const Source *source, int64 rows)
{
	Oid			types[] = {INT4OID, TEXTARRAYOID, INT8OID, BOOLOID};
	Datum		values[] = {Int32GetDatum(source->source_id), HandleKindsOf(run->link_rules, source), Int64GetDatum(rows),
	BoolGetDatum(source->kind == SOURCE_PEOPLE)};

	SpiRun("INSERT INTO custseg.person_handle_read AS r (source_id, kind, read_at, rows)"
		   " SELECT $1, k.kind, CASE WHEN $4 THEN m.last_read END, $3 FROM unnest($2) k (kind)"
		   " JOIN custseg.source_mapping m ON m.source_id = $1"
		   " ON CONFLICT (source_id, kind) DO UPDATE SET read_at = EXCLUDED.read_at, rows = EXCLUDED.rows"
		   " WHERE (r.read_at, r.rows) IS DISTINCT FROM (EXCLUDED.read_at, EXCLUDED.rows)",
		   lengthof(types), types, values, NULL);
}

static void
CollectHandlesOf(Run *run, Source *source)
{
	WholeHandles whole = {run, source};
	MemoryContext old;
	ErrorData  *error;
	bool		applied = false;

	RunStage(run, STAGE_COLLECT);
	RunActivity(run, "reading what rules go by, of %s", SourceRelation(source));
	whole.read = HandlesBegin(run->link_rules, source);
	error = Attempt(ReadHandles, &whole);
	if (error != NULL || source->kind == SOURCE_CONTACT)
		RunNoteRead(run, source->source_id, error ? "not" : "whole", error ? NULL : "rules go by it");
	if (error != NULL)
		TellFailure(run, source, error);
	else if (CanApplyHandles(run, source, HandlesRows(whole.read)))
	{
		RunStage(run, STAGE_WRITE);
		HandlesApplyAll(whole.read, source);
		NoteHandlesRead(run, source, HandlesRows(whole.read));
		applied = true;
	}
	run->reading = NULL;
	if (!applied)
	{
		old = MemoryContextSwitchTo(run->context);
		run->handles_left = lappend_int(run->handles_left, source->source_id);
		MemoryContextSwitchTo(old);
	}
	RunCommit(run);
}

static void
CollectHandles(Run *run, List *sources)
{
	int			only = run->asked.only_source;
	List	   *contacts;
	ListCell   *cell;
	MemoryContext old = MemoryContextSwitchTo(run->context);

	contacts = ListSources(SOURCE_CONTACT);
	MemoryContextSwitchTo(old);
	HandlesForget(run->link_rules);
	foreach(cell, sources)
	{
		Source	   *source = lfirst(cell);

		if (source->kind == SOURCE_PEOPLE && HasHandles(run->link_rules, source) && !AreRead(run, source))
			CollectHandlesOf(run, source);
	}
	foreach(cell, contacts)
	{
		Source	   *source = lfirst(cell);

		if (HasHandles(run->link_rules, source) && (only == 0 || only == source->source_id))
			CollectHandlesOf(run, source);
	}
}

/* -------------------------------------------------------------------- the rules */

static void
ApplyRules(void *arg)
{
	const Run  *run = arg;

	ApplyLinkRules(run->link_rules, run->now.as_of);
}

void
FollowLinkRules(Run *run, List *sources, bool parts, const ChangeFollower *follower)
{
	ErrorData  *error;
	int			level;

	if (run->link_rules == NULL)
		return;
	CollectHandles(run, sources);
	RunStage(run, STAGE_WRITE);
	RunActivity(run, "linking by rules");
	level = LimitLockWait(LONGEST_WAIT);
	error = Attempt(ApplyRules, run);
	AtEOXact_GUC(false, level);
	/* What it would have done is still pending. */
	if (error && !LockWasRefused(error))
		ReThrowError(error);
	RunCommit(run);
	if (parts)
		FollowLinks(run, follower);
}
