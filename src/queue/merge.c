/*
 * merge.c
 *		What recall and the queue have of customers who turn out to be one person.
 *
 * Their episodes and tasks become those of the person, with one of each at a
 * time; a control, or somebody who must not be contacted, speaks for all. What is
 * found to be so stays when they are parted again: nobody is called because two
 * accounts were.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"

#include "common/spi.h"
#include "playbook/suppress.h"
#include "queue/queue.h"
#include "queue/task.h"
#include "recall/arm.h"
#include "recall/episode.h"
#include "recall/recall.h"

bool
QueueMerge(const Moment *now, Datum customers)
{
	bool		all = SuppressAccounts(customers);

	RecallLock();
	ArmsMerge(customers);
	(void) EpisodesMerge(now, DatumGetArrayTypeP(customers));
	TasksMerge(now, DatumGetArrayTypeP(customers));
	return all;
}
