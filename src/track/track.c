/*
 * track.c
 *		Sources whose changes are noted by triggers.
 *
 * A row trigger on the table notes inserts, updates and deletes; on a
 * partitioned table PostgreSQL copies it to every partition, those attached
 * later included. TRUNCATE of a partition fires only the partition's own
 * trigger, so each table has one for that. They are ENABLE ALWAYS, because
 * what a subscription applies changes customers too, and depend on the
 * extension, so that DROP EXTENSION takes them along.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "common/attempt.h"
#include "common/guard.h"
#include "common/spi.h"
#include "source/read.h"
#include "track/change_log.h"
#include "track/track.h"
#include "track/trigger_digest.h"

PG_FUNCTION_INFO_V1(custseg_track);
PG_FUNCTION_INFO_V1(custseg_untrack);
PG_FUNCTION_INFO_V1(custseg_set_rescan);

#define PAUSE	100				/* ms, for those who wait, between two tries to lock */

/* A table and a column of it that single customers' rows are found by. */
typedef struct WantedIndex
{
	const Source *table;
	MappedColumn column;
} WantedIndex;

/* The first index that is missing; false, if none is. */
static bool
MissingIndex(const Source *source, WantedIndex *missing)
{
	const WantedIndex wanted[] = {
		{source, TrackedColumn(source)},
		{source->orders, COLUMN_CUSTOMER},
		{source->orders, COLUMN_ORDER_ID},
	};

	for (int i = 0; i < lengthof(wanted); i++)
		if (wanted[i].table && !HasIndexOn(wanted[i].table, wanted[i].column))
		{
			*missing = wanted[i];
			return true;
		}
	return false;
}

static char *
IndexStatement(const WantedIndex *index)
{
	/* CONCURRENTLY does not block the shop, but cannot be had for a partitioned table. */
	return psprintf("CREATE INDEX %sON %s (%s)",
					get_rel_relkind(index->table->relation) == RELKIND_PARTITIONED_TABLE ? "" : "CONCURRENTLY ",
					SourceRelation(index->table), SourceColumn(index->table, index->column));
}

const char *
IndexFault(const Source *source)
{
	WantedIndex missing;

	if (!MissingIndex(source, &missing))
		return NULL;
	return psprintf("%s has no index on its %s column: %s", missing.table == source ? "it" : SourceRelation(missing.table),
					missing.column == COLUMN_CUSTOMER ? "customer" : "order", IndexStatement(&missing));
}

/* ------------------------------------------------------ what can be tracked */

static Source *
FindSource(int id)
{
	static const SourceKind kinds[] = {SOURCE_ORDERS, SOURCE_EVENTS, SOURCE_LINES, SOURCE_PEOPLE};
	ListCell   *cell;

	for (int i = 0; i < lengthof(kinds); i++)
		foreach(cell, ListSources(kinds[i]))
			if (((Source *) lfirst(cell))->source_id == id)
				return lfirst(cell);
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("source %d is not one that a refresh reads", id),
			 errhint("See custseg.source for the sources there are.")));
}

/* Of a table that may have been renamed, or lost a column, since it was registered. */
static Oid
TableOwner(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
		ReleaseSysCache(tuple);
	}
	return owner;
}

static void
CheckMember(const Source *source, Oid caller, const char *what)
{
	if (!has_privs_of_role(caller, source->owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be a member of role \"%s\" to %s %s",
						GetUserNameFromId(source->owner, false), what, SourceRelation(source)),
				 errhint("Ask a member of that role.")));
}

static void
CheckTrackable(const Source *source)
{
	char		kind = get_rel_relkind(source->relation);
	bool		partitioned = kind == RELKIND_PARTITIONED_TABLE;
	ListCell   *cell;

	if (kind != RELKIND_RELATION && !partitioned)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s cannot be tracked", SourceRelation(source)),
				 errdetail("Only tables and partitioned tables have triggers that see every change."),
				 errhint("It is read whole; rescan_every says how often.")));
	foreach(cell, find_all_inheritors(source->relation, AccessShareLock, NULL))
	{
		Oid			relid = lfirst_oid(cell);

		if (relid != source->relation && (!partitioned || get_rel_relkind(relid) == RELKIND_FOREIGN_TABLE))
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("%s cannot be tracked", SourceRelation(source)),
					 partitioned ? errdetail("Its partition %s is a foreign table, which changes without our triggers.", get_rel_name(relid)) :
					 errdetail("Table %s inherits from it, and does not fire its triggers.", get_rel_name(relid)),
					 errhint("It is read whole; rescan_every says how often.")));
	}
}

