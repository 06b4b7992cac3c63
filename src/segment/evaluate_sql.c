/*
 * evaluate_sql.c
 *		Rules and evaluations as values of SQL.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"
#include "utils/typcache.h"

#include "common/compat.h"
#include "model/fit/special.h"
#include "model/values_sql.h"
#include "segment/clock.h"
#include "segment/evaluate.h"
#include "timeline/amount.h"

PG_FUNCTION_INFO_V1(custseg_evaluate);
PG_FUNCTION_INFO_V1(custseg_evaluate_history);
PG_FUNCTION_INFO_V1(custseg_silences);

/* The attributes of the type custseg.rules. */
enum
{
	RULES_CALIBRATION_ID,
	RULES_R_CUTS,
	RULES_F_CUTS,
	RULES_M_CUTS,
	RULES_TIER_HIGH_CUT,
	RULES_TIER_MID_CUT,
	RULES_QUADRANT_M_CUT,
	RULES_ORDER_VALUE_CUT,
	RULES_QUADRANT_F_ORDERS,
	RULES_ACTIVITY_DAYS,
	RULES_ACTIVITY_ORDERS,
	RULES_ANGRY_REFUND_SHARE,
	RULES_ANGRY_LAST_REFUND_SHARE,
	RULES_RECALL_BARGAIN_SHARE,
	RULES_RECALL_BESTSELLER_SHARE,
	RULES_LOST_DAYS,
	RULES_LOST_MULTIPLE,
	RULES_FOLLOW_UP_DAYS,
	RULES_SILENT_DAYS,
	RULES_PERSONAL,
	RULES_SILENT_MIN_DAYS,
	RULES_SILENT_MAX_DAYS,
	RULES_GAP_QUANTILE,
	RULES_ALIVE_LEVEL,
	RULES_GAP,
	RULES_ALIVE_MODEL,
	RULES_ALIVE_PARAMS,
	RULES_ATTRIBUTES
};

static const char *const rules_attributes[RULES_ATTRIBUTES] = {
	"calibration_id", "r_cuts", "f_cuts", "m_cuts", "tier_high_cut", "tier_mid_cut",
	"quadrant_m_cut", "order_value_cut", "quadrant_f_orders", "activity_days",
	"activity_orders", "angry_refund_share", "angry_last_refund_share",
	"recall_bargain_share", "recall_bestseller_share", "lost_days", "lost_multiple",
	"follow_up_days", "silent_days", "personal", "silent_min_days", "silent_max_days",
	"gap_quantile", "alive_level", "gap", "alive_model", "alive_params",
};

pg_noreturn static void
BadRule(const char *name, const char *wanted)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"%s\" of the rules must be %s", name, wanted),
			 errhint("Start from the shop's own rules, custseg.rules(), and change a field.")));
}

/*
 * A cut point as a scaled amount. What a cut has beyond 4 decimals is cut
 * off: amounts have no more, so the same ones lie above it.
 */
static int64
ScaledCut(Datum cut)
{
	Datum		scale = NumericGetDatum(int64_to_numeric(AMOUNT_SCALE));
	Datum		scaled = DirectFunctionCall1(numeric_floor,
											 DirectFunctionCall2(numeric_mul, cut, scale));

	return DatumGetInt64(DirectFunctionCall1(numeric_int8, scaled));
}

/* Numbers from an array of exactly n; false when it is NULL. */
static bool
Numbers(Datum value, bool isnull, const char *name, int n, int64 *numbers)
{
	ArrayType  *array;
	Datum	   *elements;
	bool	   *nulls;
	int			count;
	int16		length;
	bool		byval;
	char		align;

	if (isnull)
		return false;
	array = DatumGetArrayTypeP(value);
	get_typlenbyvalalign(ARR_ELEMTYPE(array), &length, &byval, &align);
	deconstruct_array(array, ARR_ELEMTYPE(array), length, byval, align, &elements, &nulls, &count);
	if (count != n)
		BadRule(name, psprintf("an array of %d numbers", n));
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			BadRule(name, "without nulls");
		numbers[i] = ARR_ELEMTYPE(array) == NUMERICOID ? ScaledCut(elements[i]) :
			ARR_ELEMTYPE(array) == BOOLOID ? DatumGetBool(elements[i]) :
			ARR_ELEMTYPE(array) == INT8OID ? DatumGetInt64(elements[i]) :
			DatumGetInt32(elements[i]);
	}
	return true;
}

