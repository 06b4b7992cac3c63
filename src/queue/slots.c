/*
 * slots.c
 *		The slots that a channel has on a day.
 *
 * Capacity is not a number that is counted down but slots that are taken: a
 * task holds (channel, day, slot), and that is unique. So a second plan on the
 * same day can only fill what is free, a shop that can make forty calls gets
 * forty however often it refreshes, and nothing is locked that a claimer
 * wants.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "common/spi.h"
#include "common/stream.h"
#include "playbook/channel.h"
#include "queue/slots.h"
#include "queue/task.h"

/* Tasks of earlier days that are still to be done today. */
#define LEFT_OVER \
	"custseg.task t WHERE t.state IN ('open', 'claimed') AND t.slot_day < $1" \
	" AND custseg.day_of(t.due_at, (SELECT time_zone FROM custseg.settings)) <= $1"

static void
TakenSlot(TupleTableSlot *slot, void *arg)
{
	Slots	   *slots = arg;

	if (slots->ntaken == slots->room)
	{
		slots->room = Max(slots->room * 2, 256);
		slots->taken = slots->taken ? repalloc_huge(slots->taken, slots->room * sizeof(int)) :
			palloc_extended(slots->room * sizeof(int), MCXT_ALLOC_HUGE);
	}
	slots->taken[slots->ntaken++] = DatumGetInt32(slot->tts_values[0]);
}

void
ReadSlots(const char *channel, int capacity, DateADT day, Slots *slots)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {TEXTOID, DATEOID};
	Datum		values[] = {CStringGetTextDatum(channel), DateADTGetDatum(day)};

	memset(slots, 0, sizeof(*slots));
	slots->capacity = capacity;
	slots->next = 1;
	SpiKeep(&plan, "SELECT slot FROM custseg.task WHERE channel = $1 AND slot_day = $2 AND slot IS NOT NULL ORDER BY slot",
			lengthof(types), types);
	SpiStream(plan, lengthof(types), types, values, TakenSlot, slots);
}

int
NextSlot(Slots *slots)
{
	for (; slots->next <= slots->capacity; slots->next++)
	{
		while (slots->at < slots->ntaken && slots->taken[slots->at] < slots->next)
			slots->at++;
		if (slots->at == slots->ntaken || slots->taken[slots->at] != slots->next)
			return slots->next++;
	}
	return 0;
}

void
CarryOver(DateADT day)
{
	Oid			types[] = {DATEOID};
	Datum		values[] = {DateADTGetDatum(day)};
	uint64		n;
	int64	   *tasks;
	char	  **channels;
	int		   *given;

	n = SpiRun("SELECT t.task_id, t.channel FROM " LEFT_OVER
			   " ORDER BY t.channel, t.priority DESC, t.task_id FOR UPDATE SKIP LOCKED",
			   1, types, values, NULL);
	tasks = palloc_extended(sizeof(int64) * Max(n, 1), MCXT_ALLOC_HUGE);
	channels = palloc_extended(sizeof(char *) * Max(n, 1), MCXT_ALLOC_HUGE);
	given = palloc_extended(sizeof(int) * Max(n, 1), MCXT_ALLOC_HUGE);
	for (uint64 i = 0; i < n; i++)
	{
		tasks[i] = SpiInt64(i, 1, 0);
		channels[i] = SpiText(i, 2);
	}
	SPI_freetuptable(SPI_tuptable);

	for (uint64 first = 0, end; first < n; first = end)
	{
		Slots		slots;
		Channel		channel = {0};
		int			n_given = 0;

		for (end = first + 1; end < n && strcmp(channels[end], channels[first]) == 0; end++)
			;
		/* One that was dropped has no slots. */
		(void) ReadChannel(channels[first], true, &channel);
		ReadSlots(channels[first], channel.capacity, day, &slots);
		while (first + n_given < end && (given[n_given] = NextSlot(&slots)) != 0)
			n_given++;
		if (n_given > 0)
			TasksPlace(&tasks[first], given, n_given, day);
	}
}

int64
CountLeftOver(const char *channel, DateADT day)
{
	Oid			types[] = {DATEOID, TEXTOID};
	Datum		values[] = {DateADTGetDatum(day), CStringGetTextDatum(channel)};
	int64		count;

	SpiRun("SELECT count(*) FROM " LEFT_OVER " AND t.channel = $2", 2, types, values, NULL);
	count = SpiInt64(0, 1, 0);
	SPI_freetuptable(SPI_tuptable);
	return count;
}
