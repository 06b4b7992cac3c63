/*
 * calibrate.c
 *		A calibration: cut points and models from the shop's customers.
 *
 * One pass over the timelines, of which only summaries are kept: what the cut
 * points need (cuts.c), what the models need (fits.c), and a sample of
 * customers whose predicted values give the cut points of potential_value. A
 * second pass replays past silences by the rules that follow from the first.
 * Where the shop wants models of its own for groups of customers, a third
 * pass reads them group by group.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "common/ids.h"
#include "common/spi.h"
#include "common/stream.h"
#include "model/fits.h"
#include "model/potential.h"
#include "model/values_sql.h"
#include "refresh/calibrate.h"
#include "refresh/cuts.h"
#include "segment/clock.h"
#include "segment/evaluate.h"
#include "timeline/amount.h"

#define FEWEST_CUSTOMERS 20
#define SECOND_LIFE_SD 0.5		/* of ln(parameter) around the ordinary model */

/* The settings a calibration goes by. */
typedef struct Wishes
{
	PurchaseModel model;
	double		margin;
	double		annual_rate;
	double		potential_shares[2];
	char	   *group_tag;		/* NULL: no groups */
	int64		group_min;
} Wishes;

typedef struct Calibration
{
	DateADT		day;
	HistoryReader reader;
	CutCollector *cuts;
	ModelData	data;
	PotentialSample *sample;
} Calibration;

static void
ReadWishes(Wishes *wishes)
{
	bool		isnull;

	SpiRun("SELECT purchase_model, margin, discount_rate, 1 - tier_high_share,"
		   " 1 - tier_high_share - tier_mid_share, model_group, model_group_min"
		   " FROM custseg.settings", 0, NULL, NULL, NULL);
	wishes->model = PurchaseModelByName(SpiText(0, 1));
	wishes->margin = DatumGetFloat8(SpiField(0, 2, &isnull));
	wishes->annual_rate = DatumGetFloat8(SpiField(0, 3, &isnull));
	wishes->potential_shares[0] = DatumGetFloat8(SpiField(0, 4, &isnull));
	wishes->potential_shares[1] = DatumGetFloat8(SpiField(0, 5, &isnull));
	wishes->group_tag = SpiText(0, 6);
	wishes->group_min = SpiInt64(0, 7, 0);
}

static void
CalibrateRow(TupleTableSlot *slot, void *arg)
{
	Calibration *calibration = arg;
	const History *history = ReadHistory(&calibration->reader, slot->tts_values[0],
										 calibration->day);

	if (history->order_days == 0)
		return;
	CutsAdd(calibration->cuts, history);
	ModelDataAdd(&calibration->data, history, calibration->day);
	PotentialAdd(calibration->sample, history);
}

/* ------------------------------------------------------------- storing */

static Datum
DaysArray(const int64 *days)
{
	Datum		elements[SCORE_CUTS];

	for (int i = 0; i < SCORE_CUTS; i++)
		elements[i] = Int32GetDatum((int32) days[i]);
	return PointerGetDatum(construct_array(elements, SCORE_CUTS, INT4OID, sizeof(int32), true,
										   TYPALIGN_INT));
}

static Datum
MoneyArray(const int64 *amounts)
{
	Datum		elements[SCORE_CUTS];

	for (int i = 0; i < SCORE_CUTS; i++)
		elements[i] = NumericGetDatum(AmountToNumeric(amounts[i]));
	return PointerGetDatum(construct_array(elements, SCORE_CUTS, NUMERICOID, -1, false,
										   TYPALIGN_INT));
}

static char *
CalibrationVerdict(const ModelData *data, const Fits *fits)
{
	StringInfoData verdict;

	initStringInfo(&verdict);
	if (data->customers < FEWEST_CUSTOMERS)
		appendStringInfo(&verdict, "not enough data: %lld customers with an order, fewer than %d",
						 (long long) data->customers, FEWEST_CUSTOMERS);
#define ADD(what, words) \
	do { \
		if (strcmp(words, "ok") != 0) \
			appendStringInfo(&verdict, "%s%s: %s", verdict.len > 0 ? "; " : "", what, words); \
	} while (0)
	ADD("gaps", fits->gap.verdict);
	ADD("purchases", fits->purchase.verdict);
	ADD("spend", fits->spend.verdict);
#undef ADD
	return verdict.len > 0 ? verdict.data : "ok";
}

static Datum
PurchaseFitDatum(const Fits *fits)
{
	return FitToDatum(purchase_model_names[fits->model], purchase_param_names[fits->model],
					  fits->model != PURCHASE_NBD, &fits->purchase);
}

