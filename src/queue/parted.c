/*
 * parted.c
 *		What somebody asked for stays when a person is parted again.
 *
 * Suppressions are every account's own as soon as accounts are one person
 * (merge.c). A "do not contact" of the customer table is read where it stands, for
 * all accounts, as long as they are one person; once they are not it would hold
 * for the own one alone. So it becomes a suppression of the others then: nobody is
 * called because two accounts were parted.
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "common/guard.h"
#include "common/ids.h"
#include "common/spi.h"
#include "person/contact.h"
#include "playbook/suppress.h"
#include "queue/queue.h"

/* A customer, and which person that was, and is. */
typedef struct Account
{
	int64		customer_id;
	int64		was;
	int64		is;
} Account;

struct Parting
{
	int64	   *ids;
	int64	   *was;
	int			n;
};

Parting *
PartingBegin(const int64 *ids, int n)
{
	Parting    *parting = palloc0(sizeof(Parting));
	Oid			types[] = {INT8ARRAYOID};
	Datum		values[] = {IdArray(ids, n)};

	SpiRun("SELECT m.person_id, m.customer_id FROM custseg.person m WHERE m.person_id IN ("
		   " SELECT g.person_id FROM custseg.person g WHERE g.customer_id = ANY ($1)) ORDER BY 1, 2", 1, types, values, NULL);
	parting->n = (int) SPI_processed;
	parting->ids = palloc(Max(parting->n, 1) * sizeof(int64));
	parting->was = palloc(Max(parting->n, 1) * sizeof(int64));
	for (int i = 0; i < parting->n; i++)
	{
		parting->was[i] = SpiInt64(i, 1, 0);
		parting->ids[i] = SpiInt64(i, 2, 0);
	}
	SPI_freetuptable(SPI_tuptable);
	return parting;
}

/* The members of persons that are several now, person by person. */
static Account *
Parted(const Parting *parting, int *n)
{
	Oid			types[] = {INT8ARRAYOID, INT8ARRAYOID};
	Datum		values[] = {IdArray(parting->ids, parting->n), IdArray(parting->was, parting->n)};
	Account    *accounts;

	SpiRun("SELECT a.id, a.was, a.now FROM (SELECT a.*, min(a.now) OVER w AS first, max(a.now) OVER w AS last FROM ("
		   "  SELECT a.id, a.was, coalesce(g.person_id, a.id) AS now FROM unnest($1, $2) a (id, was)"
		   "  LEFT JOIN custseg.person g ON g.customer_id = a.id) a WINDOW w AS (PARTITION BY a.was)) a"
		   " WHERE a.first < a.last ORDER BY a.was, a.id", 2, types, values, NULL);
	*n = (int) SPI_processed;
	accounts = palloc(Max(*n, 1) * sizeof(Account));
	for (int i = 0; i < *n; i++)
		accounts[i] = (Account) {SpiInt64(i, 1, 0), SpiInt64(i, 2, 0), SpiInt64(i, 3, 0)};
	SPI_freetuptable(SPI_tuptable);
	return accounts;
}

static void
KeepOptOut(const Moment *now, int64 customer_id, int64 of)
{
	Suppression suppression = {
		.customer_id = customer_id,
		.forever = true,
		.reason = psprintf("customer %lld, who was one person with this one, must not be contacted", (long long) of),
		.by = ExtensionOwner(),
		.handle = no_handle,
	};

	(void) Suppress(&suppression, now->as_of);
}

void
PartingEnd(const Moment *now, const Parting *parting)
{
	Account    *accounts;
	Contact    *contacts;
	int64	   *ids;
	int			n;

	if (parting->n == 0 || !ContactsMapped())
		return;
	accounts = Parted(parting, &n);
	if (n == 0)
		return;
	ids = palloc(n * sizeof(int64));
	contacts = palloc(n * sizeof(Contact));
	for (int i = 0; i < n; i++)
		ids[i] = accounts[i].customer_id;
	ReadAccountContacts(n, ids, contacts);
	for (int i = 0; i < n; i++)
	{
		int			first = i;
		bool		done = contacts[i].do_not_contact;

		/* Those of the person that it was are neighbours. What holds for one holds for all who still are one with it. */
		while (first > 0 && accounts[first - 1].was == accounts[i].was)
			done |= accounts[--first].is == accounts[i].is && !contacts[first].do_not_contact;
		for (int j = first; !done && j < n && accounts[j].was == accounts[i].was; j++)
			if (contacts[j].do_not_contact && accounts[j].is != accounts[i].is)
			{
				KeepOptOut(now, accounts[i].customer_id, accounts[j].customer_id);
				done = true;
			}
	}
}
