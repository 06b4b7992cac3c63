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
#include "utils/typcache.h"

#include "common/compat.h"
#include "segment/evaluate.h"
#include "timeline/amount.h"

PG_FUNCTION_INFO_V1(custseg_evaluate);

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
	RULES_LOST_DAYS,
	RULES_LOST_MULTIPLE,
	RULES_FOLLOW_UP_DAYS,
	RULES_SILENT_DAYS,
	RULES_ATTRIBUTES
};

static const char *const rules_attributes[RULES_ATTRIBUTES] = {
	"calibration_id", "r_cuts", "f_cuts", "m_cuts", "tier_high_cut", "tier_mid_cut",
	"quadrant_m_cut", "order_value_cut", "quadrant_f_orders", "activity_days",
	"activity_orders", "angry_refund_share", "lost_days", "lost_multiple",
	"follow_up_days", "silent_days",
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

void
ParseRules(HeapTupleHeader value, Rules *rules)
{
	TupleDesc	desc = lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(value),
											  HeapTupleHeaderGetTypMod(value));
	HeapTupleData tuple;
	Datum		values[RULES_ATTRIBUTES];
	bool		nulls[RULES_ATTRIBUTES];
	int64		days[TIERS];

	if (desc->natts != RULES_ATTRIBUTES)
		elog(ERROR, "type custseg.rules has %d attributes, not %d", desc->natts, RULES_ATTRIBUTES);
	tuple.t_len = HeapTupleHeaderGetDatumLength(value);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	tuple.t_data = value;
	heap_deform_tuple(&tuple, desc, values, nulls);
	ReleaseTupleDesc(desc);

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
	rules->lost_days = PositiveInt(FIELD(RULES_LOST_DAYS));
	rules->lost_multiple = PositiveFloat(FIELD(RULES_LOST_MULTIPLE));
	if (rules->lost_multiple < 1)
		BadRule(rules_attributes[RULES_LOST_MULTIPLE], "at least 1");
	if (!Numbers(FIELD(RULES_FOLLOW_UP_DAYS), TIERS, days))
		BadRule(rules_attributes[RULES_FOLLOW_UP_DAYS], "days for high, mid and low");
	for (int i = 0; i < TIERS; i++)
		rules->follow_up_days[i] = PositiveInt(Int32GetDatum((int32) days[i]), false,
											   rules_attributes[RULES_FOLLOW_UP_DAYS]);
	if (!Numbers(FIELD(RULES_SILENT_DAYS), TIERS, days))
		BadRule(rules_attributes[RULES_SILENT_DAYS], "days for high, mid and low");
	for (int i = 0; i < TIERS; i++)
		rules->silent_days[i] = PositiveInt(Int32GetDatum((int32) days[i]), false,
											rules_attributes[RULES_SILENT_DAYS]);
#undef FIELD
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
	for (int i = 0; i < 4; i++)
		types->types[i] = TupleDescAttr(desc, first + 3 + i)->atttypid;
	for (int i = 0; i < TIERS; i++)
		types->tier[i] = EnumValue(types->types[0], tier_names[i][0]);
	for (int i = 0; i < LIFECYCLES; i++)
		types->lifecycle[i] = EnumValue(types->types[1], lifecycle_names[i][0]);
	for (int i = 0; i < QUADRANTS; i++)
		types->quadrant[i] = EnumValue(types->types[2], quadrant_names[i][0]);
	for (int i = 0; i < ACTIVITIES; i++)
		types->activity[i] = EnumValue(types->types[3], activity_names[i][0]);
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
	evaluation->follow_up_at = DAY(7);
	evaluation->silent_at = DAY(8);
	evaluation->lost_at = DAY(9);
	evaluation->next_eval_at = DAY(10);
#undef DAY
}

/* What stays the same from one customer to the next. */
typedef struct EvaluateCache
{
	TupleDesc	desc;
	LabelTypes	types;
	Rules		rules;
	Size		size;			/* of the value the rules were parsed from */
	HeapTupleHeader value;
} EvaluateCache;

static EvaluateCache *
CacheOf(FunctionCallInfo fcinfo)
{
	EvaluateCache *cache = fcinfo->flinfo->fn_extra;
	HeapTupleHeader value = PG_GETARG_HEAPTUPLEHEADER(2);
	Size		size = VARSIZE_ANY(value);
	MemoryContext old;

	if (likely(cache != NULL && cache->size == size && memcmp(cache->value, value, size) == 0))
		return cache;

	old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
	if (cache == NULL)
	{
		TupleDesc	desc;

		if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
			elog(ERROR, "custseg.evaluate must return a row");
		cache = palloc0(sizeof(EvaluateCache));
		cache->desc = BlessTupleDesc(CreateTupleDescCopy(desc));
		LoadLabelTypes(cache->desc, 0, &cache->types);
		fcinfo->flinfo->fn_extra = cache;
	}
	MemoryContextSwitchTo(old);

	cache->size = 0;
	ParseRules(value, &cache->rules);
	if (cache->value)
		pfree(cache->value);
	cache->value = MemoryContextAlloc(fcinfo->flinfo->fn_mcxt, size);
	memcpy(cache->value, value, size);
	cache->size = size;
	return cache;
}

Datum
custseg_evaluate(PG_FUNCTION_ARGS)
{
	struct varlena *timeline = PG_GETARG_VARLENA_PP(0);
	DateADT		day = PG_GETARG_DATEADT(1);
	EvaluateCache *cache = CacheOf(fcinfo);
	Evaluation	evaluation;
	Datum		values[EVALUATION_COLUMNS];
	bool		nulls[EVALUATION_COLUMNS];

	if (DATE_NOT_FINITE(day))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the day to evaluate for must be finite"),
				 errhint("Pass a day such as custseg.shop_day().")));
	EvaluateTimeline(&cache->rules, timeline, day, &evaluation);
	EvaluationToColumns(&evaluation, &cache->types, values, nulls);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(cache->desc, values, nulls)));
}
