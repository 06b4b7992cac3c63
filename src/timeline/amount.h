/*
 * amount.h
 *		Amounts of money between SQL's numeric and exact scaled integers.
 */
#ifndef CUSTSEG_AMOUNT_H
#define CUSTSEG_AMOUNT_H

#include "postgres.h"

#include "utils/numeric.h"

#include "common/compat.h"

#define AMOUNT_DECIMALS	4
#define AMOUNT_SCALE	INT64CONST(10000)
#define AMOUNT_LIMIT	INT64CONST(100000000000)

typedef enum AmountStatus
{
	AMOUNT_OK,
	AMOUNT_NAN,
	AMOUNT_INFINITE,
	AMOUNT_TOO_PRECISE,			/* more than 4 decimals that are not zero */
	AMOUNT_OUT_OF_RANGE			/* 10^11 or more, either way */
} AmountStatus;

/* The amount times 10^4, when the status is AMOUNT_OK. */
extern AmountStatus AmountFromNumeric(Datum numeric, int64 *scaled);

/*
 * The same of a real, which stands for the shortest decimal that it is the
 * nearest real to, and which is what a person sees of it. To numeric it would
 * go by way of six digits: 12345.67 becomes 12345.7.
 */
extern AmountStatus AmountFromReal(float4 real, int64 *scaled);

/* With 2 decimals where they are exact, else with 4. */
extern Numeric AmountToNumeric(int64 scaled);

/* Raise the error that belongs to a status other than AMOUNT_OK. */
pg_noreturn extern void AmountError(AmountStatus status, Datum numeric);

#endif							/* CUSTSEG_AMOUNT_H */
