/*
 * backtest.c
 *		How well the purchase models would have foretold what came.
 *
 * Timelines answer as of any day, so a past day can be lived through again:
 * fit to what was known at the cutoff, predict the horizon, and compare with
 * what came, beside two rules that anyone could apply.
 *
 * What came is known up to the last order that was read: where the data end
 * earlier than the horizon, whatever is predicted would look too high.  Today
 * is not over either.
 */
#include "postgres.h"

#include <math.h>

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "common/guard.h"
#include "common/settings.h"
#include "common/spi.h"
#include "common/stream.h"
#include "measure/score.h"
#include "model/fit/interrupt.h"
#include "model/fits.h"
#include "model/values_sql.h"
#include "timeline/history.h"

PG_FUNCTION_INFO_V1(custseg_backtest);

#define COLUMNS 12
#define MOST_YEARS 100			/* of a horizon */

/* A customer who had ordered by the cutoff; times in days. */
typedef struct Tested
{
	int32		x;
	int32		t_x;
	int32		T;
	int32		actual;			/* order days within the horizon */
} Tested;

typedef struct Backtest
{
	DateADT		cutoff;
	DateADT		until;
	HistoryReader reader;
	Tested	   *customers;
	int64		n;
	int64		size;
	ReturnSetInfo *result;
	Scored	   *scored;
} Backtest;

static void
BacktestRow(TupleTableSlot *slot, void *arg)
{
	Backtest   *test = arg;
	const History *history = ReadHistory(&test->reader, slot->tts_values[0], test->until);
	Tested	   *customer;
	DateADT		day;
	int			known = 1;

	if (history->order_days == 0 || history->first_order > test->cutoff)
		return;

	if (test->n == test->size)
	{
		test->size = Max(2 * test->size, 1024);
		test->customers = test->customers == NULL ?
			palloc_extended(test->size * sizeof(Tested), MCXT_ALLOC_HUGE) :
			repalloc_huge(test->customers, test->size * sizeof(Tested));
	}
	customer = &test->customers[test->n++];
	day = history->first_order;
	while (known < history->order_days && day + history->gaps[known - 1] <= test->cutoff)
		day += history->gaps[known++ - 1];
	customer->x = known - 1;
	customer->t_x = day - history->first_order;
	customer->T = test->cutoff - history->first_order;
	customer->actual = history->order_days - known;
	CHECK_EVERY_SO_OFTEN(test->n);
}

/* Score what "scored" holds and return a row; without numbers only the ranking counts. */
static void
ReportModel(Backtest *test, const char *model, bool numbers, const char *verdict)
{
	Datum		values[COLUMNS];
	bool		nulls[COLUMNS] = {0};
	Score		score;
	double		actual = 0;

	for (int64 i = 0; i < test->n; i++)
	{
		CHECK_EVERY_SO_OFTEN(i);
		actual += test->customers[i].actual;
	}
	values[0] = CStringGetTextDatum(model);
	values[1] = Int64GetDatum(test->n);
	values[2] = Int64GetDatum((int64) actual);
	if (test->scored == NULL)
		memset(nulls + 3, true, COLUMNS - 4);
	else
	{
		ScorePredictions(test->scored, test->n, &score);
		values[3] = Float8GetDatum(score.predicted);
		values[4] = Float8GetDatum(100 * (score.predicted - actual) / actual);
		values[5] = Float8GetDatum(score.mae);
		values[6] = Float8GetDatum(score.rmse);
		values[7] = Float8GetDatum(score.auc);
		values[8] = Float8GetDatum(score.lift);
		values[9] = FloatArrayDatum(score.decile_predicted, DECILES);
		values[10] = FloatArrayDatum(score.decile_actual, DECILES);
		nulls[3] = nulls[5] = nulls[6] = nulls[9] = !numbers;
		nulls[4] = !numbers || actual == 0;
		nulls[7] = isnan(score.auc);
		nulls[8] = isnan(score.lift);
	}
	values[11] = CStringGetTextDatum(verdict);
	tuplestore_putvalues(test->result->setResult, test->result->setDesc, values, nulls);
}

static void
TestModel(Backtest *test, PurchaseModel model)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "custseg backtest model",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Repeats    *repeats = palloc_extended(Max(test->n, 1) * sizeof(Repeats), MCXT_ALLOC_HUGE);
	int64		n;
	Fit			fit;

	for (int64 i = 0; i < test->n; i++)
	{
		CHECK_EVERY_SO_OFTEN(i);
		repeats[i].x = test->customers[i].x;
		repeats[i].t_x = test->customers[i].t_x;
		repeats[i].T = test->customers[i].T;
		repeats[i].customers = 1;
	}
	n = CollapseRepeats(repeats, test->n);
	FitPurchase(model, repeats, n, NULL, &fit);
	pfree(repeats);

	test->scored = NULL;
	if (fit.usable)
	{
		Purchase   *purchase = PurchaseCreate(model, fit.params);

		test->scored = palloc_extended(Max(test->n, 1) * sizeof(Scored), MCXT_ALLOC_HUGE);
		for (int64 i = 0; i < test->n; i++)
		{
			const Tested *customer = &test->customers[i];

			test->scored[i].predicted = PurchaseExpected(purchase, customer->x, customer->t_x,
														 customer->T,
														 (double) test->until - test->cutoff);
			test->scored[i].actual = customer->actual;
			CHECK_EVERY_SO_OFTEN(i);
		}
	}
	ReportModel(test, purchase_model_names[model], true, fit.verdict);
	test->scored = NULL;
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/* What anyone could say: as often as before, and who was here last comes first. */
static void
TestRules(Backtest *test)
{
	double		horizon = (double) test->until - test->cutoff;

	test->scored = palloc_extended(Max(test->n, 1) * sizeof(Scored), MCXT_ALLOC_HUGE);
	for (int64 i = 0; i < test->n; i++)
	{
		const Tested *customer = &test->customers[i];

		CHECK_EVERY_SO_OFTEN(i);
		test->scored[i].predicted = customer->T == 0 ? 0 : customer->x * horizon / customer->T;
		test->scored[i].actual = customer->actual;
	}
	ReportModel(test, "same_rate", true, "ok");
	for (int64 i = 0; i < test->n; i++)
	{
		const Tested *customer = &test->customers[i];

		CHECK_EVERY_SO_OFTEN(i);
		test->scored[i].predicted = -((double) customer->T - customer->t_x);
		test->scored[i].actual = customer->actual;
	}
	ReportModel(test, "recency", false, "ok");
	pfree(test->scored);
	test->scored = NULL;
}

