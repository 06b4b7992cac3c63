/*
 * reason.c
 *		Why a value that could not be read is rejected.
 */
#include "postgres.h"

#include "profile/collector.h"

RejectReason
AmountReason(AmountStatus status)
{
	return status == AMOUNT_NAN ? REJECT_AMOUNT_NAN :
		status == AMOUNT_INFINITE ? REJECT_AMOUNT_INFINITE :
		status == AMOUNT_TOO_PRECISE ? REJECT_AMOUNT_PRECISION : REJECT_AMOUNT_RANGE;
}

RejectReason
AmountTextReason(ParseStatus status)
{
	static const RejectReason reasons[] = {
		[PARSE_UNREADABLE] = REJECT_AMOUNT_UNREADABLE,
		[PARSE_AMBIGUOUS] = REJECT_AMOUNT_AMBIGUOUS,
		[PARSE_TOO_PRECISE] = REJECT_AMOUNT_PRECISION,
		[PARSE_OUT_OF_RANGE] = REJECT_AMOUNT_RANGE,
	};

	return reasons[status];
}

RejectReason
TimeTextReason(ParseStatus status)
{
	static const RejectReason reasons[] = {
		[PARSE_UNREADABLE] = REJECT_TIME_UNREADABLE,
		[PARSE_SHORT_YEAR] = REJECT_TIME_SHORT_YEAR,
		[PARSE_OTHER_ORDER] = REJECT_TIME_OTHER_ORDER,
		[PARSE_IMPOSSIBLE] = REJECT_TIME_IMPOSSIBLE,
		[PARSE_OUT_OF_RANGE] = REJECT_TIME,
	};

	return reasons[status];
}

int64
RejectedRows(const CollectCounts *counts)
{
	int64		rejected = 0;

	for (int reason = 0; reason < REJECT_REASONS; reason++)
		rejected += counts->rejected[reason];
	return rejected;
}
