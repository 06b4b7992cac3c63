/*
 * amount.c
 *		Amounts of money between SQL's numeric and exact scaled integers.
 *
 * A refresh reads an amount from every order row, so it takes the base-10000
 * digits straight from numeric's on-disk form, which PostgreSQL keeps stable
 * for pg_upgrade's sake but shows in no header. All of it is uint16s behind
 * the varlena header:
 *
 *		long	sign and display scale, weight, digits ...
 *		short	sign, display scale and weight in one, digits ...
 *
 * The first digit counts 10000^weight, so with the scale of 10^4 a digit of
 * weight -1 counts one.
 */
#include "postgres.h"

#include <math.h>

#include "common/shortest_dec.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "timeline/amount.h"

PG_FUNCTION_INFO_V1(custseg_amount_real);

#define NUM_SIGN_MASK			0xC000
#define NUM_NEGATIVE			0x4000
#define NUM_SHORT				0x8000
#define NUM_SPECIAL				0xC000
#define NUM_EXT_SIGN_MASK		0xF000
#define NUM_NAN					0xC000
#define NUM_SHORT_NEGATIVE		0x2000
#define NUM_SHORT_WEIGHT_SIGN	0x0040
#define NUM_SHORT_WEIGHT_MASK	0x003F

#define MAX_WEIGHT	2			/* 10^11 is 1000 at this weight */
#define MAX_LEADING 1000

static inline uint16
ReadDigit(const char *p)
{
	uint16		digit;

	memcpy(&digit, p, sizeof(uint16));
	return digit;
}

AmountStatus
AmountFromNumeric(Datum numeric, int64 *scaled)
{
	struct varlena *value = (struct varlena *) DatumGetPointer(numeric);
	struct varlena *copy = NULL;
	AmountStatus status = AMOUNT_OK;
	const char *p;
	const char *end;
	uint16		header;
	bool		negative;
	int			weight;
	int64		result = 0;

	if (unlikely(VARATT_IS_COMPRESSED(value) || VARATT_IS_EXTERNAL(value)))
		value = copy = pg_detoast_datum_packed(value);

	p = VARDATA_ANY(value);
	end = p + VARSIZE_ANY_EXHDR(value);
	header = ReadDigit(p);
	p += sizeof(uint16);

	if ((header & NUM_SIGN_MASK) == NUM_SHORT)
	{
		negative = (header & NUM_SHORT_NEGATIVE) != 0;
		weight = (header & NUM_SHORT_WEIGHT_MASK);
		if (header & NUM_SHORT_WEIGHT_SIGN)
			weight |= ~NUM_SHORT_WEIGHT_MASK;
	}
	else if (unlikely((header & NUM_SIGN_MASK) == NUM_SPECIAL))
		return (header & NUM_EXT_SIGN_MASK) == NUM_NAN ? AMOUNT_NAN : AMOUNT_INFINITE;
	else
	{
		negative = (header & NUM_SIGN_MASK) == NUM_NEGATIVE;
		weight = (int16) ReadDigit(p);
		p += sizeof(uint16);
	}

	if (unlikely(p < end && weight >= MAX_WEIGHT &&
				 (weight > MAX_WEIGHT || ReadDigit(p) >= MAX_LEADING)))
		status = AMOUNT_OUT_OF_RANGE;
	else
	{
		for (; p < end && weight >= -1; p += sizeof(uint16), weight--)
			result = result * 10000 + ReadDigit(p);
		if (unlikely(p < end))
			status = AMOUNT_TOO_PRECISE;
		else if (result != 0)
			for (; weight >= -1; weight--)
				result *= 10000;
		*scaled = negative ? -result : result;
	}

	if (unlikely(copy != NULL))
		pfree(copy);
	return status;
}

AmountStatus
AmountFromReal(float4 real, int64 *scaled)
{
	char		text[FLOAT_SHORTEST_DECIMAL_LEN];
	const char *p = text;
	int64		result = 0;
	int			decimals = 0;
	int			exponent;
	bool		negative;

	if (isnan(real))
		return AMOUNT_NAN;
	if (isinf(real))
		return AMOUNT_INFINITE;

	/* [-]digits[.digits][e[+-]digits], nine digits that count at most */
	(void) float_to_shortest_decimal_buf(real, text);
	negative = *p == '-';
	p += negative;
	for (bool behind = false; *p != '\0' && *p != 'e'; p++)
	{
		if (*p == '.')
			behind = true;
		else
		{
			result = result * 10 + (*p - '0');
			decimals += behind;
		}
	}
	exponent = AMOUNT_DECIMALS - decimals + (*p == 'e' ? atoi(p + 1) : 0);
	for (; exponent < 0 && result != 0; exponent++, result /= 10)
		if (result % 10 != 0)
			return AMOUNT_TOO_PRECISE;
	for (; exponent > 0 && result != 0; exponent--)
	{
		result *= 10;
		if (result >= AMOUNT_LIMIT * AMOUNT_SCALE)
			return AMOUNT_OUT_OF_RANGE;
	}
	if (result >= AMOUNT_LIMIT * AMOUNT_SCALE)
		return AMOUNT_OUT_OF_RANGE;
	*scaled = negative ? -result : result;
	return AMOUNT_OK;
}

Datum
custseg_amount_real(PG_FUNCTION_ARGS)
{
	char		text[FLOAT_SHORTEST_DECIMAL_LEN];

	(void) float_to_shortest_decimal_buf(PG_GETARG_FLOAT4(0), text);
	return DirectFunctionCall3(numeric_in, CStringGetDatum(text), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
}

Numeric
AmountToNumeric(int64 scaled)
{
	if (scaled % 100 == 0)
		return int64_div_fast_to_numeric(scaled / 100, 2);
	return int64_div_fast_to_numeric(scaled, 4);
}

void
AmountError(AmountStatus status, Datum numeric)
{
	char	   *shown = DatumGetCString(DirectFunctionCall1(numeric_out, numeric));

	if (strlen(shown) > 40)
		strcpy(shown + 37, "...");
	switch (status)
	{
		case AMOUNT_TOO_PRECISE:
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("amount %s has more than 4 decimals", shown),
					 errhint("Round it first, for example with round(amount, 2).")));
			break;
		case AMOUNT_OUT_OF_RANGE:
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("amount %s is out of range", shown),
					 errhint("An amount must be between -99999999999.9999 and 99999999999.9999.")));
			break;
		default:
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("amount %s is not an amount of money", shown),
					 errhint("Leave such rows out, for example with FILTER (WHERE ...).")));
	}
	pg_unreachable();
}