static int32
PositiveInt(Datum value, bool isnull, const char *name)
{
	if (isnull || DatumGetInt32(value) < 1)
		BadRule(name, "a positive number");
	return DatumGetInt32(value);
}

static double
PositiveFloat(Datum value, bool isnull, const char *name)
{
	if (isnull || !(DatumGetFloat8(value) > 0) || DatumGetFloat8(value) > 1e6)
		BadRule(name, "a positive number");
	return DatumGetFloat8(value);
}

static double
Share(Datum value, bool isnull, const char *name)
{
	if (isnull || !(DatumGetFloat8(value) > 0 && DatumGetFloat8(value) < 1))
		BadRule(name, "between 0 and 1");
	return DatumGetFloat8(value);
}

/* Days for high, mid and low. */
static void
TierDays(Datum value, bool isnull, const char *name, int32 *tier_days)
{
	int64		days[TIERS];

	if (!Numbers(value, isnull, name, TIERS, days))
		BadRule(name, "days for high, mid and low");
	for (int i = 0; i < TIERS; i++)
		tier_days[i] = PositiveInt(Int32GetDatum((int32) days[i]), false, name);
}

/* What the clocks of personal silence go by. */
static void
ParsePersonal(const Datum *values, const bool *nulls, Rules *rules)
{
	int64		personal[TIERS];
	bool		any = false;

#define FIELD(i) values[i], nulls[i], rules_attributes[i]
	if (!Numbers(FIELD(RULES_PERSONAL), TIERS, personal))
		return;
	for (int i = 0; i < TIERS; i++)
		any |= rules->personal[i] = personal[i] != 0;
	if (!any)
		return;

	TierDays(FIELD(RULES_SILENT_MIN_DAYS), rules->silent_min_days);
	TierDays(FIELD(RULES_SILENT_MAX_DAYS), rules->silent_max_days);
	for (int i = 0; i < TIERS; i++)
		if (rules->silent_min_days[i] > rules->silent_max_days[i])
			BadRule(rules_attributes[RULES_SILENT_MIN_DAYS], "at most silent_max_days");

	GapModelFromDatum(values[RULES_GAP], nulls[RULES_GAP], &rules->gap);
	if (rules->gap.usable)
	{
		rules->gap_quantile = Share(FIELD(RULES_GAP_QUANTILE));
		rules->gap_z = NormalQuantile(rules->gap_quantile);
	}
	if (!nulls[RULES_ALIVE_MODEL] && !nulls[RULES_ALIVE_PARAMS])
	{
		PurchaseModel model = PurchaseModelByName(TextDatumGetCString(values[RULES_ALIVE_MODEL]));
		int			n = purchase_nparams[model];
		double	   *params = FloatArray(values[RULES_ALIVE_PARAMS], "\"alive_params\" of the rules", &n);
		const char *fault = PurchaseParamsFault(model, params, n);

		if (fault != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("\"alive_params\" of the rules: %s", fault),
					 errhint("Start from the shop's own rules, custseg.rules(), and change a field.")));
		rules->alive_level = Share(FIELD(RULES_ALIVE_LEVEL));
		rules->alive = PurchaseCreate(model, params);
		if (rules->alive_level >= PurchaseAliveAtFirst(rules->alive))
			BadRule(rules_attributes[RULES_ALIVE_LEVEL], "below the P(alive) of a first order");
	}
#undef FIELD
}

