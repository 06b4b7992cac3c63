/*
 * session.c
 *		The session of a worker, in which its jobs run.
 *
 * A job is a statement that runs as if a client had sent it. What it leaves in
 * the session is put back before the next one.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "commands/extension.h"
#include "commands/prepare.h"
#include "commands/sequence.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "pgstat.h"
#include "storage/lock.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"

#include "common/compat.h"
#include "common/guard.h"
#include "common/home.h"
#include "common/settings.h"
#include "worker/session.h"
#include "worker/shared.h"

static void
PinSetting(const char *name, const char *value)
{
	SetConfigOption(name, value, PGC_SUSET, PGC_S_SESSION);
}

/*
 * The session as a new process would have it, like DISCARD ALL but for the
 * caches. A function that a source's view calls may have changed it, and an
 * advisory lock of such a function must not outlast the job.
 */
void
ResetSession(void)
{
	ResetAllOptions();
	PinSetting("role", "none");
	PinSetting("application_name", "custseg worker");

	/* A database may have defaults that suit its clients and not us. */
	PinSetting("search_path", "pg_catalog, pg_temp");
	PinSetting("default_transaction_isolation", "read committed");
	PinSetting("default_transaction_deferrable", "off");

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	PortalHashTableDeleteAll();
	DropAllPreparedStatements();
	LockReleaseAll(USER_LOCKMETHOD, true);
	ResetTempTableNamespace();
	ResetSequenceCaches();
	PopActiveSnapshot();
	CommitTransactionCommand();
}

/*
 * Become the owner of the extension for good. False when there is none here.
 *
 * The way back from a session authorization is open to whatever runs in the
 * session, so it must not be a step down: an owner who is no superuser any
 * more could otherwise put their own code into a procedure of ours, go back to
 * the superuser that every worker begins as, and own the server.
 */
bool
BecomeOwner(void)
{
	Oid			owner;
	bool		found = false;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (OidIsValid(get_extension_oid("custseg", true)))
	{
		owner = ExtensionOwner();
		if (!superuser_arg(owner))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("the owner \"%s\" of extension \"custseg\" is not a superuser",
							GetUserNameFromId(owner, false)),
					 errhint("Give the extension to a superuser with REASSIGN OWNED; until then nothing scheduled runs.")));
		SetConfigOption("session_authorization", GetUserNameFromId(owner, false),
						PGC_SUSET, PGC_S_SESSION);
		found = true;
	}
	PopActiveSnapshot();
	CommitTransactionCommand();
	return found;
}

/*
 * Run a statement as a client would, so that a procedure may commit. SPI
 * would not do: after its first commit a procedure needs a portal to hang its
 * snapshots on.
 */
static void
RunJobCommand(const char *command)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "custseg command",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old;
	RawStmt    *parsed;
	List	   *plans;
	Portal		portal;
	DestReceiver *receiver;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	old = MemoryContextSwitchTo(context);

	parsed = linitial_node(RawStmt, pg_parse_query(command));
	PushActiveSnapshot(GetTransactionSnapshot());
	plans = pg_plan_queries(pg_analyze_and_rewrite_fixedparams(parsed, command, NULL, 0, NULL),
							command, 0, NULL);
	PopActiveSnapshot();

	portal = CreatePortal("", true, true);
	portal->visible = false;
	PortalDefineQuery(portal, NULL, command, CreateCommandTag(parsed->stmt), plans, NULL);
	PortalStart(portal, NULL, 0, InvalidSnapshot);
	receiver = CreateDestReceiver(DestNone);
	(void) PortalRunAll(portal, receiver, NULL);
	receiver->rDestroy(receiver);
	PortalDrop(portal, false);

	MemoryContextSwitchTo(old);
	CommitTransactionCommand();
	MemoryContextDelete(context);
}

/* Names the job in the log, where an error of it is all there is to see. */
static void
JobErrorContext(void *arg)
{
	errcontext("custseg job \"%s\"", job_kinds[*(int *) arg].name);
}

JobOutcome
RunJob(int job, char **error)
{
	MemoryContext outer = CurrentMemoryContext;
	ErrorContextCallback callback;
	volatile JobOutcome outcome = CUSTSEG_SUCCEEDED;

	callback.callback = JobErrorContext;
	callback.arg = &job;
	callback.previous = error_context_stack;
	error_context_stack = &callback;

	*error = NULL;
	debug_query_string = job_kinds[job].command;
	pgstat_report_activity(STATE_RUNNING, psprintf("custseg %s", job_kinds[job].name));

	PG_TRY();
	{
		/* A background worker arms no statement timeout by itself. */
		if (custseg_job_timeout > 0)
			enable_timeout_after(STATEMENT_TIMEOUT, custseg_job_timeout);
		RunJobCommand(job_kinds[job].command);
		disable_timeout(STATEMENT_TIMEOUT, false);
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		HOLD_INTERRUPTS();
		disable_all_timeouts(false);
		QueryCancelPending = false;
		MemoryContextSwitchTo(outer);
		EmitErrorReport();
		edata = CopyErrorData();
		AbortCurrentTransaction();
		MemoryContextSwitchTo(outer);
		FlushErrorState();
		RESUME_INTERRUPTS();

		if (edata->sqlerrcode == ERRCODE_OBJECT_IN_USE)
			outcome = CUSTSEG_SKIPPED;
		else if (edata->sqlerrcode == ERRCODE_ADMIN_SHUTDOWN)
			outcome = CUSTSEG_INTERRUPTED;
		else
			outcome = CUSTSEG_FAILED;
		*error = edata->hint ? psprintf("%s Hint: %s", edata->message, edata->hint) :
			pstrdup(edata->message);
	}
	PG_END_TRY();

	error_context_stack = callback.previous;
	debug_query_string = NULL;
	MemoryContextSwitchTo(outer);
	pgstat_report_stat(true);
	pgstat_report_activity(STATE_IDLE, NULL);
	return outcome;
}
