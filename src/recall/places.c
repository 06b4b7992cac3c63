/*
 * places.c
 *		The places that a channel has on a day.
 *
 * Capacity is not a number that is counted down but places that are taken: a
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
#include "recall/places.h"

/* Tasks of earlier days that are still to be done today. */
#define LEFT_OVER \
	"custseg.task t WHERE t.state IN ('open', 'claimed') AND t.slot_day < $1" \
	" AND custseg.day_of(t.due_at, (SELECT time_zone FROM custseg.settings)) <= $1"

static void
TakenPlace(TupleTableSlot *slot, void *arg)
{
	Places	   *places = arg;

	if (places->ntaken == places->room)
	{
		places->room = Max(places->room * 2, 256);
		places->taken = places->taken ? repalloc_huge(places->taken, places->room * sizeof(int)) :
			palloc_extended(places->room * sizeof(int), MCXT_ALLOC_HUGE);
	}
	places->taken[places->ntaken++] = DatumGetInt32(slot->tts_values[0]);
}

void
ReadPlaces(const char *channel, int capacity, DateADT day, Places *places)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {TEXTOID, DATEOID};
	Datum		values[] = {CStringGetTextDatum(channel), DateADTGetDatum(day)};

	memset(places, 0, sizeof(*places));
	places->capacity = capacity;
	places->next = 1;
	SpiKeep(&plan, "SELECT slot FROM custseg.task WHERE channel = $1 AND slot_day = $2 AND slot IS NOT NULL ORDER BY slot",
			lengthof(types), types);
	SpiStream(plan, lengthof(types), types, values, TakenPlace, places);
}

int
NextPlace(Places *places)
{
	for (; places->next <= places->capacity; places->next++)
	{
		while (places->at < places->ntaken && places->taken[places->at] < places->next)
			places->at++;
		if (places->at == places->ntaken || places->taken[places->at] != places->next)
			return places->next++;
	}
	return 0;
}

/* Give some tasks the places of today. */
static void
Place(const Datum *tasks, const int *slots, int n, DateADT day)
{
	Oid			types[] = {INT8ARRAYOID, DATEOID, INT4ARRAYOID};
	Datum		values[3];
	Datum	   *elements = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		elements[i] = Int32GetDatum(slots[i]);
	values[0] = PointerGetDatum(construct_array((Datum *) tasks, n, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	values[1] = DateADTGetDatum(day);
	values[2] = PointerGetDatum(construct_array(elements, n, INT4OID, sizeof(int32), true, TYPALIGN_INT));
	SpiRun("UPDATE custseg.task u SET slot_day = $2, slot = p.slot FROM unnest($1, $3) p (task_id, slot)"
		   " WHERE u.task_id = p.task_id", 3, types, values, NULL);
}

void
CarryOver(DateADT day)
{
	Oid			types[] = {DATEOID};
	Datum		values[] = {DateADTGetDatum(day)};
	uint64		n;
	Datum	   *tasks;
	char	  **channels;
	int		   *capacities;
	int		   *slots;

	n = SpiRun("SELECT t.task_id, t.channel,"
			   " (SELECT c.daily_capacity FROM custseg.channel c WHERE c.channel = t.channel) FROM " LEFT_OVER
			   " ORDER BY t.channel, t.priority DESC, t.task_id FOR UPDATE SKIP LOCKED",
			   1, types, values, NULL);
	tasks = palloc_extended(sizeof(Datum) * Max(n, 1), MCXT_ALLOC_HUGE);
	channels = palloc_extended(sizeof(char *) * Max(n, 1), MCXT_ALLOC_HUGE);
	capacities = palloc_extended(sizeof(int) * Max(n, 1), MCXT_ALLOC_HUGE);
	slots = palloc_extended(sizeof(int) * Max(n, 1), MCXT_ALLOC_HUGE);
	for (uint64 i = 0; i < n; i++)
	{
		tasks[i] = Int64GetDatum(SpiInt64(i, 1, 0));
		channels[i] = SpiText(i, 2);
		capacities[i] = (int) SpiInt64(i, 3, 0);
	}
	SPI_freetuptable(SPI_tuptable);

	for (uint64 first = 0, end; first < n; first = end)
	{
		Places		places;
		int			nslots = 0;

		for (end = first + 1; end < n && strcmp(channels[end], channels[first]) == 0; end++)
			;
		ReadPlaces(channels[first], capacities[first], day, &places);
		while (first + nslots < end && (slots[nslots] = NextPlace(&places)) != 0)
			nslots++;
		if (nslots > 0)
			Place(&tasks[first], slots, nslots, day);
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
