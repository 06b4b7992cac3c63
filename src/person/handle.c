/*
 * handle.c
 *		Phone numbers and e-mail addresses, as far as we keep them: hashes.
 *
 * People have several accounts. Those with the same phone number or e-mail
 * address are one person when it comes to being left alone: an opt-out of one
 * holds for all, and a day brings one of them a call. By a rule they are one
 * person in everything. The number itself stays in the shop's table; a hash is
 * enough to tell. There are few numbers, so whoever has the hashes and their
 * salt can try all of them: the salt is never shown to anybody who may only look.
 *
 * How a handle is written differs from one table to the next, so it is made plain
 * first, in one way for all uses. Nothing is guessed: a number with the code of
 * its country and the same without are two.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "common/guard.h"
#include "common/spi.h"
#include "person/handle.h"

PG_FUNCTION_INFO_V1(custseg_handle_hash);

const Handle no_handle = {{0}};

/* -------------------------------------------------------------------- salt */

static void
DrawSalt(void)
{
	Oid			types[] = {INT8OID, UUIDOID};
	Datum		values[2];
	int64		salt;
	pg_uuid_t	handle_salt;

	SpiRun("SELECT FROM custseg.arm_salt", 0, NULL, NULL, NULL);
	if (SPI_processed > 0)
		return;
	if (!pg_strong_random(&salt, sizeof(salt)) || !pg_strong_random(handle_salt.data, UUID_LEN))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not draw a random number"),
				 errhint("Try again; the server's source of random numbers did not answer.")));
	values[0] = Int64GetDatum(salt);
	values[1] = UUIDPGetDatum(&handle_salt);
	SpiRun("INSERT INTO custseg.arm_salt (salt, handle_salt) VALUES ($1, $2) ON CONFLICT DO NOTHING", 2, types, values, NULL);
}

HandleSalt
ReadHandleSalt(void)
{
	static SPIPlanPtr kept = NULL;
	HandleSalt	salt;
	bool		isnull;

	for (;;)
	{
		SpiRunPlan(SpiKeep(&kept, "SELECT handle_salt FROM custseg.arm_salt", 0, NULL), NULL, NULL);
		if (SPI_processed > 0)
			break;
		DrawSalt();
	}
	memcpy(salt.bytes, DatumGetUUIDP(SpiField(0, 1, &isnull)), sizeof(salt.bytes));
	SPI_freetuptable(SPI_tuptable);
	return salt;
}

/* ------------------------------------------------------------- plain handles */

/* The next letter, of UTF-8; of a database without an encoding the next byte. */
static pg_wchar
NextLetter(const unsigned char **p, const unsigned char *end)
{
	int			len = GetDatabaseEncoding() == PG_SQL_ASCII ? 1 : pg_utf_mblen(*p);
	pg_wchar	letter = **p;

	if (len > end - *p)
		len = 1;
	if (len > 1)
		letter = utf8_to_unicode(*p);
	*p += len;
	return letter;
}

/* Wide letters, as they come from keyboards for Chinese, are the narrow ones. */
static pg_wchar
Narrow(pg_wchar letter)
{
	return letter >= 0xFF01 && letter <= 0xFF5E ? letter - 0xFEE0 : letter;
}

/* Space, and what nobody sees. */
static bool
IsBlank(pg_wchar letter)
{
	return (letter >= '\t' && letter <= '\r') || letter == ' ' || letter == 0xA0 || letter == 0x3000 ||
		(letter >= 0x2000 && letter <= 0x200F) || letter == 0x202F || letter == 0x205F || letter == 0x2060 || letter == 0xFEFF;
}

static void
AppendLetter(StringInfo plain, pg_wchar letter)
{
	unsigned char bytes[MAX_UNICODE_EQUIVALENT_STRING] = {0};

	if (letter < 0x80 || GetDatabaseEncoding() == PG_SQL_ASCII)
	{
		appendStringInfoChar(plain, (char) letter);
		return;
	}
	unicode_to_utf8(letter, bytes);
	appendBinaryStringInfo(plain, (char *) bytes, pg_utf_mblen(bytes));
}

