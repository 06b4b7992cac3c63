/*
 * run.h
 *		One refresh: its transactions, stages, counts and record.
 */
#ifndef CUSTSEG_RUN_H
#define CUSTSEG_RUN_H

#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "portability/instr_time.h"
#include "utils/date.h"
#include "utils/timestamp.h"

#include "common/guard.h"
#include "common/moment.h"
#include "common/settings.h"
#include "facts/people_compare.h"
#include "person/link_rule.h"
#include "profile/collector.h"

typedef enum Stage
{
	STAGE_START,
	STAGE_COLLECT,
	STAGE_WRITE,
	STAGE_EVALUATE,
	STAGE_CALIBRATE,
	STAGE_RECALL,
	STAGE_MEASURE,
	STAGE_END,
} Stage;

#define STAGES	(STAGE_END + 1)

/* What the caller wants. */
typedef struct RunRequest
{
	bool		rebuild;
	bool		verbose;
	int			only_source;	/* 0: all */
} RunRequest;

/* What was done, as custseg.run shows it. */
typedef struct RunCounts
{
	int64		rows_read;
	int64		rows_rejected;
	int64		customers;
	int64		changed;		/* of these, read because a tracked source noted them */
	int			left;			/* sources that were left as they were last read */
	int64		profiles_written;
	int64		profiles_removed;
	int64		evaluated;
	int64		standings_written;
	int64		transitions;
	int64		left_out;		/* customers without an episode, as their silence is old news */
	int64		left_out_sudden;	/* or as a source had or lost them all at once */
	int64		batches;
} RunCounts;

typedef struct Reappear Reappear;

/* Whom the tasks and outcomes may be about that have to be looked at. */
typedef struct Touched
{
	int64	   *ids;			/* customers whose profile changed */
	int			n;
	bool		all;			/* any customer's profile or standing may have */
} Touched;

typedef struct Run
{
	Moment		now;			/* its run_id is 0 until the record is written */
	RunRequest	asked;
	RunCounts	counts;
	Touched		touched;
	bool		calibrated;
	ShopSettings *settings;
	Datum		rules;			/* in force: a custseg.rules */

	/* Its transactions. */
	MemoryContext context;		/* as long as the run */
	MemoryContext batch;		/* as long as one transaction */
	Oid			extension;		/* of which this is a run */
	char	   *synchronous_commit; /* of the caller */
	bool		locked;
	Guard		guard;

	/* Its record. */
	bool		recorded;		/* its row in custseg.run is committed */
	char	   *failure;		/* what went wrong */
	StringInfo	reads;			/* how each source was read, as JSON members */
	Stage		stage;
	instr_time	stage_began;
	double		stage_ms[STAGES];

	/* Its reads. */
	char	   *reading;		/* the source that is being read */
	Collector  *collector;		/* to be closed whatever happens */
	PeopleSpool *people;		/* likewise */
	LinkRules  *link_rules;		/* NULL: none are in use */
	Reappear   *reappear;	/* customers who come and go with this read; NULL: nobody looks */
	bool		links_left;		/* who was linked or parted is left as it was */
	List	   *handles_left;	/* sources whose handles are as they were last read, though they should not be */
} Run;

/*
 * An error where a procedure that commits may not be called, or its first
 * argument, as_of, is null. "instead" is a statement that does the same there.
 */
extern void RunCheckCaller(FunctionCallInfo fcinfo, const char *procedure, const char *instead);

extern Run *RunCreate(TimestampTz as_of);

/*
 * Do the work as the only run, and free the run. It holds a session lock, and
 * that lock is what says that a run is alive. Writes down why it fails if it
 * does.
 */
extern void RunAlone(Run *run, void (*work) (Run *run));

/*
 * Let DROP EXTENSION wait until the end of the transaction. Without it, it
 * would take the locks of our tables in another order than we do. An error if
 * it came first.
 */
extern void RunHoldExtension(Run *run);

/* Begin a batch: a snapshot, and the rights of the extension's owner. */
extern void RunBegin(Run *run);

/* Write the progress, commit, leave if the database is wanted, and begin the next batch. */
extern void RunCommit(Run *run);

/* Commit for good, and begin no other batch. */
extern void RunEnd(Run *run);

extern void RunRecordStart(Run *run);
extern void RunRecordFinish(Run *run, const char *status, const char *error);

/* From now on time counts for this stage. */
extern void RunStage(Run *run, Stage stage);

/* Say what is being done, in pg_stat_activity. */
extern void RunActivity(Run *run, const char *format,...) pg_attribute_printf(2, 3);

/* Tell a person who asked for it. */
extern void RunTell(Run *run, const char *format,...) pg_attribute_printf(2, 3);

extern void RunNote(Run *run, const char *note);

/* The rules in force (rules may be NULL), and a digest that tells them from others. Inside SPI. */
extern char *RulesDigest(MemoryContext context, Datum *rules);

/* Let no run begin until the end of the transaction; an error if there is one. */
extern void RunKeepOut(void);

/* Record how a source was read, and why so. */
extern void RunNoteRead(Run *run, int source_id, const char *how, const char *why);

/* Record that the source just recorded is left as it was last read, and why. */
extern void RunNoteProblem(Run *run, const char *problem);

/* An error in one line, with its hint, and what was being read then. In the current memory context. */
extern char *RunErrorText(const Run *run, const ErrorData *error);

#endif							/* CUSTSEG_RUN_H */