static Datum
SpendFitDatum(const Fits *fits)
{
	return FitToDatum("gamma_gamma", spend_param_names, false, &fits->spend);
}

static int64
StoreCalibration(const Calibration *calibration, const Cuts *cuts, const Fits *fits,
	  const double *potential_cuts, TimestampTz as_of, int64 run_id)
{
	const ModelData *data = &calibration->data;
	Oid			types[] = {TIMESTAMPTZOID, DATEOID, INT8OID, INT8OID, INT8OID, DATEOID,
		INT4ARRAYOID, INT8ARRAYOID, NUMERICARRAYOID, NUMERICOID, NUMERICOID, NUMERICOID,
	NUMERICOID, InvalidOid, InvalidOid, InvalidOid, FLOAT8OID, FLOAT8OID, TEXTOID};
	Datum		values[lengthof(types)];
	char		nulls[lengthof(types)];

	memset(nulls, ' ', sizeof(nulls));
	values[0] = TimestampTzGetDatum(as_of);
	values[1] = DateADTGetDatum(calibration->day);
	values[2] = Int64GetDatum(run_id);
	values[3] = Int64GetDatum(data->customers);
	values[4] = Int64GetDatum(data->orders);
	values[5] = DateADTGetDatum(data->since);
	values[6] = DaysArray(cuts->r);
	values[7] = IdArray(cuts->f, SCORE_CUTS);
	values[8] = MoneyArray(cuts->m);
	values[9] = NumericGetDatum(AmountToNumeric(cuts->tier_high));
	values[10] = NumericGetDatum(AmountToNumeric(cuts->tier_mid));
	values[11] = NumericGetDatum(AmountToNumeric(cuts->quadrant_m));
	values[12] = NumericGetDatum(AmountToNumeric(cuts->order_value));
	values[13] = GapModelToDatum(&fits->gap);
	types[13] = CustsegRowType("gap_model")->tdtypeid;
	values[14] = PurchaseFitDatum(fits);
	values[15] = SpendFitDatum(fits);
	types[14] = types[15] = CustsegRowType("model_fit")->tdtypeid;
	for (int i = 0; i < 2; i++)
	{
		values[16 + i] = potential_cuts ? Float8GetDatum(potential_cuts[i]) : (Datum) 0;
		nulls[16 + i] = potential_cuts ? ' ' : 'n';
	}
	values[18] = CStringGetTextDatum(CalibrationVerdict(data, fits));

	SpiRun("INSERT INTO custseg.calibration (fitted_at, as_of, run_id, customers, orders, since,"
		   " r_cuts, f_cuts, m_cuts, tier_high_cut, tier_mid_cut, quadrant_m_cut,"
		   " order_value_cut, gap, purchase, spend, potential_high_cut, potential_mid_cut, verdict)"
		   " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16,"
		   " $17, $18, $19) RETURNING calibration_id",
		   lengthof(types), types, values, nulls);
	return SpiInt64(0, 1, 0);
}

/* -------------------------------------------------------------- groups */

typedef struct GroupPass
{
	DateADT		day;
	const Wishes *wishes;
	int64		calibration_id;
	HistoryReader reader;
	MemoryContext context;		/* of the group that is being read */
	char	   *group;			/* NULL before the first */
	ModelData	data;
	MemoryContext results;
	List	   *rows;			/* of GROUP_COLUMNS datums */
} GroupPass;

#define GROUP_COLUMNS 8

static void
GroupEnd(GroupPass *pass)
{
	MemoryContext old;
	Fits		fits;
	Datum	   *values;

	if (pass->group == NULL || pass->data.customers < pass->wishes->group_min)
		return;
	FitModels(&pass->data, pass->wishes->model, NULL, NULL, &fits);
	old = MemoryContextSwitchTo(pass->results);
	values = palloc(GROUP_COLUMNS * sizeof(Datum));
	values[0] = Int64GetDatum(pass->calibration_id);
	values[1] = CStringGetTextDatum(pass->wishes->group_tag);
	values[2] = CStringGetTextDatum(pass->group);
	values[3] = Int64GetDatum(pass->data.customers);
	values[4] = Int64GetDatum(pass->data.orders);
	values[5] = DateADTGetDatum(pass->data.since);
	values[6] = PurchaseFitDatum(&fits);
	values[7] = SpendFitDatum(&fits);
	pass->rows = lappend(pass->rows, values);
	MemoryContextSwitchTo(old);
}

