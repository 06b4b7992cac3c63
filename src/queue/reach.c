/*
 * reach.c
 *		What can be said to a customer, and whether they can be reached.
 */
#include "postgres.h"

#include "common/spi.h"
#include "queue/reach.h"

void
FactsFromRow(uint64 row, int first, CustomerFacts *facts)
{
	facts->orders = SpiInt64(row, first, 0);
	facts->spend = SpiText(row, first + 1);
	facts->last_order = SpiText(row, first + 2);
	facts->days_silent = (int) SpiInt64(row, first + 3, 0);
	facts->silent_at = SpiText(row, first + 4);
	facts->limit_days = (int) SpiInt64(row, first + 5, 0);
	facts->tier = SpiText(row, first + 6);
}

const char *
Unreachable(const Contact *contact, bool by_email, bool suppressed, bool has_template, bool same_suppressed)
{
	const char *handle = by_email ? contact->email : contact->phone;

	if (suppressed)
		return "suppressed";
	if (!has_template)
		return "no_template";
	if (!contact->found)
		return "no_contact";
	if (contact->do_not_contact)
		return "opted_out";
	if (same_suppressed)
		return "suppressed";
	if (handle == NULL || handle[strspn(handle, " \t")] == '\0')
		return "no_handle";
	return NULL;
}
