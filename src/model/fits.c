/*
 * fits.c
 *		The data of purchase, spend and gap models, and their fits.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "model/fit/interrupt.h"
#include "model/fits.h"

void
ModelDataInit(ModelData *data)
{
	memset(data, 0, sizeof(ModelData));
	data->gaps = GapSumsCreate();
}

/* Room for one more; large pieces grow by remapping, without a copy. */
static void *
Grow(void *array, int64 n, int64 *size, Size element)
{
	if (n < *size)
		return array;
	*size = Max(*size * 2, 1024);
	return array == NULL ? palloc_extended(*size * element, MCXT_ALLOC_HUGE) :
		repalloc_huge(array, *size * element);
}

void
ModelDataAdd(ModelData *data, const History *history, DateADT day)
{
	Repeats    *repeats;

	data->repeats = Grow(data->repeats, data->nrepeats, &data->repeats_size, sizeof(Repeats));
	repeats = &data->repeats[data->nrepeats++];
	repeats->x = history->order_days - 1;
	repeats->t_x = (double) history->last_order - history->first_order;
	repeats->T = (double) day - history->first_order;
	repeats->customers = 1;

	if (history->order_days > 1)
	{
		if (history->repeat_spend > 0)
		{
			Spends	   *spends;

			data->spends = Grow(data->spends, data->nspends, &data->spends_size, sizeof(Spends));
			spends = &data->spends[data->nspends++];
			spends->x = history->order_days - 1;
			spends->mean = MeanRepeatSpend(history);
			spends->customers = 1;
		}
		GapSumsAdd(data->gaps, history->gaps, history->order_days - 1);
	}

	if (data->customers++ == 0 || history->first_order < data->since)
		data->since = history->first_order;
	data->orders += history->orders;
	if (data->customers % 1024 == 0)
		CHECK_FOR_INTERRUPTS();
}

void
ModelDataFree(ModelData *data)
{
	if (data->repeats)
		pfree(data->repeats);
	if (data->spends)
		pfree(data->spends);
	data->repeats = NULL;
	data->spends = NULL;
}

void
FitModels(ModelData *data, PurchaseModel model, const Prior *purchase_prior,
		  const Prior *spend_prior, Fits *fits)
{
	memset(fits, 0, sizeof(Fits));
	fits->model = model;
	data->nrepeats = CollapseRepeats(data->repeats, data->nrepeats);
	FitPurchase(model, data->repeats, data->nrepeats, purchase_prior, &fits->purchase);
	if (data->repeats)
		pfree(data->repeats);
	data->repeats = NULL;
	data->nspends = CollapseSpends(data->spends, data->nspends);
	FitSpend(data->spends, data->nspends, spend_prior, &fits->spend);
	FitGaps(data->gaps, &fits->gap);
	ModelDataFree(data);
}

void
PredictorFromFits(const Fits *fits, Predictor *predictor)
{
	memset(predictor, 0, sizeof(Predictor));
	if (fits->purchase.usable)
		predictor->purchase = PurchaseCreate(fits->model, fits->purchase.params);
	predictor->purchase_note = predictor->dropout_note = fits->purchase.verdict;
	predictor->dropout_identified = fits->purchase.usable && fits->purchase.dropout_identified;
	predictor->has_spend = fits->spend.usable;
	memcpy(predictor->spend, fits->spend.params, sizeof(predictor->spend));
	predictor->spend_note = fits->spend.verdict;
	predictor->gap = fits->gap;
	predictor->gap_note = fits->gap.verdict;
}
