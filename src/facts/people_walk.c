/*
 * people_walk.c
 *		A walk along what a source says of people and what is stored of them.
 *
 * It tells who is new, who differs and who is gone. A digest of all that is said
 * of a person stands beside it, so that nobody's values are looked at who is as
 * they were.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

#include "common/compat.h"
#include "facts/people_walk.h"

static bool
SameJson(Datum stored, const char *json)
{
	struct varlena *old = PG_DETOAST_DATUM_PACKED(stored);
	struct varlena *new = (struct varlena *) DatumGetPointer(DirectFunctionCall1(jsonb_in, CStringGetDatum(json)));

	return VARSIZE_ANY_EXHDR(old) == VARSIZE_ANY_EXHDR(new) &&
		memcmp(VARDATA_ANY(old), VARDATA_ANY(new), VARSIZE_ANY_EXHDR(old)) == 0;
}

static void
Show(const PeopleWalkAlong *walk, Person *person)
{
	if (person->attributes == NULL)
		PersonShow(walk->reader, person);
}

static bool
IsAsStored(const PeopleWalkAlong *walk, Person *person, const StoredPerson *stored)
{
	if (person->digest != stored->digest)
		return false;
	if (!walk->full)
		return true;
	Show(walk, person);
	return person->registered_on == stored->registered_on && SameJson(stored->attributes, person->attributes);
}

void
PeopleWalk(const PeopleWalkAlong *walk)
{
	Person	   *person = walk->next(walk->from);
	const StoredPerson *stored = walk->stored(walk->beside);

	while (person || stored)
	{
		MemoryContext old = MemoryContextSwitchTo(walk->row);

		CHECK_FOR_INTERRUPTS();
		/* Who has no number yet comes last, and is not stored. */
		if (stored && (person == NULL || person->customer_id == 0 || stored->customer_id < person->customer_id))
		{
			Person		gone = {.customer_id = stored->customer_id,.registered_on = DATEVAL_NOBEGIN,.stored = true};

			walk->differs(&gone, walk->to);
			MemoryContextSwitchTo(old);
			stored = walk->stored(walk->beside);
		}
		else
		{
			person->stored = stored && stored->customer_id == person->customer_id;
			/* Where there are keys, that was asked when they were looked up. */
			if (!person->stored && person->key == NULL && walk->reader && PersonIsForgotten(walk->reader, person))
				 /* left out */ ;
			else if (!person->stored || !IsAsStored(walk, person, stored))
			{
				Show(walk, person);
				walk->differs(person, walk->to);
			}
			MemoryContextSwitchTo(old);
			if (person->stored)
				stored = walk->stored(walk->beside);
			person = walk->next(walk->from);
		}
		MemoryContextReset(walk->row);
	}
}
