/*
 * handle.c
 *		Phone numbers and e-mail addresses, as far as we keep them: hashes.
 *
 * People have several accounts. Those with the same phone number or e-mail
 * address are one person when it comes to being left alone: an opt-out of one
 * holds for all, and a day brings one of them a call. The number itself stays in
 * the shop's table; a hash with the salt of the arms is enough to tell.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"

#include "common/ids.h"
#include "common/spi.h"
#include "person/handle.h"

static void
DrawSalt(void)
{
	Oid			types[] = {INT8OID};
	Datum		values[1];
	int64		salt;

	SpiRun("SELECT FROM custseg.arm_salt", 0, NULL, NULL, NULL);
	if (SPI_processed > 0)
		return;
	if (!pg_strong_random(&salt, sizeof(salt)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not draw a random number")));
	values[0] = Int64GetDatum(salt);
	SpiRun("INSERT INTO custseg.arm_salt (salt) VALUES ($1) ON CONFLICT DO NOTHING", 1, types, values, NULL);
}

uint64
HandleSalt(void)
{
	static SPIPlanPtr kept = NULL;
	uint64		salt;

	for (;;)
	{
		SpiRunPlan(SpiKeep(&kept, "SELECT salt FROM custseg.arm_salt", 0, NULL), NULL, NULL);
		if (SPI_processed > 0)
			break;
		DrawSalt();
	}
	salt = (uint64) SpiInt64(0, 1, 0);
	SPI_freetuptable(SPI_tuptable);
	return salt;
}

int64
HandleHash(uint64 salt, const Contact *contact, bool by_email)
{
	const char *handle = by_email ? contact->email : contact->phone;
	StringInfoData plain;
	int64		hash;

	if (handle == NULL)
		return NO_HANDLE;
	initStringInfo(&plain);
	for (const char *c = handle; *c; c++)
	{
		unsigned char letter = *c;

		if (by_email ? !isspace(letter) : isdigit(letter))
			appendStringInfoChar(&plain, by_email ? pg_ascii_tolower(letter) : letter);
	}
	/* A number without a digit is taken as it stands. */
	if (plain.len == 0)
		appendStringInfoString(&plain, handle);
	/* +49 30 1 and 0049 30 1 */
	if (!by_email && plain.len > 2 && strncmp(plain.data, "00", 2) == 0)
	{
		memmove(plain.data, plain.data + 2, plain.len - 1);
		plain.len -= 2;
	}
	hash = (int64) hash_bytes_extended((unsigned char *) plain.data, plain.len, salt + by_email);
	pfree(plain.data);
	return hash == NO_HANDLE ? 1 : hash;
}

typedef struct Handles
{
	OptOuts		found;
	int			room;
	uint64		salt;
} Handles;

static void
NoteOptOut(const Contact *contact, void *arg)
{
	Handles    *handles = arg;

	if (handles->found.n + 2 > handles->room)
	{
		handles->room = handles->found.n + handles->found.n / 2 + 1024;
		handles->found.handles = handles->found.handles ?
			repalloc_huge(handles->found.handles, sizeof(int64) * handles->room) :
			palloc(sizeof(int64) * handles->room);
	}
	for (int by_email = 0; by_email <= 1; by_email++)
	{
		int64		handle = HandleHash(handles->salt, contact, by_email);

		if (handle != NO_HANDLE)
			handles->found.handles[handles->found.n++] = handle;
	}
}

OptOuts
OptOutHandles(void)
{
	Handles		handles = {.salt = HandleSalt()};

	ReadOptOuts(NoteOptOut, &handles);
	handles.found.n = SortIds(handles.found.handles, handles.found.n);
	return handles.found;
}

bool
IsOptOut(const OptOuts *opt_outs, int64 handle)
{
	return opt_outs->n > 0 &&
		bsearch(&handle, opt_outs->handles, opt_outs->n, sizeof(int64), CompareIds) != NULL;
}
