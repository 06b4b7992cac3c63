/*
 * attribute.c
 *		What a shop says of a person, packed while it is sorted and shown as JSON.
 *
 * A million people are read to find that nobody changed. So a row's attributes
 * are packed as the bytes they are, compared and hashed as such, and turned into
 * JSON only where they are to be stored. An attribute is its length and its
 * bytes, and NULL is a length below zero. An enum's value is its label, since
 * its number means another label after a rename or a restore.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/float.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "common/compat.h"
#include "facts/attribute.h"

#define NO_VALUE	(-1)

static void
PutBytes(StringInfo packed, const void *bytes, int32 len)
{
	appendBinaryStringInfo(packed, (const char *) &len, sizeof(len));
	appendBinaryStringInfo(packed, bytes, len);
}

static void
PutNull(StringInfo packed)
{
	int32		len = NO_VALUE;

	appendBinaryStringInfo(packed, (const char *) &len, sizeof(len));
}

static void
PutEnum(StringInfo packed, Oid label)
{
	HeapTuple	tuple = SearchSysCache1(ENUMOID, ObjectIdGetDatum(label));
	Form_pg_enum form;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("an enum has the value %u, which has no label", label),
				 errhint("Refresh again.")));
	form = (Form_pg_enum) GETSTRUCT(tuple);
	PutBytes(packed, NameStr(form->enumlabel), strlen(NameStr(form->enumlabel)));
	ReleaseSysCache(tuple);
}

/* False where it is too long. */
static bool
PutText(StringInfo packed, Datum value, bool padded)
{
	struct varlena *text = PG_DETOAST_DATUM_PACKED(value);
	const char *bytes = VARDATA_ANY(text);
	int			len = VARSIZE_ANY_EXHDR(text);
	bool		fits;

	while (padded && len > 0 && bytes[len - 1] == ' ')
		len--;
	fits = len <= ATTRIBUTE_MAX_LENGTH;
	if (fits)
		PutBytes(packed, bytes, len);
	else
		PutNull(packed);
	if ((Pointer) text != DatumGetPointer(value))
		pfree(text);
	return fits;
}

static void
PutNumeric(StringInfo packed, Datum value)
{
	struct varlena *number = PG_DETOAST_DATUM_PACKED(value);

	PutBytes(packed, VARDATA_ANY(number), VARSIZE_ANY_EXHDR(number));
	if ((Pointer) number != DatumGetPointer(value))
		pfree(number);
}

static void
PutNumber(StringInfo packed, int64 value)
{
	PutBytes(packed, &value, sizeof(value));
}

/* False where it is too long. */
static bool
PutValue(StringInfo packed, Oid type, Datum value)
{
	float8		real;

	switch (type)
	{
		case TEXTOID:
		case VARCHAROID:
			return PutText(packed, value, false);
		case BPCHAROID:
			return PutText(packed, value, true);
		case BOOLOID:
			PutNumber(packed, DatumGetBool(value));
			break;
		case INT2OID:
			PutNumber(packed, DatumGetInt16(value));
			break;
		case INT4OID:
			PutNumber(packed, DatumGetInt32(value));
			break;
		case INT8OID:
			PutNumber(packed, DatumGetInt64(value));
			break;
		case DATEOID:
			PutNumber(packed, DatumGetDateADT(value));
			break;
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			PutNumber(packed, DatumGetTimestamp(value));
			break;
		case FLOAT4OID:
		case FLOAT8OID:
			real = type == FLOAT4OID ? DatumGetFloat4(value) : DatumGetFloat8(value);
			PutBytes(packed, &real, sizeof(real));
			break;
		case NUMERICOID:
			PutNumeric(packed, value);
			break;
		case UUIDOID:
			PutBytes(packed, DatumGetUUIDP(value), UUID_LEN);
			break;
		default:
			PutEnum(packed, DatumGetObjectId(value));
			break;
	}
	return true;
}

int
AttributesPack(const Source *source, TupleTableSlot *slot, int column, StringInfo packed)
{
	int			too_long = 0;

	for (int i = 0; i < source->n_attributes; i++, column++)
		if (slot->tts_isnull[column])
			PutNull(packed);
		else if (!PutValue(packed, source->attributes[i].type, slot->tts_values[column]))
			too_long++;
	return too_long;
}

