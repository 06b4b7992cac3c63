/*
 * switch.c
 *		Switching playbooks on and off.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "common/guard.h"
#include "common/input.h"
#include "common/settings.h"
#include "common/spi.h"
#include "common/words.h"
#include "playbook/playbook.h"
#include "queue/queue.h"
#include "queue/task.h"
#include "recall/episode.h"
#include "recall/recall.h"

static Datum
EnablePlaybook(FunctionCallInfo fcinfo, int first, TimestampTz as_of)
{
	char	   *playbook = ArgText(fcinfo, first, "playbook");
	bool		force = !PG_ARGISNULL(first + 1) && PG_GETARG_BOOL(first + 1);
	MemoryContext caller = CurrentMemoryContext;
	Oid			types[] = {TEXTOID};
	Datum		values[] = {CStringGetTextDatum(playbook)};
	ShopSettings *settings;
	Moment		now;
	int64		episodes,
				controls,
				tasks;
	Playbook	read;
	text	   *result;
	Guard		guard;

	OwnerBegin(&guard);
	RecallLock();
	settings = ReadShopSettings();
	now = MomentOf(as_of);

	(void) ReadPlaybook(playbook, false, &read);
	if (read.enabled)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("playbook \"%s\" is enabled already", playbook)));
	if (!read.tried && !force)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("playbook \"%s\" has not been looked at yet", playbook),
				 errhint("See with SELECT custseg.dry_run(%s) what it would do, or pass force => true.",
						 quote_literal_cstr(playbook))));

	PlaybookNote(playbook, "enabled", BoolGetDatum(true), BOOLOID);
	PlaybookNote(playbook, "enabled_at", TimestampTzGetDatum(as_of), TIMESTAMPTZOID);
	OpenBacklog(playbook, &now, &episodes, &controls);
	QueuePlanAll(&now);

	SpiRun("SELECT count(*) FROM custseg.task WHERE playbook = $1 AND state IN ('open', 'claimed')",
		   1, types, values, NULL);
	tasks = SpiInt64(0, 1, 0);
	MemoryContextSwitchTo(caller);
	result = cstring_to_text(psprintf(Words(settings->chinese,
											"playbook %s is on: %lld episodes opened from the backlog, %lld of them controls; %lld tasks to do",
											"方案%s已启用：从积压中开启%lld个沉默周期，其中对照组%lld个；现有%lld个待办任务"),
									  playbook, (long long) episodes, (long long) controls, (long long) tasks));
	OwnerEnd(&guard);
	PG_RETURN_TEXT_P(result);
}

static Datum
DisablePlaybook(FunctionCallInfo fcinfo, int first, TimestampTz as_of)
{
	char	   *playbook = ArgText(fcinfo, first, "playbook");
	MemoryContext caller = CurrentMemoryContext;
	int64	   *episodes;
	int			tasks;
	bool		chinese;
	Playbook	read;
	text	   *result;
	Guard		guard;

	OwnerBegin(&guard);
	RecallLock();
	chinese = ReadShopSettings()->chinese;
	(void) ReadPlaybook(playbook, false, &read);
	if (!read.enabled)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("playbook \"%s\" is not enabled", playbook)));

	PlaybookNote(playbook, "enabled", BoolGetDatum(false), BOOLOID);
	TasksEndLeases(as_of);

	/*
	 * A task that a worker is just claiming is seen by claim() or the next
	 * plan, and so is an episode that one is just reporting on.
	 */
	episodes = TasksWithdrawPlaybook(playbook, as_of, &tasks);
	EpisodesDisabled(episodes, tasks);
	MemoryContextSwitchTo(caller);
	result = cstring_to_text(psprintf(Words(chinese,
											"playbook %s is off: %d tasks nobody had claimed withdrawn",
											"方案%s已停用：撤回%d个尚未领取的任务"),
									  playbook, tasks));
	OwnerEnd(&guard);
	PG_RETURN_TEXT_P(result);
}

CLOCK_AND_REPLAY(enable, EnablePlaybook)
CLOCK_AND_REPLAY(disable, DisablePlaybook)