void
ParseRules(HeapTupleHeader value, Rules *rules)
{
	Datum		values[RULES_ATTRIBUTES];
	bool		nulls[RULES_ATTRIBUTES];

	DeformRow(value, "custseg.rules", RULES_ATTRIBUTES, values, nulls);
	memset(rules, 0, sizeof(Rules));
#define FIELD(i) values[i], nulls[i], rules_attributes[i]
	rules->scored = Numbers(FIELD(RULES_R_CUTS), SCORE_CUTS, rules->r_cuts);
	rules->scored &= Numbers(FIELD(RULES_F_CUTS), SCORE_CUTS, rules->f_cuts);
	rules->scored &= Numbers(FIELD(RULES_M_CUTS), SCORE_CUTS, rules->m_cuts);
#define CUT(i) (nulls[i] ? PG_INT64_MAX : ScaledCut(values[i]))
	rules->tier_high_cut = CUT(RULES_TIER_HIGH_CUT);
	rules->tier_mid_cut = CUT(RULES_TIER_MID_CUT);
	rules->quadrant_m_cut = CUT(RULES_QUADRANT_M_CUT);
	rules->order_value_cut = CUT(RULES_ORDER_VALUE_CUT);
#undef CUT
	rules->quadrant_f_orders = PositiveInt(FIELD(RULES_QUADRANT_F_ORDERS));
	rules->activity_days = PositiveInt(FIELD(RULES_ACTIVITY_DAYS));
	rules->activity_orders = PositiveInt(FIELD(RULES_ACTIVITY_ORDERS));
	rules->angry_refund_share = PositiveFloat(FIELD(RULES_ANGRY_REFUND_SHARE));
	rules->angry_last_refund_share = PositiveFloat(FIELD(RULES_ANGRY_LAST_REFUND_SHARE));
	rules->recall_bargain_share = PositiveFloat(FIELD(RULES_RECALL_BARGAIN_SHARE));
	rules->recall_bestseller_share = PositiveFloat(FIELD(RULES_RECALL_BESTSELLER_SHARE));
	rules->lost_days = PositiveInt(FIELD(RULES_LOST_DAYS));
	rules->lost_multiple = PositiveFloat(FIELD(RULES_LOST_MULTIPLE));
	if (rules->lost_multiple < 1)
		BadRule(rules_attributes[RULES_LOST_MULTIPLE], "at least 1");
	TierDays(FIELD(RULES_FOLLOW_UP_DAYS), rules->follow_up_days);
	TierDays(FIELD(RULES_SILENT_DAYS), rules->silent_days);
#undef FIELD
	ParsePersonal(values, nulls, rules);
}

static Oid
EnumValue(Oid type, const char *name)
{
	HeapTuple	tuple = SearchSysCache2(ENUMTYPOIDNAME, ObjectIdGetDatum(type),
										CStringGetDatum(name));
	Oid			value;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "type %s has no value \"%s\"", format_type_be(type), name);
	value = ((Form_pg_enum) GETSTRUCT(tuple))->oid;
	ReleaseSysCache(tuple);
	return value;
}

void
LoadLabelTypes(TupleDesc desc, int first, LabelTypes *types)
{
	for (int i = 0; i < LABEL_TYPES; i++)
		types->types[i] = TupleDescAttr(desc, first + 3 + i)->atttypid;
	for (int i = 0; i < TIERS; i++)
		types->tier[i] = EnumValue(types->types[0], tier_names[i][0]);
	for (int i = 0; i < LIFECYCLES; i++)
		types->lifecycle[i] = EnumValue(types->types[1], lifecycle_names[i][0]);
	for (int i = 0; i < QUADRANTS; i++)
		types->quadrant[i] = EnumValue(types->types[2], quadrant_names[i][0]);
	for (int i = 0; i < ACTIVITIES; i++)
		types->activity[i] = EnumValue(types->types[3], activity_names[i][0]);
	for (int i = 0; i < RECALL_CLASSES; i++)
		types->recall_class[i] = EnumValue(types->types[4], recall_class_names[i][0]);
}

void
EvaluationToColumns(const Evaluation *evaluation, const LabelTypes *types,
					Datum *values, bool *nulls)
{
	int			n = 0;

#define COLUMN(datum, isnull) \
	do { \
		nulls[n] = (isnull); \
		values[n] = nulls[n] ? (Datum) 0 : (datum); \
		n++; \
	} while (0)

	COLUMN(Int16GetDatum(evaluation->r_score), evaluation->r_score == 0);
	COLUMN(Int16GetDatum(evaluation->f_score), evaluation->f_score == 0);
	COLUMN(Int16GetDatum(evaluation->m_score), evaluation->m_score == 0);
	COLUMN(ObjectIdGetDatum(types->tier[evaluation->tier]), evaluation->tier == NO_LABEL);
	COLUMN(ObjectIdGetDatum(types->lifecycle[evaluation->lifecycle]), false);
	COLUMN(ObjectIdGetDatum(types->quadrant[evaluation->quadrant]),
		   evaluation->quadrant == NO_LABEL);
	COLUMN(ObjectIdGetDatum(types->activity[evaluation->activity]), false);
	COLUMN(ObjectIdGetDatum(types->recall_class[evaluation->recall_class]),
		   evaluation->recall_class == NO_LABEL);
	COLUMN(DateADTGetDatum(evaluation->follow_up_at), evaluation->follow_up_at == NO_DAY);
	COLUMN(DateADTGetDatum(evaluation->silent_at), evaluation->silent_at == NO_DAY);
	COLUMN(DateADTGetDatum(evaluation->lost_at), evaluation->lost_at == NO_DAY);
	COLUMN(DateADTGetDatum(evaluation->next_eval_at), evaluation->next_eval_at == NO_DAY);
#undef COLUMN
}