/* ------------------------------------------------------------------ shown */

/* Numbers that JSON does not know are words. */
static void
ShowNumber(StringInfo json, const char *number)
{
	if (strspn(number, "0123456789+-.eE") == strlen(number))
		appendStringInfoString(json, number);
	else
		escape_json(json, number);
}

static void
ShowMoment(StringInfo json, Oid type, Datum value)
{
	char		text[MAXDATELEN + 1];
	int			utc = 0;

	escape_json(json, JsonEncodeDateTime(text, value, type, type == TIMESTAMPTZOID ? &utc : NULL));
}

static void
ShowNumeric(StringInfo json, const char *bytes, int len)
{
	struct varlena *number = palloc(VARHDRSZ + len);

	SET_VARSIZE(number, VARHDRSZ + len);
	memcpy(VARDATA(number), bytes, len);
	ShowNumber(json, DatumGetCString(DirectFunctionCall1(numeric_out, PointerGetDatum(number))));
	pfree(number);
}

static void
ShowReal(StringInfo json, Oid type, const char *bytes)
{
	float8		real;

	memcpy(&real, bytes, sizeof(real));
	ShowNumber(json, type == FLOAT8OID ? float8out_internal(real) :
			   DatumGetCString(DirectFunctionCall1(float4out, Float4GetDatum((float4) real))));
}

static void
ShowValue(StringInfo json, Oid type, const char *bytes, int len)
{
	int64		number = 0;

	if (len == sizeof(number))
		memcpy(&number, bytes, sizeof(number));
	switch (type)
	{
		case BOOLOID:
			appendStringInfoString(json, number ? "true" : "false");
			break;
		case INT2OID:
		case INT4OID:
		case INT8OID:
			appendStringInfo(json, INT64_FORMAT, number);
			break;
		case DATEOID:
			ShowMoment(json, type, DateADTGetDatum((DateADT) number));
			break;
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			ShowMoment(json, type, TimestampGetDatum(number));
			break;
		case FLOAT4OID:
		case FLOAT8OID:
			ShowReal(json, type, bytes);
			break;
		case NUMERICOID:
			ShowNumeric(json, bytes, len);
			break;
		case UUIDOID:
			{
				pg_uuid_t	uuid;

				memcpy(uuid.data, bytes, UUID_LEN);
				escape_json(json, DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&uuid))));
				break;
			}
		default:
			escape_json(json, pnstrdup(bytes, len));
	}
}

char *
AttributesJson(const Source *source, const char *packed, int len)
{
	StringInfoData json;
	const char *at = packed;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	for (int i = 0; i < source->n_attributes; i++)
	{
		int32		size;

		memcpy(&size, at, sizeof(size));
		at += sizeof(size);
		if (size == NO_VALUE)
			continue;
		if (json.len > 1)
			appendStringInfoString(&json, ", ");
		escape_json(&json, source->attributes[i].name);
		appendStringInfoString(&json, ": ");
		ShowValue(&json, source->attributes[i].type, at, size);
		at += size;
	}
	appendStringInfoChar(&json, '}');
	if (at != packed + len)
		elog(ERROR, "packed attributes of source %d are %d bytes long and not %d", source->source_id, len, (int) (at - packed));
	return json.data;
}

/* ---------------------------------------------------------------- digests */

uint64
AttributesHash(const char *packed, int len, uint64 seed)
{
	return hash_bytes_extended((const unsigned char *) packed, len, seed);
}

uint64
AttributesSeed(const Source *source)
{
	uint64		seed = 1;

	for (int i = 0; i < source->n_attributes; i++)
	{
		const SourceAttribute *attribute = &source->attributes[i];
		Oid			type = get_typtype(attribute->type) == TYPTYPE_ENUM ? ANYENUMOID : attribute->type;

		seed = AttributesHash(attribute->name, strlen(attribute->name), seed);
		seed = AttributesHash((const char *) &type, sizeof(type), seed);
	}
	return seed;
}