/* The last day of a horizon that begins after the cutoff. */
static DateADT
HorizonEnd(DateADT cutoff, Interval *horizon)
{
	Datum		end = DirectFunctionCall2(timestamp_pl_interval,
										  DirectFunctionCall1(date_timestamp, DateADTGetDatum(cutoff)),
										  IntervalPGetDatum(horizon));

	return DatumGetDateADT(DirectFunctionCall1(timestamp_date, end));
}

static void
CheckHorizon(const Interval *horizon)
{
	const int64 longest = (int64) 366 * MOST_YEARS;

	if (llabs((int64) horizon->month) > 12 * MOST_YEARS || llabs((int64) horizon->day) > longest ||
		horizon->time < -longest * USECS_PER_DAY || horizon->time > longest * USECS_PER_DAY ||
		HorizonEnd(0, unconstify(Interval *, horizon)) < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the horizon must be between one day and %d years", MOST_YEARS),
				 errhint("For example horizon => '39 weeks'.")));
}

/* The last cutoff whose horizon is over by a day. Months are not all as long, so it is looked for. */
static DateADT
LastCutoff(DateADT end, Interval *horizon)
{
	DateADT		cutoff = end - (HorizonEnd(end, horizon) - end);

	while (HorizonEnd(cutoff, horizon) > end)
		cutoff--;
	while (HorizonEnd(cutoff + 1, horizon) <= end)
		cutoff++;
	return cutoff;
}

static const char *
DayText(DateADT day)
{
	return TextDatumGetCString(DirectFunctionCall2(timestamp_to_char,
												   DirectFunctionCall1(date_timestamp, DateADTGetDatum(day)),
												   CStringGetTextDatum("FMYYYY-MM-DD")));
}

/* Find out the last cutoff, and take it or check the one that was asked for. */
static void
ChooseCutoff(Backtest *test, bool given, Interval *horizon)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {DATEOID};
	DateADT		today = ShopDay(GetCurrentTransactionStartTimestamp(), ReadShopSettings()->time_zone);
	Datum		values[] = {DateADTGetDatum(today - 1)};
	DateADT		first;
	DateADT		end;
	DateADT		last;
	bool		none;

	SpiRunPlan(SpiKeep(&plan, "SELECT min(custseg.first_order_day(timeline, $1)), max(custseg.last_order_day(timeline, $1))"
					   " FROM custseg.profile", 1, types), values, NULL);
	first = DatumGetDateADT(SpiField(0, 1, &none));
	end = DatumGetDateADT(SpiField(0, 2, &none));
	if (none)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("there is no order of a day before today"),
				 errhint("Read the orders first: CALL custseg.refresh().")));
	last = LastCutoff(end, horizon);
	if (last < first)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("the horizon is longer than the time that is known, from the first order on %s to the last on %s",
						DayText(first), DayText(end)),
				 errhint("Choose a shorter horizon.")));
	if (!given)
		test->cutoff = last;
	else if (test->cutoff > last)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the horizon is not over: it ends on %s, and orders are known up to %s",
						DayText(HorizonEnd(test->cutoff, horizon)), DayText(end)),
				 errhint("The last possible cutoff is %s; without a cutoff it is taken.", DayText(last))));
	else if (test->cutoff < first)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("no customer had ordered by the cutoff"),
				 errhint("Choose one from %s, the day of the first order, to %s.", DayText(first), DayText(last))));
	test->until = HorizonEnd(test->cutoff, horizon);
}

/*
 * custseg.backtest(cutoff, horizon)
 */
Datum
custseg_backtest(PG_FUNCTION_ARGS)
{
	static SPIPlanPtr plan = NULL;
	Backtest	test = {0};
	Guard		guard;
	bool		given = !PG_ARGISNULL(0);
	Interval   *horizon;

	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the horizon must not be null"),
				 errhint("For example horizon => '39 weeks'.")));
	horizon = PG_GETARG_INTERVAL_P(1);
	CheckHorizon(horizon);
	if (given)
		test.cutoff = PG_GETARG_DATEADT(0);
	if (given && DATE_NOT_FINITE(test.cutoff))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the cutoff must be a finite day"),
				 errhint("Choose one with enough orders before it, and the horizon behind it.")));
	InitMaterializedSRF(fcinfo, 0);
	test.result = (ReturnSetInfo *) fcinfo->resultinfo;

	OwnerBegin(&guard);
	ChooseCutoff(&test, given, horizon);
	HistoryReaderInit(&test.reader);
	SpiKeep(&plan, "SELECT timeline FROM custseg.profile", 0, NULL);
	SpiStream(plan, 0, NULL, NULL, BacktestRow, &test);
	for (int model = PURCHASE_MODELS - 1; model >= 0; model--)
		TestModel(&test, model);
	TestRules(&test);
	OwnerEnd(&guard);
	return (Datum) 0;
}
