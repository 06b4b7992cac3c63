/*
 * run.c
 *		One refresh: its transactions, stages, counts and record.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/lock.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "common/compat.h"
#include "common/spi.h"
#include "refresh/run.h"

#define RUN_LOCK		2		/* sub-object of the extension that stands for its refresh; see custseg.progress */
#define KEEP_RUNS		10000	/* a year of hourly runs and more */

static const char *const stage_names[STAGES] = {
	[STAGE_START] = "start",
	[STAGE_COLLECT] = "collect",
	[STAGE_WRITE] = "write",
	[STAGE_EVALUATE] = "evaluate",
	[STAGE_CALIBRATE] = "calibrate",
	[STAGE_RECALL] = "recall",
	[STAGE_MEASURE] = "measure",
	[STAGE_END] = "end",
};

void
RunHoldExtension(Run *run)
{
	HoldExtension(run->extension);
	if (get_extension_oid("custseg", true) != run->extension)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("extension \"custseg\" was dropped while it refreshed"),
				 errhint("If it has been created again, add its sources and refresh again.")));
}

void
RunBegin(Run *run)
{
	RunHoldExtension(run);

	/*
	 * A batch that a crash loses is done again by the next run, so only the
	 * last commit, which says that all is done, waits for the disk.
	 */
	(void) set_config_option("synchronous_commit", "off", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
	PushActiveSnapshot(GetTransactionSnapshot());
	OwnerBegin(&run->guard);	/* its results are freed with the batch */
	MemoryContextReset(run->batch);
	MemoryContextSwitchTo(run->batch);
}

static char *
StageTimings(const Run *run)
{
	StringInfoData json;
	double		total = 0;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	for (int stage = STAGE_START; stage < STAGE_END; stage++)
	{
		appendStringInfo(&json, "\"%s\": %.1f, ", stage_names[stage], run->stage_ms[stage]);
		total += run->stage_ms[stage];
	}
	appendStringInfo(&json, "\"total\": %.1f}", total);
	return json.data;
}

static void
WriteRecord(Run *run, const char *status, const char *error)
{
	Oid			types[17] = {INT8OID, TEXTOID, TEXTOID, TEXTOID, INT8OID, INT8OID, INT8OID, INT8OID,
	INT8OID, INT8OID, INT8OID, INT8OID, BOOLOID, INT8OID, TEXTOID, INT8OID, TEXTOID};
	Datum		values[17];
	char		nulls[17];
	static SPIPlanPtr plan;

	memset(nulls, ' ', sizeof(nulls));
	values[0] = Int64GetDatum(run->now.run_id);
	values[1] = CStringGetTextDatum(status);
	values[2] = CStringGetTextDatum(stage_names[run->stage]);
	values[3] = CStringGetTextDatum(StageTimings(run));
	values[4] = Int64GetDatum(run->counts.rows_read);
	values[5] = Int64GetDatum(run->counts.rows_rejected);
	values[6] = Int64GetDatum(run->counts.customers);
	values[7] = Int64GetDatum(run->counts.profiles_written);
	values[8] = Int64GetDatum(run->counts.profiles_removed);
	values[9] = Int64GetDatum(run->counts.evaluated);
	values[10] = Int64GetDatum(run->counts.standings_written);
	values[11] = Int64GetDatum(run->counts.transitions);
	values[12] = BoolGetDatum(run->calibrated);
	values[13] = Int64GetDatum(run->counts.batches);
	nulls[14] = error ? ' ' : 'n';
	values[14] = error ? CStringGetTextDatum(error) : (Datum) 0;
	values[15] = Int64GetDatum(run->counts.changed);
	values[16] = CStringGetTextDatum(psprintf("{%s}", run->reads->data));
	SpiRunPlan(SpiKeep(&plan,
					   "UPDATE custseg.run SET status = $2, stage = $3, timings = $4::jsonb, rows_read = $5,"
					   " rows_rejected = $6, customers = $7, profiles_written = $8, profiles_removed = $9,"
					   " evaluated = $10, standings_written = $11, transitions = $12, calibrated = $13,"
					   " batches = $14, error = $15, changed = $16, reads = $17::jsonb,"
					   " finished_at = CASE WHEN $2 = 'running' THEN NULL ELSE clock_timestamp() END"
					   " WHERE run_id = $1",
					   lengthof(types), types),
			   values, nulls);
}

void
RunRecordStart(Run *run)
{
	Oid			types[3] = {TIMESTAMPTZOID, DATEOID, BOOLOID};
	Datum		values[3] = {TimestampTzGetDatum(run->now.as_of), DateADTGetDatum(run->now.day), BoolGetDatum(run->asked.rebuild)};

	/* We hold the lock, so whoever left a run unfinished is gone. */
	SpiRun("UPDATE custseg.run SET status = 'interrupted',"
		   " note = concat_ws('; ', note, 'its process went away') WHERE status = 'running'",
		   0, NULL, NULL, NULL);
	SpiRun("INSERT INTO custseg.run (as_of, day, rebuild) VALUES ($1, $2, $3) RETURNING run_id",
		   3, types, values, NULL);
	run->now.run_id = SpiInt64(0, 1, 0);
	SpiRun(psprintf("DELETE FROM custseg.run WHERE run_id <= " INT64_FORMAT, run->now.run_id - KEEP_RUNS),
		   0, NULL, NULL, NULL);
}

void
RunRecordFinish(Run *run, const char *status, const char *error)
{
	RunStage(run, run->stage);	/* count the time up to now */
	WriteRecord(run, status, error);
}

static void
CommitBatch(Run *run, bool wait)
{
	run->counts.batches++;
	OwnerEnd(&run->guard);
	PopActiveSnapshot();
	if (wait)
		(void) set_config_option("synchronous_commit",
								 strcmp(run->synchronous_commit, "off") == 0 ? "on" : run->synchronous_commit,
								 PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_LOCAL, true, 0, false);
	MemoryContextSwitchTo(run->context);
	SPI_commit();
}

void
RunCommit(Run *run)
{
	RunStage(run, run->stage);
	WriteRecord(run, "running", NULL);
	CommitBatch(run, false);
	CHECK_FOR_INTERRUPTS();
	if (MyBackendType == B_BG_WORKER && DatabaseIsWanted(MyDatabaseId))
		ereport(ERROR,
				(errcode(ERRCODE_ADMIN_SHUTDOWN),
				 errmsg("refresh stopped because somebody wants the database for themselves"),
				 errhint("The next refresh goes on from here.")));
	RunBegin(run);
}

void
RunEnd(Run *run)
{
	CommitBatch(run, true);
}

void
RunStage(Run *run, Stage stage)
{
	instr_time	now;
	instr_time	spent;

	INSTR_TIME_SET_CURRENT(now);
	spent = now;
	INSTR_TIME_SUBTRACT(spent, run->stage_began);
	run->stage_ms[run->stage] += INSTR_TIME_GET_MILLISEC(spent);
	run->stage = stage;
	run->stage_began = now;
}

void
RunActivity(Run *run, const char *format,...)
{
	char		text[256];
	int			at = snprintf(text, sizeof(text), "custseg refresh: ");
	va_list		args;

	va_start(args, format);
	vsnprintf(text + at, sizeof(text) - at, format, args);
	va_end(args);
	pgstat_report_activity(STATE_RUNNING, text);
}

void
RunTell(Run *run, const char *format,...)
{
	char		text[512];
	va_list		args;

	if (!run->asked.verbose)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	ereport(INFO, (errmsg_internal("%s", text)));
}

void
RunNote(Run *run, const char *note)
{
	Oid			types[2] = {INT8OID, TEXTOID};
	Datum		values[2] = {Int64GetDatum(run->now.run_id), CStringGetTextDatum(note)};

	SpiRun("UPDATE custseg.run SET note = concat_ws('; ', note, $2) WHERE run_id = $1", 2, types, values, NULL);
	RunTell(run, "%s", note);
}

void
RunNoteRead(Run *run, int source_id, const char *how, const char *why)
{
	StringInfo	reads = run->reads;

	appendStringInfo(reads, "%s\"%d\": {\"read\": ", reads->len > 0 ? ", " : "", source_id);
	escape_json(reads, how);
	if (why)
	{
		appendStringInfoString(reads, ", \"why\": ");
		escape_json(reads, why);
	}
	appendStringInfoChar(reads, '}');
	RunTell(run, "source %d: read %s%s%s", source_id, how, why ? ", because " : "", why ? why : "");
}

void
RunNoteProblem(Run *run, const char *problem)
{
	StringInfo	reads = run->reads;

	reads->data[--reads->len] = '\0';	/* the brace that closes it */
	appendStringInfoString(reads, ", \"problem\": ");
	escape_json(reads, problem);
	appendStringInfoChar(reads, '}');
	run->counts.left++;
}

char *
RunErrorText(const Run *run, const ErrorData *error)
{
	return psprintf("%s%s%s%s%s%s%s",
					run->reading ? "reading " : "", run->reading ? run->reading : "",
					run->reading ? ": " : "", error->message,
					error->hint ? " (" : "", error->hint ? error->hint : "", error->hint ? ")" : "");
}

char *
RulesDigest(MemoryContext context, Datum *rules)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	bool		isnull;
	Datum		value;
	char	   *digest;

	SpiRun("SELECT pg_catalog.md5((pg_catalog.to_jsonb(r.rules) - 'calibration_id')::text), r.rules"
		   " FROM (SELECT custseg.rules() AS rules OFFSET 0) r", 0, NULL, NULL, NULL);
	digest = SpiText(0, 1);
	value = SpiField(0, 2, &isnull);
	if (isnull)
		elog(ERROR, "custseg.rules() returned no rules");
	if (rules)
		*rules = datumCopy(value, false, -1);
	MemoryContextSwitchTo(old);
	return digest;
}