static int8
LabelIndex(Datum value, bool isnull, const Oid *values, int n)
{
	for (int i = 0; i < n && !isnull; i++)
		if (values[i] == DatumGetObjectId(value))
			return i;
	return NO_LABEL;
}

void
EvaluationFromColumns(const Datum *values, const bool *nulls, const LabelTypes *types,
					  Evaluation *evaluation)
{
#define DAY(i) (nulls[i] ? NO_DAY : DatumGetDateADT(values[i]))
	memset(evaluation, 0, sizeof(Evaluation));
	evaluation->r_score = nulls[0] ? 0 : DatumGetInt16(values[0]);
	evaluation->f_score = nulls[1] ? 0 : DatumGetInt16(values[1]);
	evaluation->m_score = nulls[2] ? 0 : DatumGetInt16(values[2]);
	evaluation->tier = LabelIndex(values[3], nulls[3], types->tier, TIERS);
	evaluation->lifecycle = LabelIndex(values[4], nulls[4], types->lifecycle, LIFECYCLES);
	evaluation->quadrant = LabelIndex(values[5], nulls[5], types->quadrant, QUADRANTS);
	evaluation->activity = LabelIndex(values[6], nulls[6], types->activity, ACTIVITIES);
	evaluation->recall_class = LabelIndex(values[7], nulls[7], types->recall_class, RECALL_CLASSES);
	evaluation->follow_up_at = DAY(8);
	evaluation->silent_at = DAY(9);
	evaluation->lost_at = DAY(10);
	evaluation->next_eval_at = DAY(11);
#undef DAY
}

/* Rules that stay the same from one customer to the next are parsed once. */
typedef struct RulesCache
{
	MemoryContext context;		/* of what follows */
	Rules		rules;
	Size		size;			/* of the value the rules were parsed from */
	HeapTupleHeader value;
} RulesCache;

static const Rules *
CachedRules(FunctionCallInfo fcinfo, int argno, RulesCache *cache)
{
	HeapTupleHeader value = PG_GETARG_HEAPTUPLEHEADER(argno);
	Size		size = VARSIZE_ANY(value);
	MemoryContext old;

	if (likely(cache->size == size && memcmp(cache->value, value, size) == 0))
		return &cache->rules;

	if (cache->context == NULL)
		cache->context = AllocSetContextCreate(fcinfo->flinfo->fn_mcxt, "custseg rules",
											   ALLOCSET_SMALL_SIZES);
	MemoryContextReset(cache->context);
	cache->size = 0;
	old = MemoryContextSwitchTo(cache->context);
	ParseRules(value, &cache->rules);
	cache->value = palloc(size);
	memcpy(cache->value, value, size);
	MemoryContextSwitchTo(old);
	cache->size = size;
	return &cache->rules;
}

static DateADT
DayToEvaluate(DateADT day)
{
	if (DATE_NOT_FINITE(day))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the day to evaluate for must be finite"),
				 errhint("Pass a day such as custseg.shop_day().")));
	return day;
}

typedef struct EvaluateCache
{
	RulesCache	rules;
	TupleDesc	desc;
	LabelTypes	types;
} EvaluateCache;