static void
GroupRow(TupleTableSlot *slot, void *arg)
{
	GroupPass  *pass = arg;
	text	   *value = DatumGetTextPP(slot->tts_values[0]);
	MemoryContext old = MemoryContextSwitchTo(pass->context);
	const History *history;

	if (pass->group == NULL || strlen(pass->group) != VARSIZE_ANY_EXHDR(value) ||
		memcmp(pass->group, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value)) != 0)
	{
		GroupEnd(pass);
		MemoryContextReset(pass->context);
		pass->group = text_to_cstring(value);
		ModelDataInit(&pass->data);
	}
	history = ReadHistory(&pass->reader, slot->tts_values[1], pass->day);
	if (history->order_days > 0)
		ModelDataAdd(&pass->data, history, pass->day);
	MemoryContextSwitchTo(old);
}

/* Fits of their own for the values of a tag that enough customers have. */
static void
FitGroups(const Wishes *wishes, DateADT day, int64 calibration_id)
{
	static SPIPlanPtr plan = NULL;
	Oid			fit = CustsegRowType("model_fit")->tdtypeid;
	Oid			types[GROUP_COLUMNS] = {INT8OID, TEXTOID, TEXTOID, INT8OID, INT8OID, DATEOID, fit, fit};
	Datum		tag = CStringGetTextDatum(wishes->group_tag);
	GroupPass	pass = {day, wishes, calibration_id};
	ListCell   *cell;

	HistoryReaderInit(&pass.reader);
	pass.results = CurrentMemoryContext;
	pass.context = AllocSetContextCreate(CurrentMemoryContext, "custseg group",
										 ALLOCSET_DEFAULT_SIZES);
	SpiKeep(&plan,
			"SELECT coalesce(t.value, ''), p.timeline"
			" FROM custseg.profile p JOIN custseg.tag t USING (customer_id)"
			" WHERE t.tag = $1 ORDER BY coalesce(t.value, '') COLLATE \"C\"",
			1, &types[1]);
	SpiStream(plan, 1, &types[1], &tag, GroupRow, &pass);
	GroupEnd(&pass);
	MemoryContextDelete(pass.context);

	foreach(cell, pass.rows)
		SpiRun("INSERT INTO custseg.calibration_group (calibration_id, tag, value, customers, orders,"
			   " since, purchase, spend) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
			   GROUP_COLUMNS, types, lfirst(cell), NULL);
}

/* --------------------------------------------------------- second life */

typedef struct ReturnPass
{
	DateADT		day;
	Rules		rules;
	HistoryReader reader;
	ReturnTable table;
	ModelData	data;
	/* Of the customer being read. */
	DateADT		first_return;
	const DateADT *contacts;	/* ascending */
	int			ncontacts;
} ReturnPass;

/*
 * The day of the first contact after a day and until another, or NO_DAY: a
 * task that was handed out and not given back, whatever came of it.
 */
static DateADT
FirstContact(const ReturnPass *pass, DateADT after, DateADT until)
{
	for (int i = 0; i < pass->ncontacts; i++)
		if (pass->contacts[i] > after)
			return pass->contacts[i] <= until ? pass->contacts[i] : NO_DAY;
	return NO_DAY;
}

/*
 * Whoever was contacted can no longer come back unaided: such a silence is
 * watched until the day of the first contact, as one that lasts is until
 * today, and an order on that day or later is no return. Leaving it out would
 * lose the days on which nobody came back before the contact, and so make
 * returns look more likely than they are. One that began after the contact is
 * left out.
 */
static void
PastSilence(DateADT since, DateADT began, DateADT ended, Tier tier, void *arg)
{
	ReturnPass *pass = arg;
	DateADT		until = ended == NO_DAY ? pass->day : ended;
	DateADT		contact = FirstContact(pass, since, until);

	if (contact != NO_DAY)
	{
		if (contact >= began)
			ReturnsAdd(&pass->table, tier, contact - began, false);
		return;
	}
	ReturnsAdd(&pass->table, tier, until - began, ended != NO_DAY);
	if (ended != NO_DAY && pass->first_return == NO_DAY)
		pass->first_return = ended;
}

static void
ReturnRow(TupleTableSlot *slot, void *arg)
{
	ReturnPass *pass = arg;

	pass->first_return = NO_DAY;
	pass->ncontacts = 0;
	if (!slot->tts_isnull[1])
	{
		ArrayType  *days = DatumGetArrayTypeP(slot->tts_values[1]);

		pass->contacts = (const DateADT *) ARR_DATA_PTR(days);
		pass->ncontacts = ArrayGetNItems(ARR_NDIM(days), ARR_DIMS(days));
	}
	EachSilence(&pass->rules, slot->tts_values[0], pass->day, PastSilence, pass);
	if (pass->first_return != NO_DAY)
		ModelDataAdd(&pass->data, ReadHistoryBetween(&pass->reader, slot->tts_values[0],
													 pass->first_return, pass->day),
					 pass->day);
}