/* ------------------------------------------------- from call to return */

static void
RunLockTag(LOCKTAG *tag)
{
	/* Not an advisory lock, which any function of a view can give up: pg_advisory_unlock_all(). */
	SET_LOCKTAG_OBJECT(*tag, MyDatabaseId, ExtensionRelationId, ExtensionOid(), RUN_LOCK);
}

void
RunKeepOut(void)
{
	LOCKTAG		lock;

	RunLockTag(&lock);
	if (LockAcquire(&lock, ShareLock, false, true) == LOCKACQUIRE_NOT_AVAIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("a refresh of this database is running"),
				 errhint("Try again when it is done; see custseg.progress.")));
}

/*
 * After an error: abort what is open, close files, and write down why the run
 * failed, in a transaction of its own. The abort has put back the caller's
 * user and settings, and ends every SPI connection. Leaves a fresh transaction
 * for the error to be thrown into.
 */
static void
RecordFailure(Run *run, const LOCKTAG *lock)
{
	AbortCurrentTransaction();
	StartTransactionCommand();

	/* The abort gave up our lock. Somebody who was waiting for it has noted that we are gone. */
	if (LockAcquire(lock, ExclusiveLock, true, true) == LOCKACQUIRE_NOT_AVAIL)
		return;
	PG_TRY();
	{
		RunHoldExtension(run);
		PushActiveSnapshot(GetTransactionSnapshot());
		OwnerBegin(&run->guard);
		RunRecordFinish(run, "failed", run->failure);
		OwnerEnd(&run->guard);
		PopActiveSnapshot();
		CommitTransactionCommand();
	}
	PG_CATCH();
	{
		/* The extension itself may be gone; the first error is the one to tell. */
		MemoryContextSwitchTo(run->context);
		FlushErrorState();
		AbortCurrentTransaction();
	}
	PG_END_TRY();
	StartTransactionCommand();
}

