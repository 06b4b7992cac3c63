/*
 * task.h
 *		Everything that happens to a task. Inside SPI, as the owner of the extension.
 */
#ifndef CUSTSEG_TASK_H
#define CUSTSEG_TASK_H

#include "postgres.h"

#include "common/changes.h"
#include "common/moment.h"
#include "datatype/timestamp.h"
#include "person/handle.h"
#include "utils/array.h"
#include "utils/uuid.h"

/* What a task is planned with: the columns of TasksPlan, in this order. */
enum
{
	PLAN_EPISODE_ID,
	PLAN_CUSTOMER_ID,
	PLAN_PLAYBOOK,
	PLAN_PRIORITY,
	PLAN_TASK_DAYS,
	PLAN_RETRY_DAYS,
	PLAN_MAX_ATTEMPTS,
	PLAN_REASON,
	PLAN_MESSAGE,
	PLAN_SLOT,
	PLAN_HANDLE,
	PLAN_COLUMNS
};

/* A portion of planned tasks with no rows yet. */
extern void TasksPlanBegin(Changes *tasks);

/* Plan them for a channel, whose lease and cost they take with them. */
extern void TasksPlan(const Changes *tasks, const char *channel, Datum lease, Datum cost, const Moment *now);

/* Give some the slots of a day. */
extern void TasksPlace(const int64 *ids, const int *slots, int n, DateADT day);

/* End the leases that are over, of all channels, and say how many; of one, in portions, and with the later tries that are due. */
extern uint64 TasksEndLeases(TimestampTz as_of);
extern void TasksWake(const char *channel, TimestampTz as_of);

/*
 * Withdraw those that nobody holds of episodes that are over: of customers or
 * (NULL) all, or after a transition. False when somebody had locked one.
 */
extern bool TasksWithdrawClosed(const Moment *now, ArrayType *customers);
extern void TasksWithdrawClosedAfter(const Moment *now, int64 after_transition);

/* Those of customers (NULL: all) who are one person with others are the person's: see EpisodesMerge, which comes first. */
extern void TasksMerge(const Moment *now, ArrayType *customers);

/* End those that nobody holds and that make no sense any more, though their episodes go on. */
extern void TasksEndSenseless(const Moment *now, ArrayType *customers);

/*
 * Take customers (bigint[]) who are forgotten out of their tasks. What came of
 * them stays; what nobody has reported on is withdrawn, and who holds one can
 * still say that the contact was made.
 */
extern void TasksForget(Datum customers);

/* Withdraw those of a playbook that nobody holds. The numbers of their episodes. */
extern int64 *TasksWithdrawPlaybook(const char *playbook, TimestampTz as_of, int *n);

/* Withdraw what else was planned for an episode whose customer was contacted. */
extern void TasksWithdrawContacted(int64 episode_id, TimestampTz as_of);

/* For claim(): the task is locked. */
extern void TaskDrop(int64 task_id, const char *outcome, TimestampTz as_of);
extern void TaskPutOffToTomorrow(int64 task_id, TimestampTz as_of);
extern void TaskNoteHandle(int64 task_id, const Handle *handle);

/* Not for a minute; those that are not open any more are left. */
extern void TasksPutOff(Datum ids, TimestampTz as_of);

/*
 * Claim those that are still open, and their episodes in contact. What was
 * claimed is the result: task_id, token, lease_until.
 */
extern void TasksTake(Datum ids, TimestampTz as_of, const char *worker, const char *role, Datum lease);

/* For the one who holds it: the task and its episode are locked. note and retry_after may be NULL. */
extern void TaskDone(int64 task_id, const char *outcome, const char *note, TimestampTz as_of);
extern TimestampTz TaskTryAgain(int64 task_id, const char *reason, const Interval *retry_after, TimestampTz as_of);
extern void TaskFailed(int64 task_id, const char *reason, TimestampTz as_of);
extern TimestampTz TaskExtend(int64 task_id, const Interval *lease, TimestampTz as_of);
extern void TaskRelease(int64 task_id);

#endif							/* CUSTSEG_TASK_H */
