/*
 * predict_sql.c
 *		Predictions for timelines, as SQL functions.
 *
 * The models in force travel as one value of the type custseg.models. Parsing
 * it, and what the purchase model computes once, is kept per call site for
 * the values seen last: one for a shop, a few where groups have their own.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "model/predict.h"
#include "model/values_sql.h"
#include "timeline/amount.h"

PG_FUNCTION_INFO_V1(custseg_predict_alive);
PG_FUNCTION_INFO_V1(custseg_predict_orders);
PG_FUNCTION_INFO_V1(custseg_predict_spend);
PG_FUNCTION_INFO_V1(custseg_predict_value);
PG_FUNCTION_INFO_V1(custseg_predict_residual);
PG_FUNCTION_INFO_V1(custseg_churn_risk);
PG_FUNCTION_INFO_V1(custseg_potential_value);
PG_FUNCTION_INFO_V1(custseg_prediction_note);
PG_FUNCTION_INFO_V1(custseg_winback_value);
PG_FUNCTION_INFO_V1(custseg_return_chance);
PG_FUNCTION_INFO_V1(custseg_past_returns);

#define KEPT 8

static const char *const level_names[] = {"low", "mid", "high"};

typedef struct KeptModels
{
	HeapTupleHeader value;
	Size		size;
	MemoryContext context;
	Predictor	predictor;
} KeptModels;

typedef struct CallSite
{
	HistoryReader reader;
	KeptModels	kept[KEPT];
	int			next;			/* to be replaced */
	Oid			levels[lengthof(level_names)];	/* the enum's values, of a function that returns one */
} CallSite;

static CallSite *
CallSiteOf(FunctionCallInfo fcinfo)
{
	CallSite   *site = fcinfo->flinfo->fn_extra;

	if (unlikely(site == NULL))
	{
		MemoryContext old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);

		site = palloc0(sizeof(CallSite));
		HistoryReaderInit(&site->reader);
		MemoryContextSwitchTo(old);
		fcinfo->flinfo->fn_extra = site;
	}
	return site;
}

static const Predictor *
PredictorArgument(FunctionCallInfo fcinfo, CallSite *site, int argno)
{
	HeapTupleHeader value = PG_GETARG_HEAPTUPLEHEADER(argno);
	Size		size = VARSIZE_ANY(value);
	KeptModels *kept;
	MemoryContext old;

	for (int i = 0; i < KEPT; i++)
	{
		kept = &site->kept[i];
		if (kept->size == size && memcmp(kept->value, value, size) == 0)
			return &kept->predictor;
	}

	kept = &site->kept[site->next];
	site->next = (site->next + 1) % KEPT;
	kept->size = 0;
	if (kept->context == NULL)
		kept->context = AllocSetContextCreate(fcinfo->flinfo->fn_mcxt, "custseg models",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(kept->context);
	old = MemoryContextSwitchTo(kept->context);
	ParseModels(value, &kept->predictor);
	kept->value = palloc(size);
	memcpy(kept->value, value, size);
	kept->size = size;
	MemoryContextSwitchTo(old);
	return &kept->predictor;
}

static const Predictor *
PredictorOf(FunctionCallInfo fcinfo, CallSite *site)
{
	return PredictorArgument(fcinfo, site, 2);
}

static const History *
HistoryOf(FunctionCallInfo fcinfo, CallSite *site)
{
	DateADT		day = PG_GETARG_DATEADT(1);

	if (DATE_NOT_FINITE(day))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("as_of must be a finite day"),
				 errhint("Pass a day such as custseg.shop_day(now()).")));
	return ReadHistory(&site->reader, PG_GETARG_DATUM(0), day);
}

/* Money is shown to the cent. */
static Datum
MoneyResult(FunctionCallInfo fcinfo, bool known, double amount)
{
	double		cents = rint(amount * 100);

	if (!known || !(cents < 1e16))
		PG_RETURN_NULL();
	PG_RETURN_NUMERIC(AmountToNumeric((int64) cents * (AMOUNT_SCALE / 100)));
}

Datum
custseg_predict_alive(PG_FUNCTION_ARGS)
{
	CallSite   *site = CallSiteOf(fcinfo);
	double		alive;

	if (!PredictAlive(PredictorOf(fcinfo, site), HistoryOf(fcinfo, site), PG_GETARG_DATEADT(1),
					  &alive))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(alive);
}

/* A span of time to predict for. */
static double
SpanArgument(FunctionCallInfo fcinfo, const char *unit, double most)
{
	double		span = PG_GETARG_FLOAT8(3);

	if (!(span >= 0 && span <= most))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s to predict for must be between 0 and %g, not %g", unit, most, span),
				 errhint("For example 90 days, or 12 months.")));
	return span;
}