/* A line does not say when its order becomes another customer's. */
static void
CheckOrdersTracked(const Source *source)
{
	if (source->orders && !source->orders->tracked)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the lines in %s cannot be tracked while their orders are not", SourceRelation(source)),
				 errhint("SELECT custseg.track(%d) first.", source->orders_source)));
}

/* ------------------------------------------------------ locking the tables */

/*
 * Whoever of the shop has used a partition may come to the table next. If we
 * have locked the table by then and wait for the partition, each waits for the
 * other, and PostgreSQL ends the transaction of one. It looks for that when
 * somebody has waited for deadlock_timeout. So all locks are taken in a
 * subtransaction; when half that time was not enough, it is rolled back, those
 * who wait for us go first, and we try again.
 */
typedef struct Locking
{
	Source	   *source;
	Oid			caller;
	double		ms;				/* for all tries together */
	TimestampTz deadline;
	TimestampTz until;			/* end of this try */
	bool		needed;			/* out: there is something to do */
} Locking;

/* From here to the end of the guard, no lock is waited for any longer. */
static void
StartLocking(Locking *locking, int source_id, const Interval *timeout)
{
	double		ms = ((timeout->month * (double) DAYS_PER_MONTH + timeout->day) * USECS_PER_DAY + timeout->time) / 1000;

	if (!(ms >= 1 && ms <= PG_INT32_MAX))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("lock_timeout must be between 1 millisecond and 24 days")));
	locking->ms = ms;
	locking->deadline = GetCurrentTimestamp() + (TimestampTz) (ms * 1000);
	(void) LimitLockWait((int) ms);
	locking->source = FindSource(source_id);
}

static int
MillisecondsUntil(TimestampTz moment)
{
	/* No time at all would be no limit. */
	return Max(TimestampDifferenceMilliseconds(GetCurrentTimestamp(), moment), 1);
}

static void
LockTable(Oid relid, LOCKMODE mode, TimestampTz until)
{
	int			level;

	if (ConditionalLockRelationOid(relid, mode))
		return;
	level = LimitLockWait(MillisecondsUntil(until));
	LockRelationOid(relid, mode);
	AtEOXact_GUC(false, level);
}

/* A table and what is read with it. One that is gone does no harm. */
static void
LockTree(Oid root, LOCKMODE mode, TimestampTz until)
{
	List	   *tables = list_make1_oid(root);
	ListCell   *cell;

	foreach(cell, tables)
	{
		Oid			relid = lfirst_oid(cell);

		LockTable(relid, mode, until);
		if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
			tables = list_concat(tables, find_inheritance_children(relid, NoLock));
	}
}

/* The triggers of a source, g, by their first argument, since they can be renamed; $1 is the source, $2 the function. */
#define TRIGGERS_OF_SOURCE \
	"g.tgfoid = $2 AND pg_catalog.starts_with(pg_catalog.encode(g.tgargs, 'hex')," \
	" pg_catalog.encode(pg_catalog.convert_to($1::text, 'UTF8'), 'hex') || '00')"

