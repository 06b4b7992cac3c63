/*
 * explain_models.c
 *		Why a customer's churn_risk and potential_value are what they are.
 *
 * These two follow from the models in force and move from day to day, so
 * nothing of them is stored; the explanation asks the models again.
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "common/spi.h"
#include "model/values_sql.h"
#include "segment/explain_models.h"

const char *const churn_risk_names[LEVELS][2] = {
	{"low", "流失风险低"},
	{"mid", "流失风险中"},
	{"high", "流失风险高"},
};

const char *const potential_names[LEVELS][2] = {
	{"low", "低潜在价值"},
	{"mid", "中潜在价值"},
	{"high", "高潜在价值"},
};

/*
 * Why a model says nothing. Verdicts are stored in English: in Chinese their
 * gist comes first and they stand behind it, for their numbers.
 */
static const char *
Reason(Explanation *why, const char *reason)
{
	static const struct
	{
		const char *begins;
		const char *chinese;
	}			known[] = {
		{"no order yet", "尚无订单"},
		{"there is no calibration yet", "尚未校准，请先执行 CALL custseg.calibrate()"},
		{"in the model nbd", "nbd 模型假定客户永不流失"},
		{"the repeat orders add up to nothing", "复购金额扣除退款后不为正"},
		{"dropout is not identified", "数据无法识别客户何时流失"},
		{"customers do not differ", "客户之间没有差异"},
		{"not enough data", "数据不足"},
		{"the likelihood has no regular maximum", "似然函数没有正常的最大值"},
		{"all mean spends are the same", "所有客户的平均消费相同"},
		{"mean spend is infinite", "平均消费无穷大"},
	};

	if (why->chinese)
		for (int i = 0; i < lengthof(known); i++)
			if (strncmp(reason, known[i].begins, strlen(known[i].begins)) == 0)
				return i < 4 ? WORDS(reason, known[i].chinese) :
					psprintf(WORDS("%s (%s)", "%s（%s）"), WORDS(reason, known[i].chinese), reason);
	return reason;
}

static void
ExplainChurnRisk(Explanation *why, const Predictor *models, const char *model,
				 const History *history)
{
	double		staying;
	bool		by_gaps;
	Level		level = PredictChurnRisk(models, history, why->day);
	const char *thresholds;

	if (!PredictStaying(models, history, why->day, &staying, &by_gaps))
	{
		Say(why, "churn_risk", NULL,
			WORDS("by P(alive), or by the own gaps where the model does not tell who left",
				  "按存活概率 P(alive)；模型无法识别流失时按自身购买间隔"),
			history->order_days == 0 ? Reason(why, "no order yet") :
			psprintf(WORDS("purchase model: %s; gap rule: %s", "购买模型：%s；间隔规则：%s"),
					 Reason(why, models->dropout_note), Reason(why, models->gap_note)));
		return;
	}
	thresholds = psprintf(WORDS("low above %.4f, mid above %.4f",
								"高于 %.4f 为低，高于 %.4f 为中"), RISK_MID, RISK_HIGH);
	if (by_gaps)
		Say(why, "churn_risk", churn_risk_names[level][0],
			WORDS("by the own rhythm: low while more than 2/3 of own gaps are longer than the days since the last order, mid while more than 1/3 are, else high",
				  "按自身节奏：自身间隔中比距上次下单天数更长者超过 2/3 为低，超过 1/3 为中，否则为高"),
			psprintf(WORDS("%s since the last order, a share of %.4f of own gaps is longer; %s; P(alive) not used: %s",
						   "距上次下单 %s，自身间隔中更长者占 %.4f；%s；未使用存活概率：%s"),
					 Days(why, (int64) why->day - history->last_order), staying, thresholds,
					 Reason(why, models->dropout_note)));
	else
		Say(why, "churn_risk", churn_risk_names[level][0],
			WORDS("by P(alive): low above 2/3, mid above 1/3, else high",
				  "按存活概率 P(alive)：高于 2/3 为低，高于 1/3 为中，否则为高"),
			psprintf(WORDS("P(alive) %.4f on %s (%s, last order %s); %s",
						   "存活概率 %.4f（%s，%s 模型，上次下单 %s）；%s"),
					 staying, Day(why->day), model, Day(history->last_order), thresholds));
}

static void
ExplainPotential(Explanation *why, const Predictor *models, const History *history)
{
	const char *rule = psprintf(WORDS("clv_12m against the shop's customers at the calibration: high: the top %s, mid: the next %s, low: the rest",
									  "按 clv_12m 与校准时全店客户比较：前 %s 为高，其后 %s 为中，其余为低"),
								Percent(why->high_share), Percent(why->mid_share));
	const char *fault = ValueFault(models, history);
	double		spend;
	double		orders;
	double		value;

	if (fault == NULL && !models->has_potential)
		fault = WORDS("the calibration found no cut points", "校准未得出分界点");
	if (fault == NULL && PredictSpend(models, history, &spend) &&
		PredictDiscounted(models, history, why->day, 12, &orders) &&
		PredictValue(models, history, why->day, 12, &value))
		Say(why, "potential_value", potential_names[PredictPotential(models, history, why->day)][0],
			rule,
			psprintf(WORDS("clv_12m %.2f = margin %.10g x expected spend %.2f x %.4f order days, discounted at %s a year; high above %.2f, mid above %.2f%s",
						   "clv_12m %.2f = 毛利率 %.10g × 预期每次消费 %.2f × %.4f 个下单日（年贴现率 %s）；高于 %.2f 为高，高于 %.2f 为中%s"),
					 value, models->margin, spend, orders, Percent(models->annual_rate),
					 models->potential_high, models->potential_mid,
					 strcmp(models->spend_note, "ok") == 0 ? "" :
					 psprintf(WORDS("; expected spend: %s", "；预期每次消费：%s"),
							  Reason(why, models->spend_note))));
	else
		Say(why, "potential_value", NULL, rule,
			psprintf(WORDS("clv_12m cannot be compared: %s", "无法比较 clv_12m：%s"),
					 Reason(why, fault ? fault : models->spend_note)));
}

void
ExplainPredictions(Explanation *why)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[2] = {DATEOID, INT8OID};
	Datum		values[2] = {DateADTGetDatum(why->day), Int64GetDatum(why->customer_id)};
	HistoryReader reader;
	const History *history;
	Predictor	models;
	const char *model;
	bool		isnull;

	SpiKeep(&plan,
			"SELECT CASE WHEN (m.shop).grouped THEN custseg.group_models($2, m.shop) ELSE m.shop END,"
			" (m.shop).purchase_model FROM (SELECT custseg.models($1) AS shop OFFSET 0) m",
			2, types);
	SpiRunPlan(plan, values, NULL);
	model = SpiText(0, 2);
	ParseModels(DatumGetHeapTupleHeader(SpiField(0, 1, &isnull)), &models);
	HistoryReaderInit(&reader);
	history = ReadHistory(&reader, why->timeline, why->day);
	ExplainChurnRisk(why, &models, model, history);
	ExplainPotential(why, &models, history);
}
