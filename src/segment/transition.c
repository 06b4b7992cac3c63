/*
 * transition.c
 *		The record of labels that changed, each with its cause.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "segment/transition.h"

typedef enum Label
{
	LABEL_TIER,
	LABEL_LIFECYCLE,
	LABEL_QUADRANT,
	LABEL_ACTIVITY,
	LABEL_RECALL_CLASS,
} Label;
#define LABELS 5

static const char *const label_columns[LABELS] = {"tier", "lifecycle", "quadrant", "activity", "recall_class"};

void
TransitionsBegin(Changes *transitions)
{
	memset(transitions, 0, sizeof(*transitions));
	transitions->ncolumns = 5;
	transitions->columns[0].type = INT8OID;
	for (int c = 1; c < transitions->ncolumns; c++)
		transitions->columns[c].type = TEXTOID;
}

/* The name of a label's value, NULL when there is none. */
static const char *
LabelText(const Evaluation *evaluation, Label label)
{
	if (evaluation == NULL)
		return NULL;
	switch (label)
	{
		case LABEL_TIER:
			return evaluation->tier == NO_LABEL ? NULL : tier_names[evaluation->tier][0];
		case LABEL_LIFECYCLE:
			return lifecycle_names[evaluation->lifecycle][0];
		case LABEL_QUADRANT:
			return evaluation->quadrant == NO_LABEL ? NULL : quadrant_names[evaluation->quadrant][0];
		case LABEL_ACTIVITY:
			return activity_names[evaluation->activity][0];
		case LABEL_RECALL_CLASS:
			return evaluation->recall_class == NO_LABEL ? NULL : recall_class_names[evaluation->recall_class][0];
	}
	return NULL;
}

/*
 * A pass for a new calibration, setting or person also meets customers whose silence
 * came by time alone. Only data and time start episodes, so they must not be
 * swallowed by the pass: what the old clocks say for today is by time.
 */
static Cause
CauseOf(Label label, Cause cause, const Evaluation *was, const Evaluation *now, DateADT day)
{
	Lifecycle	by_time;

	if ((cause != CAUSE_CALIBRATION && cause != CAUSE_SETTING && cause != CAUSE_IDENTITY) || was == NULL || now == NULL ||
		was->next_eval_at == NO_DAY || was->next_eval_at > day)
		return cause;
	if (label == LABEL_TIER)
		return cause;
	if (label == LABEL_ACTIVITY || was->lifecycle == LIFECYCLE_PROSPECT)
		return CAUSE_TIME;

	by_time = day >= was->lost_at ? LIFECYCLE_LOST :
		day >= was->silent_at ? LIFECYCLE_SILENT :
		day >= was->follow_up_at ? LIFECYCLE_AT_RISK : was->lifecycle;
	return by_time != was->lifecycle && by_time == now->lifecycle ? CAUSE_TIME : cause;
}

void
NoteTransitions(StandingRun *run, Changes *transitions, int64 customer_id, Cause cause,
				const Evaluation *was, const Evaluation *now)
{
	if (cause == CAUSE_BASELINE)
		return;
	for (int label = 0; label < LABELS; label++)
	{
		const char *from = LabelText(was, label);
		const char *to = LabelText(now, label);
		const char *why;
		Datum		values[5];
		bool		nulls[5] = {0};

		/* The names are constants: the same name is the same pointer. */
		if (from == to)
			continue;
		why = cause_names[CauseOf(label, cause, was, now, run->now.day)];
		values[0] = Int64GetDatum(customer_id);
		values[1] = CStringGetTextDatum(label_columns[label]);
		values[2] = from ? CStringGetTextDatum(from) : (Datum) 0;
		nulls[2] = from == NULL;
		values[3] = to ? CStringGetTextDatum(to) : (Datum) 0;
		nulls[3] = to == NULL;
		values[4] = CStringGetTextDatum(why);
		AddChange(transitions, values, nulls);
	}
}

void
WriteTransitions(StandingRun *run, Changes *transitions)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[3] = {TIMESTAMPTZOID, DATEOID, INT8OID};
	Datum		values[3];

	if (transitions->n == 0)
		return;
	values[0] = TimestampTzGetDatum(run->now.as_of);
	values[1] = DateADTGetDatum(run->now.day);
	values[2] = Int64GetDatum(run->now.run_id);
	run->transitions +=
		WriteChanges(&plan,
					 "INSERT INTO custseg.transition"
					 " (customer_id, label, from_value, to_value, cause, at, changed_on, run_id)"
					 " SELECT u.customer_id, u.label, u.from_value, u.to_value, u.cause, $6, $7, $8"
					 " FROM unnest($1, $2, $3, $4, $5)"
					 " AS u (customer_id, label, from_value, to_value, cause)",
					 transitions, 3, types, values);
}