#define HISTORIES_AND_CONTACTS \
	"SELECT p.timeline, c.days FROM custseg.profile p" \
	" LEFT JOIN (SELECT t.customer_id, array_agg(DISTINCT t.day ORDER BY t.day) AS days" \
	"   FROM (SELECT customer_id, custseg.day_of(claimed_at, (SELECT time_zone FROM custseg.settings)) AS day" \
	"     FROM custseg.task WHERE claimed_at IS NOT NULL) t" \
	"   GROUP BY t.customer_id) c USING (customer_id)"

/*
 * How customers came back unaided from past silences, by the rules that this
 * calibration just set, and what they bought from then on: each customer's
 * first return starts a history of its own. Where returns are few, the
 * ordinary model is what they are drawn to: as a prior it holds as long as
 * they say little.
 */
static void
FitSecondLife(const Wishes *wishes, const Fits *ordinary, DateADT day, int64 calibration_id)
{
	static SPIPlanPtr plan = NULL;
	ReturnPass	pass = {day};
	Fits		fits;
	Prior		prior;
	Oid			types[] = {INT8OID, CustsegRowType("return_model")->tdtypeid};
	Datum		values[lengthof(types)];
	bool		isnull;

	SpiRun("SELECT custseg.rules()", 0, NULL, NULL, NULL);
	ParseRules(DatumGetHeapTupleHeader(SpiField(0, 1, &isnull)), &pass.rules);
	HistoryReaderInit(&pass.reader);
	ModelDataInit(&pass.data);
	SpiKeep(&plan, HISTORIES_AND_CONTACTS, 0, NULL);
	SpiStream(plan, 0, NULL, NULL, ReturnRow, &pass);

	memcpy(prior.center, ordinary->purchase.params, sizeof(prior.center));
	prior.sd = SECOND_LIFE_SD;
	FitModels(&pass.data, wishes->model, ordinary->purchase.usable ? &prior : NULL, NULL, &fits);
	if (!fits.purchase.usable && ordinary->purchase.usable)
	{
		const char *verdict = fits.purchase.verdict;
		int64		customers = fits.purchase.customers;
		int64		repeaters = fits.purchase.repeaters;
		int64		transactions = fits.purchase.transactions;

		fits.purchase = ordinary->purchase;
		fits.purchase.customers = customers;
		fits.purchase.repeaters = repeaters;
		fits.purchase.transactions = transactions;
		fits.purchase.verdict = verdict;
		fits.purchase.fallback = "the ordinary model: too few returns to learn from";
	}
	values[0] = Int64GetDatum(calibration_id);
	values[1] = ReturnModelToDatum(&pass.table, wishes->model, &fits.purchase);
	SpiRun("UPDATE custseg.calibration SET comeback = $2 WHERE calibration_id = $1",
		   lengthof(types), types, values, NULL);
}

bool
Calibrate(const Moment *now)
{
	static SPIPlanPtr plan = NULL;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "custseg calibration",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Calibration calibration = {now->day};
	Wishes		wishes;
	Cuts		cuts;
	bool		any;

	ReadWishes(&wishes);
	HistoryReaderInit(&calibration.reader);
	calibration.cuts = CutsBegin(now->day);
	ModelDataInit(&calibration.data);
	calibration.sample = PotentialBegin(now->day);
	SpiKeep(&plan, "SELECT timeline FROM custseg.profile", 0, NULL);
	SpiStream(plan, 0, NULL, NULL, CalibrateRow, &calibration);

	any = CutsEnd(calibration.cuts, &cuts);
	if (any)
	{
		Fits		fits;
		Predictor	predictor;
		double		potential_cuts[2];
		int64		calibration_id;

		FitModels(&calibration.data, wishes.model, NULL, NULL, &fits);
		PredictorFromFits(&fits, &predictor);
		predictor.margin = wishes.margin;
		predictor.annual_rate = wishes.annual_rate;
		TabulateValues(&predictor);
		calibration_id = StoreCalibration(&calibration, &cuts, &fits,
							   PotentialCuts(calibration.sample, &predictor, wishes.potential_shares,
											 potential_cuts) ? potential_cuts : NULL,
							   now->as_of, now->run_id);
		FitSecondLife(&wishes, &fits, now->day, calibration_id);
		if (wishes.group_tag != NULL)
			FitGroups(&wishes, now->day, calibration_id);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return any;
}