/* The tables that DROP TRIGGER will lock: partitions that were detached are among them. */
static void
LockTriggers(const Source *source, TimestampTz until)
{
	Oid			types[2] = {INT4OID, OIDOID};
	Datum		values[2] = {Int32GetDatum(source->source_id), ObjectIdGetDatum(TriggerFunction())};
	List	   *tables = NIL;
	ListCell   *cell;

	SpiRun("SELECT DISTINCT g.tgrelid FROM pg_catalog.pg_trigger g WHERE " TRIGGERS_OF_SOURCE " ORDER BY 1",
		   2, types, values, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
		tables = lappend_oid(tables, SpiInt64(i, 1, InvalidOid));
	foreach(cell, tables)
		LockTable(lfirst_oid(cell), AccessExclusiveLock, until);
}

static void
LockToTrack(void *arg)
{
	Locking    *locking = arg;
	Source	   *source = locking->source;

	LockTree(source->relation, AccessShareLock, locking->until);
	SourceOpen(source);
	CheckMember(source, locking->caller, "track");
	CheckTrackable(source);
	CheckOrdersTracked(source);
	locking->needed = !source->tracked || TrackingFault(source) != NULL;
	if (locking->needed)
	{
		LockTree(source->relation, ShareRowExclusiveLock, locking->until);
		LockTriggers(source, locking->until);
	}
}

static void
LockToUntrack(void *arg)
{
	Locking    *locking = arg;
	Source	   *source = locking->source;

	source->owner = TableOwner(source->relation);
	/* A table that is gone has taken its triggers along. */
	locking->needed = OidIsValid(source->owner);
	if (locking->needed)
	{
		CheckMember(source, locking->caller, "stop tracking");
		LockTree(source->relation, AccessExclusiveLock, locking->until);
		LockTriggers(source, locking->until);
	}
}

/* Does anybody wait for a lock that this transaction has had from before? */
static bool
OthersWait(void)
{
	SpiRun("SELECT FROM pg_catalog.pg_locks w WHERE NOT w.granted"
		   " AND pg_catalog.pg_backend_pid() = ANY (pg_catalog.pg_blocking_pids(w.pid))", 0, NULL, NULL, NULL);
	return SPI_processed > 0;
}

/* Try until it goes well, or the time is over. */
static void
LockWithin(Locking *locking, void (*lock) (void *locking))
{
	ErrorData  *error;

	for (;;)
	{
		locking->until = Min(locking->deadline, GetCurrentTimestamp() + DeadlockTimeout * (TimestampTz) 1000 / 2);
		error = Attempt(lock, locking);
		if (error == NULL)
			break;
		if (error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE)
			ReThrowError(error);
		FreeErrorData(error);
		if (GetCurrentTimestamp() >= locking->deadline)
			ereport(ERROR,
					(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
					 errmsg("could not lock %s within %.0f ms", SourceRelation(locking->source), locking->ms),
					 errdetail("Transactions that have used it and are still open keep it."),
					 errhint("Try again when they are done, or pass a longer lock_timeout; others wait for us for at most half of deadlock_timeout at a time.")));
		if (OthersWait())
			ereport(ERROR,
					(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
					 errmsg("could not lock %s while others wait for this transaction", SourceRelation(locking->source)),
					 errdetail("They wait for what it has locked before, such as another source."),
					 errhint("Try again, each source in a transaction of its own.")));
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 Min(PAUSE, MillisecondsUntil(locking->deadline)), PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	(void) LimitLockWait(MillisecondsUntil(locking->deadline));
}

/* --------------------------------------------------- switching on and off */

static void
RunUtility(const char *format,...) pg_attribute_printf(1, 2);

static void
RunUtility(const char *format,...)
{
	char		sql[1024];
	va_list		args;

	va_start(args, format);
	vsnprintf(sql, sizeof(sql), format, args);
	va_end(args);
	SpiRun(sql, 0, NULL, NULL, NULL);
}

static char *
QualifiedName(Oid relid)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), get_rel_name(relid));
}

static void
MakeTrigger(const Source *source, const char *name, const char *on, const char *event)
{
	RunUtility("CREATE TRIGGER %s AFTER %s EXECUTE FUNCTION custseg.track_change('%d', %s%s)",
			   name, psprintf(event, on), source->source_id, quote_literal_cstr(source->column[TrackedColumn(source)]),
			   source->orders ? ", 'order'" : "");
	RunUtility("ALTER TABLE %s ENABLE ALWAYS TRIGGER %s", on, name);
	RunUtility("ALTER TRIGGER %s ON %s DEPENDS ON EXTENSION custseg", name, on);
}

static void
MakeTriggers(const Source *source)
{
	ListCell   *cell;

	MakeTrigger(source, psprintf("custseg_track_%d", source->source_id), SourceRelation(source),
				"INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW");
	foreach(cell, find_all_inheritors(source->relation, NoLock, NULL))
		MakeTrigger(source, psprintf("custseg_truncate_%d", source->source_id), QualifiedName(lfirst_oid(cell)),
					"TRUNCATE ON %s FOR EACH STATEMENT");
}

static void
DropTriggers(const Source *source)
{
	Oid			types[2] = {INT4OID, OIDOID};
	Datum		values[2] = {Int32GetDatum(source->source_id), ObjectIdGetDatum(TriggerFunction())};
	char	  **drops;
	uint64		n;

	/* Not the copies that partitions have. */
	SpiRun("SELECT pg_catalog.format('DROP TRIGGER %I ON %I.%I', g.tgname, n.nspname, c.relname)"
		   " FROM pg_catalog.pg_trigger g JOIN pg_catalog.pg_class c ON c.oid = g.tgrelid"
		   " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
		   " WHERE g.tgparentid = 0 AND " TRIGGERS_OF_SOURCE " ORDER BY g.oid", 2, types, values, NULL);
	n = SPI_processed;
	drops = palloc(Max(n, 1) * sizeof(char *));
	for (uint64 i = 0; i < n; i++)
		drops[i] = SpiText(i, 1);
	for (uint64 i = 0; i < n; i++)
		SpiRun(drops[i], 0, NULL, NULL, NULL);
}