/* The digits; of +49 30 1 and 0049 30 1 the same. False where there are none but zeros. */
static bool
PlainPhone(StringInfo plain, const unsigned char *p, const unsigned char *end)
{
	while (p < end)
	{
		pg_wchar	letter = Narrow(NextLetter(&p, end));

		if (letter >= '0' && letter <= '9')
			appendStringInfoChar(plain, (char) letter);
	}
	if (strncmp(plain->data, "00", 2) == 0)
	{
		memmove(plain->data, plain->data + 2, plain->len - 1);
		plain->len -= 2;
	}
	return plain->data[strspn(plain->data, "0")] != '\0';
}

/* Small letters without blanks. False where it does not name somebody somewhere. */
static bool
PlainEmail(StringInfo plain, const unsigned char *p, const unsigned char *end)
{
	char	   *at;

	while (p < end)
	{
		pg_wchar	letter = Narrow(NextLetter(&p, end));

		if (!IsBlank(letter))
			AppendLetter(plain, letter < 0x80 ? pg_ascii_tolower((unsigned char) letter) : letter);
	}
	at = strrchr(plain->data, '@');
	return at != NULL && at > plain->data && at[1] != '\0';
}

/* What is between the blanks around it. */
static bool
PlainOther(StringInfo plain, const unsigned char *p, const unsigned char *end)
{
	int			filled = 0;

	while (p < end)
	{
		pg_wchar	letter = NextLetter(&p, end);

		if (plain->len == 0 && IsBlank(letter))
			continue;
		AppendLetter(plain, letter);
		if (!IsBlank(letter))
			filled = plain->len;
	}
	plain->len = filled;
	plain->data[filled] = '\0';
	return filled > 0;
}

/* ------------------------------------------------------------------ hashes */

/* A database without an encoding may hold any bytes, and has only them. */
static char *
InUtf8(const char *text)
{
	return GetDatabaseEncoding() == PG_SQL_ASCII ? unconstify(char *, text) : pg_server_to_any(text, strlen(text), PG_UTF8);
}

static Handle
Hashed(const HandleSalt *salt, const char *medium, const char *plain, int len)
{
	pg_cryptohash_ctx *context = pg_cryptohash_create(PG_SHA256);
	uint8		digest[PG_SHA256_DIGEST_LENGTH];
	Handle		hash;

	/* The zero behind the medium keeps one apart from the other. */
	if (context == NULL || pg_cryptohash_init(context) < 0 ||
		pg_cryptohash_update(context, salt->bytes, sizeof(salt->bytes)) < 0 ||
		pg_cryptohash_update(context, (const uint8 *) medium, strlen(medium) + 1) < 0 ||
		pg_cryptohash_update(context, (const uint8 *) plain, len) < 0 ||
		pg_cryptohash_final(context, digest, sizeof(digest)) < 0)
		elog(ERROR, "could not hash a handle");
	pg_cryptohash_free(context);
	memcpy(hash.data, digest, UUID_LEN);
	return hash;
}

Handle
KeyHash(const HandleSalt *salt, const char *namespace, const char *key)
{
	char	   *medium = psprintf("key of %s", namespace);
	char	   *utf8 = InUtf8(key);
	Handle		hash = Hashed(salt, medium, utf8, strlen(utf8));

	pfree(medium);
	if (utf8 != key)
		pfree(utf8);
	return hash;
}

Handle
HandleHash(const HandleSalt *salt, const char *medium, const char *handle)
{
	StringInfoData plain;
	Handle		hash = no_handle;
	char	   *utf8;
	const unsigned char *begin;
	const unsigned char *end;
	bool		found;

	if (handle == NULL)
		return no_handle;
	utf8 = InUtf8(handle);
	begin = (const unsigned char *) utf8;
	end = begin + strlen(utf8);
	initStringInfo(&plain);
	if (strcmp(medium, MEDIUM_PHONE) == 0)
		found = PlainPhone(&plain, begin, end);
	else if (strcmp(medium, MEDIUM_EMAIL) == 0)
		found = PlainEmail(&plain, begin, end);
	else
		found = PlainOther(&plain, begin, end);
	if (found)
		hash = Hashed(salt, medium, plain.data, plain.len);
	pfree(plain.data);
	if (utf8 != handle)
		pfree(utf8);
	return hash;
}