Datum
custseg_predict_orders(PG_FUNCTION_ARGS)
{
	CallSite   *site = CallSiteOf(fcinfo);
	double		days = SpanArgument(fcinfo, "days", MOST_DAYS);
	double		orders;

	if (!PredictOrders(PredictorOf(fcinfo, site), HistoryOf(fcinfo, site), PG_GETARG_DATEADT(1),
					   days, &orders))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(orders);
}

Datum
custseg_predict_spend(PG_FUNCTION_ARGS)
{
	CallSite   *site = CallSiteOf(fcinfo);
	double		spend = 0;
	bool		known;

	known = PredictSpend(PredictorOf(fcinfo, site), HistoryOf(fcinfo, site), &spend);
	return MoneyResult(fcinfo, known, spend);
}

Datum
custseg_predict_value(PG_FUNCTION_ARGS)
{
	CallSite   *site = CallSiteOf(fcinfo);
	double		months = SpanArgument(fcinfo, "months", MOST_MONTHS);
	double		value = 0;
	bool		known;

	known = PredictValue(PredictorOf(fcinfo, site), HistoryOf(fcinfo, site), PG_GETARG_DATEADT(1),
						 months, &value);
	return MoneyResult(fcinfo, known, value);
}

Datum
custseg_predict_residual(PG_FUNCTION_ARGS)
{
	CallSite   *site = CallSiteOf(fcinfo);
	double		value = 0;
	bool		known;

	known = PredictValue(PredictorOf(fcinfo, site), HistoryOf(fcinfo, site), PG_GETARG_DATEADT(1),
						 INFINITY, &value);
	return MoneyResult(fcinfo, known, value);
}

static Datum
LevelResult(FunctionCallInfo fcinfo, CallSite *site, Level level)
{
	if (level == LEVEL_NONE)
		PG_RETURN_NULL();
	if (!OidIsValid(site->levels[level]))
	{
		Oid			type = get_fn_expr_rettype(fcinfo->flinfo);
		HeapTuple	tuple = SearchSysCache2(ENUMTYPOIDNAME, ObjectIdGetDatum(type),
											CStringGetDatum(level_names[level]));

		if (!HeapTupleIsValid(tuple))
			elog(ERROR, "type %s has no value \"%s\"", format_type_be(type), level_names[level]);
		site->levels[level] = ((Form_pg_enum) GETSTRUCT(tuple))->oid;
		ReleaseSysCache(tuple);
	}
	PG_RETURN_OID(site->levels[level]);
}

Datum
custseg_churn_risk(PG_FUNCTION_ARGS)
{
	CallSite   *site = CallSiteOf(fcinfo);

	return LevelResult(fcinfo, site,
					   PredictChurnRisk(PredictorOf(fcinfo, site), HistoryOf(fcinfo, site),
										PG_GETARG_DATEADT(1)));
}

Datum
custseg_potential_value(PG_FUNCTION_ARGS)
{
	CallSite   *site = CallSiteOf(fcinfo);

	return LevelResult(fcinfo, site,
					   PredictPotential(PredictorOf(fcinfo, site), HistoryOf(fcinfo, site),
										PG_GETARG_DATEADT(1)));
}

Datum
custseg_prediction_note(PG_FUNCTION_ARGS)
{
	CallSite   *site = CallSiteOf(fcinfo);
	char	   *note = PredictionNote(PredictorOf(fcinfo, site), HistoryOf(fcinfo, site));

	if (note == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(note));
}

Datum
custseg_winback_value(PG_FUNCTION_ARGS)
{
	CallSite   *site = CallSiteOf(fcinfo);
	double		value = 0;
	bool		known;

	known = PredictWinback(PredictorOf(fcinfo, site), HistoryOf(fcinfo, site), &value);
	return MoneyResult(fcinfo, known, value);
}

/* A tier as a number from 1; 0 stands for all of them. */
static int
GroupArgument(FunctionCallInfo fcinfo)
{
	int			tier = PG_GETARG_INT32(1);

	if (tier < 0 || tier > RETURN_GROUPS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("tier number %d is not between 0 and %d", tier, RETURN_GROUPS),
				 errhint("1 is high, 2 is mid, 3 is low, 0 is all of them.")));
	return tier - 1;
}

Datum
custseg_return_chance(PG_FUNCTION_ARGS)
{
	const Predictor *predictor = PredictorArgument(fcinfo, CallSiteOf(fcinfo), 0);
	int			group = GroupArgument(fcinfo);
	int32		since = PG_GETARG_INT32(2);
	int32		days = PG_GETARG_INT32(3);
	double		chance;

	if (since < 0 || days < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("days of silence and days ahead must not be negative")));
	chance = ReturnChance(&predictor->returns, group, since, days);
	if (isnan(chance))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(chance);
}

Datum
custseg_past_returns(PG_FUNCTION_ARGS)
{
	const Predictor *predictor = PredictorArgument(fcinfo, CallSiteOf(fcinfo), 0);

	PG_RETURN_INT64(ReturnsOf(&predictor->returns, GroupArgument(fcinfo)));
}