static void
NoteTracking(const Source *source, bool tracked)
{
	Oid			types[2] = {INT4OID, BOOLOID};
	Datum		values[2] = {Int32GetDatum(source->source_id), BoolGetDatum(tracked)};

	SpiRun("UPDATE custseg.source_mapping SET tracked_since = CASE WHEN $2 THEN pg_catalog.now() END,"
		   " tracked_layout = NULL WHERE source_id = $1", 2, types, values, NULL);
}

void
Track(int source_id, Interval *timeout)
{
	Locking		locking = {.caller = GetUserId()};
	Source	   *source;
	WantedIndex missing;
	Guard		guard;

	GuardEnter(&guard, ExtensionOwner());
	StartLocking(&locking, source_id, timeout);
	LockWithin(&locking, LockToTrack);
	source = locking.source;
	if (!locking.needed)
		ereport(NOTICE,
				(errmsg("%s is tracked already", SourceRelation(source))));
	else
	{
		DropTriggers(source);
		MakeTriggers(source);
		NoteTracking(source, true);
		ChangeLogEverything(source_id);
	}
	if (MissingIndex(source, &missing))
		ereport(NOTICE,
				(errmsg("%s has no index on its %s column \"%s\"", SourceRelation(missing.table),
						missing.column == COLUMN_CUSTOMER ? "customer" : "order", missing.table->column[missing.column]),
				 errdetail("Without one a refresh reads the whole table as soon as anything changed."),
				 errhint("%s;", IndexStatement(&missing))));
	GuardLeave(&guard);
}

static void
UntrackSource(int source_id, Interval *timeout)
{
	Locking		locking = {.caller = GetUserId()};
	Source	   *source;
	Guard		guard;

	GuardEnter(&guard, ExtensionOwner());
	StartLocking(&locking, source_id, timeout);
	LockWithin(&locking, LockToUntrack);
	source = locking.source;
	if (locking.needed)
		DropTriggers(source);
	if (!source->tracked)
		ereport(NOTICE,
				(errmsg("%s is not tracked", SourceRelation(source))));
	NoteTracking(source, false);
	ChangeLogDrop(source_id);
	GuardLeave(&guard);
}

static void
RequireArguments(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("source and lock_timeout must not be null"),
				 errhint("See custseg.source for the sources there are.")));
}

Datum
custseg_track(PG_FUNCTION_ARGS)
{
	RequireArguments(fcinfo);
	SPI_connect();
	Track(PG_GETARG_INT32(0), PG_GETARG_INTERVAL_P(1));
	SPI_finish();
	PG_RETURN_VOID();
}

Datum
custseg_untrack(PG_FUNCTION_ARGS)
{
	RequireArguments(fcinfo);
	SPI_connect();
	UntrackSource(PG_GETARG_INT32(0), PG_GETARG_INTERVAL_P(1));
	SPI_finish();
	PG_RETURN_VOID();
}

void
SetRescan(int source_id, Interval *every)
{
	Oid			caller = GetUserId();
	Oid			types[2] = {INT4OID, INTERVALOID};
	Datum		values[2] = {Int32GetDatum(source_id), IntervalPGetDatum(every)};
	char		nulls[2] = {' ', every ? ' ' : 'n'};
	Source	   *source;
	Guard		guard;

	GuardEnter(&guard, ExtensionOwner());
	source = FindSource(source_id);
	SourceOpen(source);
	CheckMember(source, caller, "say when to read");
	SpiRun("UPDATE custseg.source_mapping SET rescan_every = $2 WHERE source_id = $1", 2, types, values, nulls);
	GuardLeave(&guard);
}

Datum
custseg_set_rescan(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("source must not be null"),
				 errhint("See custseg.source for the sources there are.")));
	SPI_connect();
	SetRescan(PG_GETARG_INT32(0), PG_ARGISNULL(1) ? NULL : PG_GETARG_INTERVAL_P(1));
	SPI_finish();
	PG_RETURN_VOID();
}