/* Nothing here may run inside a transaction block, or where it cannot write. */
void
RunCheckCaller(FunctionCallInfo fcinfo, const char *procedure, const char *instead)
{
	bool		atomic = fcinfo->context == NULL || !IsA(fcinfo->context, CallContext) ||
		castNode(CallContext, fcinfo->context)->atomic || IsSubTransaction();

	if (atomic)
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("%s cannot run inside a transaction block", procedure),
				 errdetail("It commits between batches."),
				 errhint("Turn on auto-commit and CALL it alone, or let the worker do it: %s.", instead)));
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("%s cannot run on a standby", procedure),
				 errhint("Run it on the primary; what it writes arrives here by replication.")));
	PreventCommandIfReadOnly(procedure);
	if (XactIsoLevel > XACT_READ_COMMITTED || DefaultXactIsoLevel > XACT_READ_COMMITTED)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("%s needs isolation level READ COMMITTED", procedure),
				 errhint("SET default_transaction_isolation = 'read committed'.")));
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("as_of must not be null"),
				 errhint("Leave it out for now().")));
}

Run *
RunCreate(TimestampTz as_of)
{
	/* Lives across commits, and across the abort of a run that fails. */
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "custseg refresh",
												  ALLOCSET_DEFAULT_SIZES);
	Run		   *run = MemoryContextAllocZero(context, sizeof(Run));
	MemoryContext old;

	run->context = context;
	run->batch = AllocSetContextCreate(context, "custseg refresh batch", ALLOCSET_DEFAULT_SIZES);
	run->now.as_of = as_of;
	run->extension = ExtensionOid();
	run->synchronous_commit = MemoryContextStrdup(context, GetConfigOption("synchronous_commit", false, false));
	old = MemoryContextSwitchTo(context);
	run->reads = makeStringInfo();
	MemoryContextSwitchTo(old);
	INSTR_TIME_SET_CURRENT(run->stage_began);
	return run;
}

void
RunAlone(Run *run, void (*work) (Run *run))
{
	LOCKTAG		lock;

	RunLockTag(&lock);
	PG_TRY();
	{
		if (LockAcquire(&lock, ExclusiveLock, true, true) == LOCKACQUIRE_NOT_AVAIL)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_IN_USE),
					 errmsg("another refresh of this database is running"),
					 errhint("See custseg.progress; a refresh asked for with custseg.request_refresh() waits its turn.")));
		run->locked = true;
		SPI_connect_ext(SPI_OPT_NONATOMIC);
		work(run);
		SPI_finish();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(run->context);
		error = CopyErrorData();
		FlushErrorState();
		if (run->collector)
			CollectorClose(run->collector);
		if (run->people)
			PeopleSpoolClose(run->people);
		run->failure = RunErrorText(run, error);
		if (run->recorded)
			RecordFailure(run, &lock);
		if (run->locked && HoldsLock(&lock, ExclusiveLock))
			LockRelease(&lock, ExclusiveLock, true);
		pgstat_report_activity(STATE_RUNNING, debug_query_string);
		MemoryContextSetParent(run->context, TopTransactionContext);
		ReThrowError(error);
	}
	PG_END_TRY();

	LockRelease(&lock, ExclusiveLock, true);
	pgstat_report_activity(STATE_RUNNING, debug_query_string);
	MemoryContextDelete(run->context);
}
