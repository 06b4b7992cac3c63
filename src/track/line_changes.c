/*
 * line_changes.c
 *		Whose lines of orders changed.
 *
 * A customer's lines are others when a line comes, goes or changes, and when one
 * of the orders does. The triggers on the lines note the numbers of orders, which
 * the orders say the customers of; those on the orders note the customers, in the
 * log of the orders, from which we only copy: the orders are read after the lines
 * and take their entries off. What they take was seen here before, because in a
 * refresh that reads lines they take only what was there when it began
 * (Source.changes_until). An order that is gone needs no line to be known: its
 * own trigger named the customer.
 */
#include "postgres.h"

#include <errno.h>

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/uuid.h"

#include "common/ids.h"
#include "common/stream.h"
#include "person/identity.h"
#include "source/keys.h"
#include "source/lines.h"
#include "source/read.h"
#include "track/change_pending.h"
#include "track/line_changes.h"

struct LineChanges
{
	MemoryContext context;
	Source	   *source;
	bool		more;			/* entries of numbers of orders */
	bool		looked;			/* at the orders' log */
	ChangedCustomers of_orders; /* whom it names */
	int			next;			/* of these */
};

LineChanges *
LineChangesBegin(MemoryContext context, Source *source)
{
	LineChanges *changes = MemoryContextAllocZero(context, sizeof(LineChanges));

	changes->context = context;
	changes->source = source;
	changes->more = true;
	return changes;
}

/* Numbers of orders as an array that compares with the orders' column. Those that it cannot hold are of no order. */
static Datum
OrderArray(Oid column, const ChangedCustomers *numbers, Oid *type)
{
	Datum	   *values = palloc(Max(numbers->n, 1) * sizeof(Datum));
	Oid			element;
	KeyKind		kind;
	int			n = 0;
	int16		length;
	bool		byval;
	char		align;

	(void) KeyKindOf(column, &kind);
	element = kind == KEY_UUID ? UUIDOID : kind == KEY_TEXT ? TEXTOID : INT8OID;
	for (int i = 0; i < numbers->n; i++)
	{
		const char *number = numbers->keys[i];
		pg_uuid_t  *uuid = palloc(sizeof(pg_uuid_t));
		char	   *end;
		int64		value;

		if (kind == KEY_TEXT)
			values[n++] = CStringGetTextDatum(number);
		else if (kind == KEY_UUID)
		{
			if (KeyIsUuid(number, strlen(number), uuid))
				values[n++] = UUIDPGetDatum(uuid);
		}
		else
		{
			errno = 0;
			value = strtoll(number, &end, 10);
			if (end != number && *end == '\0' && errno == 0)
				values[n++] = Int64GetDatum(value);
		}
	}
	get_typlenbyvalalign(element, &length, &byval, &align);
	*type = get_array_type(element);
	return PointerGetDatum(construct_array(values, n, element, length, byval, align));
}

typedef struct Named
{
	ChangedCustomers *customers;
	int			size;
} Named;

static void
NamedRow(TupleTableSlot *slot, void *arg)
{
	Named	   *named = arg;
	ChangedCustomers *customers = named->customers;
	char	   *key;
	int64		id = 0;

	if (slot->tts_isnull[0])
		return;
	key = TextDatumGetCString(slot->tts_values[0]);
	if (customers->ids ? !KeyIsNumber(key, strlen(key), &id) : key[0] == '\0' || strlen(key) > KEY_MAX_LENGTH)
		return;
	if (customers->n == named->size)
	{
		named->size *= 2;
		if (customers->ids)
			customers->ids = repalloc_huge(customers->ids, named->size * sizeof(int64));
		else
			customers->keys = repalloc_huge(customers->keys, named->size * sizeof(char *));
	}
	if (customers->ids)
		customers->ids[customers->n++] = id;
	else
		customers->keys[customers->n++] = key;
}

/* The customers who have these orders now. */
static void
CustomersOf(const Source *source, const ChangedCustomers *numbers, ChangedCustomers *customers)
{
	Source		orders = *source->orders;
	Named		named = {customers, 1024};
	Oid			type;
	Datum		values[1];
	int			level;

	customers->n = 0;
	customers->ids = source->key_kind == KEY_NATIVE ? palloc(named.size * sizeof(int64)) : NULL;
	customers->keys = source->key_kind == KEY_NATIVE ? NULL : palloc(named.size * sizeof(char *));
	if (numbers->n == 0)
		return;
	values[0] = OrderArray(orders.type[COLUMN_ORDER_ID], numbers, &type);
	/* As whoever reads the lines. */
	orders.owner = source->owner;
	level = PlanBySortedIndexBegin();
	SourceQuery(&orders, OrderCustomersStatement(source), 1, &type, values, StreamTo(NamedRow, &named));
	PlanByIndexEnd(level);
	ChangedCustomersSort(customers);
}

static void
LookAtOrders(LineChanges *changes)
{
	MemoryContext old = MemoryContextSwitchTo(changes->context);

	ChangeLogPeek(changes->source->orders, &changes->of_orders);
	changes->looked = true;
	MemoryContextSwitchTo(old);
}

bool
LineChangesTake(LineChanges *changes, int most, ChangedCustomers *taken)
{
	const ChangedCustomers *of_orders = &changes->of_orders;

	/* Orders that nobody has any more name nobody. */
	while (changes->more)
	{
		ChangedCustomers numbers;

		changes->more = ChangeLogTakeOrders(changes->source, most, &numbers);
		CustomersOf(changes->source, &numbers, taken);
		if (taken->n > 0)
			return true;
	}
	if (!changes->looked)
		LookAtOrders(changes);
	taken->n = Min(most, of_orders->n - changes->next);
	taken->ids = of_orders->ids ? of_orders->ids + changes->next : NULL;
	taken->keys = of_orders->keys ? of_orders->keys + changes->next : NULL;
	changes->next += taken->n;
	return changes->next < of_orders->n;
}

void
LineChangesPending(Source *source, int n, const int64 *ids, bool *pending)
{
	bool	   *of_orders = palloc0(Max(n, 1) * sizeof(bool));
	char	  **keys = IdentityKeys(source, n, ids);
	ChangeSummary summary;
	ChangedCustomers numbers;
	ChangedCustomers customers;
	Source		lines = *source;

	ChangeLogPending(ChangeLogLook(list_make1(source->orders)), n, ids, of_orders);
	ChangeLogSummary(source, &summary);
	lines.key_kind = KEY_TEXT;
	ChangeLogPeek(&lines, &numbers);
	CustomersOf(source, &numbers, &customers);
	for (int i = 0; i < n; i++)
	{
		pending[i] |= of_orders[i] || summary.everything ||
			(customers.ids ? bsearch(&ids[i], customers.ids, customers.n, sizeof(int64), CompareIds) != NULL :
			 keys[i] && bsearch(&keys[i], customers.keys, customers.n, sizeof(char *), CompareKeyTexts) != NULL);
	}
}