/* What happened is the first argument; day and rules are the other two. */
static Datum
Evaluated(FunctionCallInfo fcinfo, const Happened *happened)
{
	DateADT		day = DayToEvaluate(PG_GETARG_DATEADT(1));
	EvaluateCache *cache = fcinfo->flinfo->fn_extra;
	Evaluation	evaluation;
	Datum		values[EVALUATION_COLUMNS];
	bool		nulls[EVALUATION_COLUMNS];

	if (cache == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
		TupleDesc	desc;

		if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
			elog(ERROR, "custseg.evaluate must return a row");
		cache = palloc0(sizeof(EvaluateCache));
		cache->desc = BlessTupleDesc(CreateTupleDescCopy(desc));
		LoadLabelTypes(cache->desc, 0, &cache->types);
		fcinfo->flinfo->fn_extra = cache;
		MemoryContextSwitchTo(old);
	}
	EvaluateHappened(CachedRules(fcinfo, 2, &cache->rules), happened, day, &evaluation);
	EvaluationToColumns(&evaluation, &cache->types, values, nulls);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(cache->desc, values, nulls)));
}

Datum
custseg_evaluate(PG_FUNCTION_ARGS)
{
	Happened	happened = {.orders = PG_GETARG_VARLENA_PP(0)};

	return Evaluated(fcinfo, &happened);
}

/* The attributes of the type custseg.history. */
enum
{
	HISTORY_ORDERS,
	HISTORY_LOGINS,
	HISTORY_COMPLAINTS,
	HISTORY_RESOLVED,
	HISTORY_LINES,
	HISTORY_BARGAIN,
	HISTORY_BESTSELLER,
	HISTORY_ATTRIBUTES
};

Datum
custseg_evaluate_history(PG_FUNCTION_ARGS)
{
	Datum		values[HISTORY_ATTRIBUTES];
	bool		nulls[HISTORY_ATTRIBUTES];
	Happened	happened;

	DeformRow(PG_GETARG_HEAPTUPLEHEADER(0), "custseg.history", HISTORY_ATTRIBUTES, values, nulls);
#define TIMELINE(i) (nulls[i] ? NULL : (struct varlena *) PG_DETOAST_DATUM_PACKED(values[i]))
	happened.orders = TIMELINE(HISTORY_ORDERS);
	happened.logins = TIMELINE(HISTORY_LOGINS);
	happened.complaints = TIMELINE(HISTORY_COMPLAINTS);
	happened.resolved = TIMELINE(HISTORY_RESOLVED);
	happened.lines = TIMELINE(HISTORY_LINES);
	happened.bargain = TIMELINE(HISTORY_BARGAIN);
	happened.bestseller = TIMELINE(HISTORY_BESTSELLER);
#undef TIMELINE
	return Evaluated(fcinfo, &happened);
}

typedef struct SilencesCache
{
	RulesCache	rules;
	Oid			tier[TIERS];
	ReturnSetInfo *result;
} SilencesCache;

static void
PutSilence(DateADT since, DateADT began, DateADT ended, Tier tier, void *arg)
{
	SilencesCache *cache = arg;
	Datum		values[4];
	bool		nulls[4] = {false, ended == NO_DAY, false, ended == NO_DAY};

	values[0] = DateADTGetDatum(began);
	values[1] = DateADTGetDatum(ended);
	values[2] = ObjectIdGetDatum(cache->tier[tier]);
	values[3] = Int32GetDatum(nulls[3] ? 0 : ended - began);
	tuplestore_putvalues(cache->result->setResult, cache->result->setDesc, values, nulls);
}

Datum
custseg_silences(PG_FUNCTION_ARGS)
{
	DateADT		day = DayToEvaluate(PG_GETARG_DATEADT(1));
	SilencesCache *cache = fcinfo->flinfo->fn_extra;

	InitMaterializedSRF(fcinfo, 0);
	if (cache == NULL)
	{
		TupleDesc	desc = ((ReturnSetInfo *) fcinfo->resultinfo)->setDesc;

		cache = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(SilencesCache));
		for (int i = 0; i < TIERS; i++)
			cache->tier[i] = EnumValue(TupleDescAttr(desc, 2)->atttypid, tier_names[i][0]);
		fcinfo->flinfo->fn_extra = cache;
	}
	cache->result = (ReturnSetInfo *) fcinfo->resultinfo;
	EachSilence(CachedRules(fcinfo, 2, &cache->rules), PG_GETARG_DATUM(0), day, PutSilence, cache);
	return (Datum) 0;
}