Handle
ContactHandle(const HandleSalt *salt, const Contact *contact, bool by_email)
{
	return by_email ? HandleHash(salt, MEDIUM_EMAIL, contact->email) : HandleHash(salt, MEDIUM_PHONE, contact->phone);
}

Datum
custseg_handle_hash(PG_FUNCTION_ARGS)
{
	char	   *medium = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *handle = text_to_cstring(PG_GETARG_TEXT_PP(1));
	HandleSalt	salt;
	Handle	   *hash = palloc(sizeof(Handle));
	Guard		guard;

	OwnerBegin(&guard);
	salt = ReadHandleSalt();
	OwnerEnd(&guard);
	*hash = HandleHash(&salt, medium, handle);
	if (!IsHandle(hash))
		PG_RETURN_NULL();
	PG_RETURN_UUID_P(hash);
}

int
CompareHandles(const void *a, const void *b)
{
	return memcmp(((const Handle *) a)->data, ((const Handle *) b)->data, UUID_LEN);
}

Datum
HandleArray(const Handle *handles, int n)
{
	Datum	   *values = palloc_extended(Max(n, 1) * sizeof(Datum), MCXT_ALLOC_HUGE);
	bool	   *nulls = palloc_extended(Max(n, 1) * sizeof(bool), MCXT_ALLOC_HUGE);
	int			lower = 1;

	for (int i = 0; i < n; i++)
	{
		values[i] = UUIDPGetDatum(&handles[i]);
		nulls[i] = !IsHandle(&handles[i]);
	}
	return PointerGetDatum(construct_md_array(values, nulls, n > 0 ? 1 : 0, &n, &lower, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
}

Handle
SpiHandle(uint64 row, int column)
{
	bool		isnull;
	Datum		value = SpiField(row, column, &isnull);

	return isnull ? no_handle : *DatumGetUUIDP(value);
}

/* ---------------------------------------------------------------- opt-outs */

typedef struct Handles
{
	OptOuts		found;
	int			room;
	HandleSalt	salt;
} Handles;

static void
NoteOptOut(const Contact *contact, void *arg)
{
	Handles    *handles = arg;

	if (handles->found.n + 2 > handles->room)
	{
		handles->room = handles->found.n + handles->found.n / 2 + 1024;
		handles->found.handles = handles->found.handles ?
			repalloc_huge(handles->found.handles, sizeof(Handle) * handles->room) :
			palloc(sizeof(Handle) * handles->room);
	}
	for (int by_email = 0; by_email <= 1; by_email++)
	{
		Handle		handle = ContactHandle(&handles->salt, contact, by_email);

		if (IsHandle(&handle))
			handles->found.handles[handles->found.n++] = handle;
	}
}

OptOuts
OptOutHandles(void)
{
	Handles		handles = {.salt = ReadHandleSalt()};
	OptOuts    *found = &handles.found;
	int			kept = 0;

	ReadOptOuts(NoteOptOut, &handles);
	if (found->n > 1)
		qsort(found->handles, found->n, sizeof(Handle), CompareHandles);
	for (int i = 0; i < found->n; i++)
		if (kept == 0 || !SameHandle(&found->handles[kept - 1], &found->handles[i]))
			found->handles[kept++] = found->handles[i];
	found->n = kept;
	return *found;
}

bool
IsOptOut(const OptOuts *opt_outs, const Handle *handle)
{
	return opt_outs->n > 0 &&
		bsearch(handle, opt_outs->handles, opt_outs->n, sizeof(Handle), CompareHandles) != NULL;
}
